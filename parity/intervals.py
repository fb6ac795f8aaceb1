"""How sure a difference on few samples is: paired bootstrap, McNemar's exact test and Wilson's interval of a share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parity.scores import Scores

LEVEL = 0.95
# Half the width of a share's interval from which on the number of samples is called small: one point.
SMALL = 0.01
# Sample indices drawn at once: all draws of ImageNet's 50,000 samples would take 800 MB, and their values as much.
BLOCK = 4_000_000

Interval = tuple[float, float]


@dataclass(frozen=True)
class Discordance:
    """McNemar's exact test on the samples that only one side has right.

    Attributes:
        only_original: Samples that only the original has right.
        only_port: Samples that only the port has right.
        p: Probability of a split at least as uneven if neither side were better; 1 where there is no such sample.
    """

    only_original: int
    only_port: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """One metric of the original and of the port on the same samples.

    Attributes:
        original: The original's value.
        port: The port's.
        delta: ``port - original``.
        interval: 95 % interval of ``delta``: the samples drawn again, both sides by the same draw.
        original_interval: 95 % interval of the original's value itself: Wilson's for a share of right answers, by
            bootstrap otherwise.
        port_interval: The same of the port's.
        right: How many samples each side has right, ``None`` where the metric counts none.
        mcnemar: The test on them.
        small: Whether the samples are too few to know the share to a point.
    """

    original: float
    port: float
    delta: float
    interval: Interval
    original_interval: Interval
    port_interval: Interval
    right: tuple[int, int] | None = None
    mcnemar: Discordance | None = None
    small: bool = False


def compare(metric: str, theirs: Scores, ours: Scores) -> Comparison:
    """Compare one metric of two sides on the same samples."""
    count = len(theirs.decisions)
    before, after = theirs.value(metric), ours.value(metric)
    drawn, drawn_port = _drawn(metric, theirs, ours)
    interval = _middle(drawn_port - drawn)
    if metric not in theirs.right:
        return Comparison(before, after, after - before, interval, _middle(drawn), _middle(drawn_port))
    a, b = theirs.right[metric], ours.right[metric]
    shares = wilson(int(a.sum()), count), wilson(int(b.sum()), count)
    return Comparison(
        before, after, after - before, interval, *shares, (int(a.sum()), int(b.sum())), mcnemar(a, b),
        any((high - low) / 2 > SMALL for low, high in shares),
    )  # fmt: skip


def wilson(right: int, count: int) -> Interval:
    """Return Wilson's 95 % interval of the share ``right`` of ``count``."""
    from scipy.stats import binomtest

    interval = binomtest(right, count).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(original: np.ndarray, port: np.ndarray) -> Discordance:
    """Return McNemar's exact test of two sides' right answers, bool [n] each."""
    from scipy.stats import binomtest

    lost, gained = int((original & ~port).sum()), int((port & ~original).sum())
    p = float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0
    return Discordance(lost, gained, p)


def _drawn(metric: str, theirs: Scores, ours: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Return the metric of both sides on the same draws of samples, float64 [draws] each."""
    count, random = len(theirs.decisions), np.random.default_rng(0)
    left = min(theirs.resamples, ours.resamples)
    drawn: list[tuple[np.ndarray, np.ndarray]] = []
    while left:
        rows = min(left, max(1, BLOCK // count))
        picks = random.integers(0, count, (rows, count))
        drawn.append((theirs.over(metric, picks), ours.over(metric, picks)))
        left -= rows
    return np.concatenate([a for a, _ in drawn]), np.concatenate([b for _, b in drawn])


def _middle(values: np.ndarray) -> Interval:
    """Return the middle 95 % of bootstrapped values; those of draws on which the metric is undefined do not count."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2])
    return float(low), float(high)
