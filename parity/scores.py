"""What a task's answers are worth: metrics over any choice of samples, so that a bootstrap can draw them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Resamples of the bootstrap; 2,000 put the ends of a 95 % interval within about 2 % of their place.
RESAMPLES = 2000

# Rows of sample indices, int64 [rows, n] -> the metric over each row, float64 [rows].
Metric = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Scores:
    """The answers of one side against the labels.

    Attributes:
        metrics: Metrics by name; each computes itself anew on the samples drawn.
        decisions: What each answer comes down to, in JSON's types: what a list of changed answers shows.
        right: Which samples are right, by metric, bool [n]; only metrics that are a share of right answers.
        resamples: How often samples are drawn again; fewer where the metric is dear.
    """

    metrics: Mapping[str, Metric]
    decisions: Sequence[Any]
    right: Mapping[str, np.ndarray] = field(default_factory=dict)
    resamples: int = RESAMPLES

    def over(self, metric: str, picks: np.ndarray) -> np.ndarray:
        """Return ``metric`` over each row of sample indices, float64 [rows]."""
        return np.asarray(self.metrics[metric](picks), np.float64)

    def value(self, metric: str) -> float:
        """Return ``metric`` over all samples, each once."""
        return float(self.over(metric, np.arange(len(self.decisions))[None])[0])


def mean_of(values: Any) -> Metric:
    """Return the metric that is the mean of one value for each sample, [n]."""
    array = np.asarray(values, np.float64)
    return lambda picks: array[picks].mean(axis=1)


def quotient_of(above: Any, below: Any, then: Callable[[np.ndarray], np.ndarray] = lambda x: x) -> Metric:
    """Return the metric ``then(sum(above) / sum(below))`` over the samples drawn, as a corpus has it; both [n]."""
    numerator, denominator = np.asarray(above, np.float64), np.asarray(below, np.float64)
    return lambda picks: then(numerator[picks].sum(axis=1) / denominator[picks].sum(axis=1))


def counted(right: Mapping[str, Any], decisions: Sequence[Any]) -> Scores:
    """Return scores whose metrics are shares of right answers, given which are right: bool [n] for each."""
    arrays = {name: np.asarray(values, bool) for name, values in right.items()}
    return Scores({name: mean_of(values) for name, values in arrays.items()}, decisions, arrays)
