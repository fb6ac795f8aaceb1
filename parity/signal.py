"""How much of an output the input decides: root mean squares of the truth's variation and of the original's noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

# Positions looked at in one output, evenly spread.
POSITIONS = 1 << 14


@dataclass
class Signal:
    """Collects samples of the truth and of the original; samples are grouped by shape, the first axis apart."""

    _rows: dict[tuple[int, ...], list[np.ndarray]] = field(default_factory=dict)
    _noise: list[np.ndarray] = field(default_factory=list)

    def add(self, truth: np.ndarray, original: np.ndarray, batched: bool) -> None:
        """Take in one case; ``batched`` says that the first axis counts samples."""
        wide, own = truth.astype(np.float64), original.astype(np.float64)
        if not batched or wide.ndim == 0:
            wide, own = wide[None], own[None]
        shape = wide.shape[1:]
        flat, flat_own = wide.reshape(wide.shape[0], -1), own.reshape(own.shape[0], -1)
        step = max(1, -(-flat.shape[1] // POSITIONS))
        rows, noise = flat[:, ::step], flat_own[:, ::step] - flat[:, ::step]
        self._rows.setdefault(shape, []).extend(rows)
        self._noise.append(noise[np.isfinite(noise)])

    def measure(self) -> tuple[float, float]:
        """Return (signal, noise): root mean square of what varies from input to input, and of R - T.

        The signal is NaN where no two samples have the same shape: then nothing is known of it.
        """
        noise = np.concatenate(self._noise) if self._noise else np.zeros(1)
        parts = [_variation(rows) for rows in self._rows.values() if len(rows) > 1]
        total = sum(count for _, count in parts)
        signal = math.sqrt(sum(square for square, _ in parts) / total) if total else math.nan
        return signal, math.sqrt(float(np.mean(noise**2))) if noise.size else 0.0


def _variation(rows: Sequence[np.ndarray]) -> tuple[float, int]:
    stacked = np.stack(rows)
    stacked = np.where(np.isfinite(stacked), stacked, 0.0)
    spread = stacked - stacked.mean(axis=0)
    # The mean was taken from the same n samples: n / (n - 1).
    return float((spread**2).sum()) * len(rows) / (len(rows) - 1), spread.size
