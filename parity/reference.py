"""Published values in the card: stated beside what was measured, and a gate where the whole data set was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parity.intervals import Comparison

# Samples of the sets that published values are most often of; a card's ``n`` goes before.
SIZES: Mapping[str, int] = {
    "ImageNet-1k validation": 50_000,
    "SQuAD v1.1 dev": 10_570,
    "COCO val2017": 5_000,
    "SST-2 dev": 872,
    "WordSim-353": 353,
}
# A side may be this far from the published value, relative to it, where the card names no tolerance: decoders and
# resizers of images move a top-1 of 75 % by some tenths of a point.
TOLERANCE = 0.01


@dataclass(frozen=True)
class Reference:
    """A published value beside what was measured.

    Attributes:
        value: What was published.
        source: Where.
        metric: Of which metric.
        dataset: On which data.
        n: Samples of that data set, ``None`` where the card does not say.
        tolerance: Most that a side may differ from ``value``.
        original: What the original has here.
        port: What the port has here.
        executor: On which executor.
        verdict: ``pass`` or ``fail``, for each side within the tolerance; ``not gated`` where only a part of the data
            set was at hand, or its size is unknown.
    """

    value: float
    source: str
    metric: str
    dataset: str
    n: int | None
    tolerance: float
    original: float
    port: float
    executor: str
    verdict: str


def references(
    card: Mapping[str, Any], task: str, count: int, executor: str, metrics: Mapping[str, Comparison]
) -> list[Reference]:
    """Return the card's published values for ``task`` that were measured.

    Args:
        card: The card; its ``evaluation`` holds ``{task, metric, dataset, published, source, n, tolerance}``.
        task: Which task was measured.
        count: On how many samples.
        executor: On which executor.
        metrics: What was measured.
    """
    return [
        _reference(entry, count, executor, metrics[entry["metric"]])
        for entry in card.get("evaluation", [])
        if entry.get("task") == task and entry.get("metric") in metrics and "published" in entry
    ]


def _reference(entry: Mapping[str, Any], count: int, executor: str, measured: Comparison) -> Reference:
    value, dataset = float(entry["published"]), str(entry.get("dataset", ""))
    size = entry.get("n", SIZES.get(dataset))
    tolerance = float(entry.get("tolerance", TOLERANCE * abs(value)))
    within = all(abs(side - value) <= tolerance for side in (measured.original, measured.port))
    verdict = "not gated" if size is None or count != int(size) else "pass" if within else "fail"
    return Reference(
        value, str(entry.get("source", "")), entry["metric"], dataset, size, tolerance, measured.original,
        measured.port, executor, verdict,
    )  # fmt: skip
