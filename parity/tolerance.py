"""Thresholds: the noise budget of an output, its limits by precision, and when it has the power to decide.

Let T be the original in float64, R the original in its own precision and P the port. For a floating-point output,
pooled over the inputs, ``ratio = ||P - T|| / max(||R - T||, u ||T||, smallest denormal)`` must not pass 3, and the same
ratio of largest differences must not pass 6 (sparse errors). ``u`` is the output dtype's gap at 1 (2^-23 for float32).
Measured on 22 sound ports the pooled ratio stayed below 1.86 (largest differences: 3.01).

On the probes the limit is that of largest differences. Their values are structured (one constant, one ramp): roundings
all go the same way instead of averaging out, and the quotient is one of few draws. Measured on the sound port of
EfficientNet-Lite0, whose runtime folds batch norms into weights: 2.1 to 3.0. What probes are for (overflow, saturation,
a clipped range) is wrong by orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.metrics import Pool


@dataclass(frozen=True)
class Limits:
    """Thresholds of a verdict.

    Attributes:
        ratio: Most that the pooled ratio may be.
        max_abs: Most that the ratio of largest differences may be.
        probe: Most that the ratio over the probes may be.
        layer: Most that the ratio of one layer on the original's inputs may be.
        runtime: Most that a layer may differ from the original, relative, where its graph is right and a runtime's
            kernel less exact than upstream's.
        signal: Least that the input-dependent part of the output must be, in units of the noise.
        width: Most that the noise may be, relative to the output.
        needs_power: Whether an output without power fails. The float32 check must decide whether it is the same
            model; a check with a chip's numerics only asks whether the port loses more than the original does there,
            and says how little it would notice.
    """

    ratio: float = 3.0
    max_abs: float = 6.0
    probe: float = 6.0
    layer: float = 3.0
    runtime: float = 1e-4
    signal: float = 1000.0
    width: float = 1e-2
    needs_power: bool = True


# What the port is asked for -> limits. A fault shows if it moves the output by a few times the noise: with a signal of
# 1,000 times the noise that is some tenths of a per cent of what the input does. Half precision has 2^13 times the
# noise of float32, so that the same demand could never be met: there the signal must be 10 times the noise, faults
# below some tens of per cent of the signal go unseen, and the float32 check is the one that finds them.
LIMITS: Mapping[str, Limits] = {
    "fp32": Limits(),
    "fp16_cube": Limits(signal=10.0, width=0.25, needs_power=False),
}


@dataclass(frozen=True)
class Budget:
    """Errors against the truth and their ratio; ``limit`` is the threshold the ratio was held against.

    Attributes:
        original_error: ``||R - T||`` after the floor, pooled over ordinary inputs.
        port_error: ``||P - T||``.
        ratio: Their quotient.
        limit: Most it may be.
        max_abs_ratio: The same of largest differences.
        max_abs_limit: Most that may be.
    """

    original_error: float
    port_error: float
    ratio: float
    limit: float
    max_abs_ratio: float
    max_abs_limit: float

    @property
    def holds(self) -> bool:
        """Whether both ratios are within their limits."""
        return self.ratio <= self.limit and self.max_abs_ratio <= self.max_abs_limit


@dataclass(frozen=True)
class Power:
    """Whether an output can decide anything.

    Attributes:
        signal_over_noise: Input-dependent part of the truth over the original's noise.
        budget_width: The original's noise relative to the truth.
        decides: Whether both are good enough for a verdict from the outputs.
        reason: ``ill-conditioned`` (noise too wide), ``blind`` (output hardly depends on the input) or empty.
    """

    signal_over_noise: float
    budget_width: float
    decides: bool
    reason: str


def unit(dtype: np.dtype[Any]) -> float:
    """Return the gap at 1 of an output's dtype: 2^-23 for float32."""
    if dtype.name == "bfloat16":
        return 2.0**-7
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


def smallest(dtype: np.dtype[Any]) -> float:
    """Return the smallest denormal of an output's dtype."""
    if dtype.kind == "f":
        return float(np.finfo(dtype).smallest_subnormal)
    return float(np.finfo(np.float32).smallest_subnormal)


def budget(port: Pool, original: Pool, dtype: np.dtype[Any], limits: Limits) -> Budget:
    """Return the budget of an output from the pools of P and R, both against T."""
    least, gap = smallest(dtype), unit(dtype)
    noise = max(original.error_norm, gap * original.reference_norm, least)
    peak = max(original.max_error, gap * original.max_reference, least)
    return Budget(
        original_error=noise,
        port_error=port.error_norm,
        ratio=port.error_norm / noise,
        limit=limits.ratio,
        max_abs_ratio=port.max_error / peak,
        max_abs_limit=limits.max_abs,
    )


def power(signal: float, noise: float, width: float, limits: Limits) -> Power:
    """Judge whether an output decides anything; ``signal`` and ``noise`` are root mean squares."""
    over = signal / noise if noise else float("inf") if signal else 0.0
    if width > limits.width:
        return Power(over, width, False, "ill-conditioned")
    if over < limits.signal:
        return Power(over, width, False, "blind")
    return Power(over, width, True, "")
