"""How far a predictor of execution times is from published measurements of models that it was not fitted on."""

from __future__ import annotations

import dataclasses
import math
import random
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import onnx_ir as ir

from zoo.ascend.hardware import Chip, load_chip
from zoo.ascend.published import AGREEMENTS, Row
from zoo.ascend.published.graphs import GRAPH, load_graph, measured
from zoo.errors import UserError

# A prediction is near where it is within this factor of the measurement, either way.
NEAR = 1.5
FOLDS = 5
# A curve of fewer batches has no peak to speak of.
LEAST_BATCHES = 3


@dataclasses.dataclass(frozen=True)
class Sample:
    """One measurement and the graph of the model that was measured.

    Attributes:
        key: The model; samples of one model share it.
        family: Models of one family stay in one fold.
        curve: Samples of one model that were measured together, at several batches.
        chip: The chip.
        batch: Samples per execution.
        seconds: Of one execution of the whole batch.
        model: The graph; its dimension ``batch`` is symbolic, or 1 where the model has only that.
        row: The published row, where there is one: its options (AIPP) and its precision.
    """

    key: str
    family: str
    curve: str
    chip: Chip
    batch: int
    seconds: float
    model: ir.Model = dataclasses.field(repr=False, compare=False)
    row: Row | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def rate(self) -> float:
        """Samples per second, as measurements are published."""
        return self.batch / self.seconds


class Predictor(Protocol):
    """Predicts how long a graph takes on a chip."""

    def seconds(self, model: ir.Model, chip: Chip, batch: int, options: Row | None = None) -> float:
        """Return the time of one execution of the whole batch, in seconds."""
        ...


