"""What a small number of samples can and cannot say: Wilson's interval and the sentences built on it."""

from __future__ import annotations

import math

_Z95 = 1.959963984540054

# Metrics that are a share of right answers; only these have a count behind them.
COUNTED = frozenset({"top1", "top5", "accuracy", "acc", "exactmatch", "precisionat1", "hitrate"})

# Half the width of the interval, in points, from which on n is called small.
_SMALL = 0.01


def correct(metric: str | None, value: float | None, n: int | None) -> int | None:
    """Return how many of ``n`` samples are right, ``None`` where the metric is no share of right answers."""
    if metric is None or value is None or not n or not math.isfinite(value) or not 0 <= value <= 1:
        return None
    known = "".join(letter for letter in metric.lower() if letter.isalnum()) in COUNTED
    count = round(value * n)
    return count if known and abs(value * n - count) < 1e-6 * n else None


def wilson(count: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval for ``count`` of ``n``; it stays inside [0, 1] and is sound for small n."""
    share, weight = count / n, _Z95**2 / n
    middle = (share + weight / 2) / (1 + weight)
    half = _Z95 / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def is_small(count: int, n: int) -> bool:
    """Whether n is too small to state the model's accuracy to a point."""
    low, high = wilson(count, n)
    return (high - low) / 2 > _SMALL
