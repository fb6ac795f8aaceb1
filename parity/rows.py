"""Outputs whose rows the model itself selects (detections): rows are put side by side before they are compared.

How many rows there are, which and in what order hangs on decisions (a threshold, a ranking, an overlap), and a decision
on a knife's edge falls either way: in the original as in the port. Compared place by place, one more detection would
make everything behind it wrong. So rows are matched: what is matched is held against the noise budget like any other
output, and what is not, or stands elsewhere in the order, counts as a decision that fell otherwise. The port may have
no more of these against the truth than a few times those of the original, which is the budget of decisions.
"""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Arrays = Mapping[str, np.ndarray]
# Rows are the same one if they differ by less than this part of an output's size; what is wrong by less, the noise
# budget sees.
SAME = 1e-2
# Outputs with more elements in a row (masks) follow the others of their rows.
MOST_MATCHED = 64


@dataclass
class Decisions:
    """How many decisions fell otherwise than in the truth, over all cases.

    Attributes:
        port: Those of the port.
        original: Those of the original.
        moved: Those of the truth itself on inputs moved by one ULP, in the worst of the tries.
        rows: Rows that the truth has.
    """

    port: int = 0
    original: int = 0
    moved: int = 0
    rows: int = 0

    def __add__(self, other: Decisions | None) -> Decisions:
        if other is None:
            return self
        return Decisions(
            self.port + other.port, self.original + other.original, self.moved + other.moved, self.rows + other.rows
        )

    def fault(self, ratio: float) -> str:
        """Return what is wrong, nothing where the port decides no worse than ``ratio`` times as the original."""
        if self.rows == 0:
            return "no input selects any row: nothing was compared"
        if self.port > ratio * max(self.original, self.moved):
            return f"{self.port} of {self.rows} selections fall otherwise than in the truth; {self.usual}"
        return ""

    @property
    def usual(self) -> str:
        """What the original makes of the same inputs, in words."""
        return f"of the original's {self.original}, of the truth's own on inputs moved by one ULP {self.moved}"


def selected(outputs: Sequence[Mapping[str, object]]) -> list[list[str]]:
    """Return groups of outputs that share rows: the card gives their first dimension by a size of the data's own."""
    groups: dict[str, list[str]] = {}
    for entry in outputs:
        shape = entry.get("shape")
        first = shape[0] if isinstance(shape, list) and shape else None
        if isinstance(first, str) and re.search(r"\bu\d+\b", first):
            groups.setdefault(first, []).append(str(entry["name"]))
    return list(groups.values())


def matched(reference: Arrays, candidate: Arrays, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, int]:
    """Pair the rows of two sides.

    Returns:
        Row numbers in the reference (ascending) and in the candidate, pairwise, and how many decisions fell otherwise:
        rows without a partner, the larger number of the two sides, and partners that stand out of order.
    """
    counts = [len(side[names[0]]) for side in (reference, candidate)]
    if any(
        len(side[name]) != count for side, count in zip((reference, candidate), counts, strict=True) for name in names
    ):
        raise ValueError(f"the outputs {', '.join(names)} do not have the same rows")
    distance = _distances(reference, candidate, names)
    pairs = []
    taken = np.zeros(counts[1], bool)
    for row in range(counts[0]):
        free = np.where(taken, np.inf, distance[row]) if counts[1] else np.zeros(0)
        # The nearest place of equally good ones: identical rows keep their order.
        best = int(free.argmin()) if free.size else -1
        if best >= 0 and free[best] <= SAME:
            taken[best] = True
            pairs.append((row, best))
    left = np.array([pair[0] for pair in pairs], np.int64)
    right = np.array([pair[1] for pair in pairs], np.int64)
    return left, right, max(counts) - len(pairs) + len(right) - _longest_rise(right)


def _distances(reference: Arrays, candidate: Arrays, names: Sequence[str]) -> np.ndarray:
    """Return the largest difference of each pair of rows, in units of each output's size; integers must be equal."""
    shape = (len(reference[names[0]]), len(candidate[names[0]]))
    distance = np.zeros(shape)
    for name in names:
        r, c = (side[name].reshape(len(side[name]), math.prod(side[name].shape[1:])) for side in (reference, candidate))
        if r.shape[1] != c.shape[1]:
            return np.full(shape, np.inf)
        if r.shape[1] > MOST_MATCHED:
            continue
        if r.dtype.kind in "iub":
            distance[(r[:, None, :] != c[None, :, :]).any(-1)] = np.inf
            continue
        wide_r, wide_c = r.astype(np.float64), c.astype(np.float64)
        scale = float(np.sqrt(np.mean(wide_r**2))) if wide_r.size else 1.0
        gap = np.abs(wide_r[:, None, :] - wide_c[None, :, :]).max(-1, initial=0.0) / max(scale, 1e-300)
        distance = np.maximum(distance, np.where(np.isfinite(gap), gap, np.inf))
    return distance


def _longest_rise(order: np.ndarray) -> int:
    """Return the length of the longest rising subsequence: how many rows stand in order."""
    ends: list[int] = []
    for place in order.tolist():
        at = bisect.bisect_left(ends, place)
        ends[at : at + 1] = [place]
    return len(ends)


def side_by_side(
    original: Arrays, truth: Arrays, port: Arrays, moved: Sequence[Arrays], names: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray], Decisions]:
    """Return the three sides with the rows that all of them have, in the truth's order, and the case's decisions."""
    in_truth, in_original, theirs = matched(truth, original, names)
    with_port, in_port, mine = matched(truth, port, names)
    common, first, second = np.intersect1d(in_truth, with_port, return_indices=True)
    other = max((matched(truth, again, names)[2] for again in moved), default=0)
    return (
        taken(original, in_original[first], names),
        taken(truth, common, names),
        taken(port, in_port[second], names),
        Decisions(mine, theirs, other, len(truth[names[0]])),
    )


def taken(arrays: Arrays, rows: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the arrays with the named ones reduced to ``rows``, in that order."""
    return {name: array[rows] if name in names else array for name, array in arrays.items()}