# Fits a predictor on samples; what it knows of a sample is all that it may use.
Fit = Callable[[Sequence[Sample]], Predictor]


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a predictor said of a sample that it was not fitted on.

    Attributes:
        sample: The sample.
        seconds: The predicted time of one execution; infinite where the predictor failed.
        error: Why it failed, empty where it did not.
    """

    sample: Sample
    seconds: float
    error: str = ""

    @property
    def rate(self) -> float:
        """The predicted samples per second; 0 where the predictor failed."""
        return self.sample.batch / self.seconds

    @property
    def off(self) -> float:
        """How far the predicted rate is from the measured one, as a share of it; 1 where the predictor failed."""
        return abs(self.rate - self.sample.rate) / self.sample.rate

    @property
    def near(self) -> bool:
        """Whether prediction and measurement are within the factor :data:`NEAR`, either way."""
        return self.sample.rate / NEAR <= self.rate <= self.sample.rate * NEAR


@dataclasses.dataclass(frozen=True)
class Scores:
    """How good predictions are; failures count as predictions of no throughput at all.

    Attributes:
        rows: How many predictions there are.
        models: Of how many models.
        median_ape: Median over the rows of the absolute error of the rate, as a share of the measured rate.
        near: Share of the rows within a factor of :data:`NEAR`.
        spearman: Rank correlation, across models, of predicted and measured rate at the batch of the highest measured
            rate; NaN for fewer than three models.
        peaks: Share of the curves whose best batch is predicted within one step of the published batches.
        curves: How many curves have batches enough for that.
        failed: Models of which the predictor failed.
    """

    rows: int
    models: int
    median_ape: float
    near: float
    spearman: float
    peaks: float
    curves: int
    failed: tuple[str, ...]


def samples(chip: str, directory: Path, agreements: Collection[str] = AGREEMENTS) -> list[Sample]:
    """Return the published measurements on a chip of the models whose graphs are in ``directory``.

    Args:
        chip: A name of ``zoo.ascend.hardware``.
        directory: Where the graphs were ported to.
        agreements: How well a package's model has to agree with the published one; see ``published/sources.yaml``.
    """
    spec = load_chip(chip)
    graphs: dict[str, ir.Model] = {}
    found = []
    for item in measured(chip):
        key, row = item.entry.key, item.row
        if item.entry.agreement not in agreements or not (directory / key / GRAPH).is_file():
            continue
        if key not in graphs:
            graphs[key] = load_graph(directory, key)
        assert row.batch is not None
        # One measurement may be spread over the files of a folder: ViT's README holds the best batch, another the rest.
        curve = f"{row.model} {row.source.rpartition('/')[0]}"
        found.append(Sample(key, item.entry.family, curve, spec, row.batch, row.seconds, graphs[key], row))
    return found


def models_apart(given: Sequence[Sample]) -> list[Sample]:
    """Return the samples so that folds part them by published model and no longer by family.

    A model left out may then have relatives among those fitted on (ViT-B/16 beside ViT-B/32), as a new one mostly has.
    """
    return [dataclasses.replace(sample, family=sample.row.model if sample.row else sample.key) for sample in given]


def folds(given: Sequence[Sample], count: int = FOLDS, seed: int = 0) -> list[list[Sample]]:
    """Split samples so that no family is in two folds; families come in a seeded order, each to the smallest fold.

    Raises:
        UserError: If there are fewer than two families.
    """
    families: dict[str, list[Sample]] = {}
    for sample in given:
        families.setdefault(sample.family, []).append(sample)
    if len(families) < 2:
        raise UserError(
            "the samples cannot be split by model",
            expected="two families or more",
            got=", ".join(families) or "no samples",
            hint="port more of the published models",
        )
    order = sorted(families)
    random.Random(seed).shuffle(order)
    parts: list[list[Sample]] = [[] for _ in range(min(count, len(order)))]
    for family in order:
        min(parts, key=len).extend(families[family])
    return parts


def cross_validate(fit: Fit, given: Sequence[Sample], count: int = FOLDS, seed: int = 0) -> list[Prediction]:
    """Predict every sample by a predictor that was fitted on the other folds.

    Raises:
        UserError: If the samples cannot be split by model.
    """
    parts = folds(given, count, seed)
    found = []
    for held_out in parts:
        predictor = fit([sample for part in parts if part is not held_out for sample in part])
        found += [predict(predictor, sample) for sample in held_out]
    return found


def predict(predictor: Predictor, sample: Sample) -> Prediction:
    """Return what a predictor says of a sample; a failure is a prediction too."""
    try:
        return Prediction(sample, predictor.seconds(sample.model, sample.chip, sample.batch, sample.row))
    except Exception as error:  # a model that a compiler cannot take must not hide what it does with the others
        return Prediction(sample, math.inf, f"{type(error).__name__}: {error}")


def score(predictions: Sequence[Prediction]) -> Scores:
    """Return the scores of predictions of samples of one chip.

    Raises:
        UserError: If there is none.
    """
    if not predictions:
        raise UserError("there is nothing to score", expected="at least one prediction", got="none")
    peaks = [hit for hit in map(_finds_peak, _curves(predictions)) if hit is not None]
    return Scores(
        rows=len(predictions),
        models=len({item.sample.key for item in predictions}),
        median_ape=statistics.median(item.off for item in predictions),
        near=statistics.mean(item.near for item in predictions),
        spearman=_spearman(predictions),
        peaks=statistics.mean(peaks) if peaks else math.nan,
        curves=len(peaks),
        failed=tuple(dict.fromkeys(item.sample.key for item in predictions if item.error)),
    )


def compare(fits: Mapping[str, Fit], given: Sequence[Sample], count: int = FOLDS, seed: int = 0) -> dict[str, Scores]:
    """Return the scores of several predictors on the same folds, by name.

    Raises:
        UserError: If the samples cannot be split by model.
    """
    return {name: score(cross_validate(fit, given, count, seed)) for name, fit in fits.items()}


def _curves(predictions: Sequence[Prediction]) -> list[list[Prediction]]:
    curves: dict[tuple[str, str], list[Prediction]] = {}
    for item in predictions:
        curves.setdefault((item.sample.key, item.sample.curve), []).append(item)
    return list(curves.values())


def _finds_peak(curve: Sequence[Prediction]) -> bool | None:
    """Say whether the predicted best batch is the measured one or next to it; None for a curve too short."""
    by_batch = {item.sample.batch: item for item in curve}
    steps = [by_batch[batch] for batch in sorted(by_batch)]
    if len(steps) < LEAST_BATCHES:
        return None
    if any(item.error for item in steps):
        return False
    best = max(range(len(steps)), key=lambda step: steps[step].sample.rate)
    predicted = max(range(len(steps)), key=lambda step: steps[step].rate)
    return abs(best - predicted) <= 1


def _spearman(predictions: Sequence[Prediction]) -> float:
    from scipy.stats import spearmanr

    best: dict[str, Prediction] = {}
    for item in predictions:
        known = best.get(item.sample.key)
        if known is None or item.sample.rate > known.sample.rate:
            best[item.sample.key] = item
    if len(best) < 3:
        return math.nan
    points = best.values()
    return float(spearmanr([item.sample.rate for item in points], [item.rate for item in points]).statistic)
