"""Cross-validation by model: its folds, its scores on synthetic predictors, and the two baselines."""

from __future__ import annotations

import dataclasses
import math
import random

import onnx_ir as ir
import pytest

from zoo.ascend import baselines
from zoo.ascend.hardware import load_chip
from zoo.ascend.validation import Sample, compare, cross_validate, folds, samples, score
from zoo.errors import UserError
from zoo.graph import GraphBuilder

CHIP = load_chip("ascend310p3")
BATCHES = (1, 4, 8, 16, 32, 64)


def graph(width: int, layers: int = 3) -> ir.Model:
    """Return a chain of matrix products of batch x width by width x width."""
    builder = GraphBuilder(f"net{width}")
    value = builder.input("x", ir.DataType.FLOAT, ["batch", width])
    for layer in range(layers):
        weight = builder.input(f"w{layer}", ir.DataType.FLOAT, [width, width])
        value = builder.op("MatMul", value, weight)
        value.shape, value.dtype = ir.Shape(["batch", width]), ir.DataType.FLOAT
    return builder.finish([value])


@pytest.fixture(scope="module")
def measured() -> list[Sample]:
    """Return the curves of twelve models of six families; the best batch of each is 16."""
    found = []
    for index in range(12):
        model = graph(64 * (index + 1))
        for batch in BATCHES:
            rate = 1000 / (index + 1) * (2 - abs(math.log2(batch / 16)) / 4)
            found.append(Sample(f"m{index}", f"f{index // 2}", "c", CHIP, batch, batch / rate, model))
    return found


@dataclasses.dataclass
class Oracle:
    """Knows the answers, and what it was fitted on."""

    answers: dict[tuple[int, int], float]
    factor: float = 1.0

    def seconds(self, model: ir.Model, chip: object, batch: int, options: object = None) -> float:
        return self.answers[id(model), batch] * self.factor


def oracle(measured, factor=1.0):
    answers = {(id(item.model), item.batch): item.seconds for item in measured}
    return lambda given: Oracle(answers, factor)


def shuffled(measured, seed=0):
    """Return a predictor that gives every model the times of another one."""
    times = [item.seconds for item in measured]
    random.Random(seed).shuffle(times)
    answers = {(id(item.model), item.batch): time for item, time in zip(measured, times, strict=True)}
    return lambda given: Oracle(answers)


def test_a_perfect_predictor_scores_perfectly(measured):
    found = score(cross_validate(oracle(measured), measured))
    assert found.median_ape == 0
    assert (found.near, found.peaks) == (1, 1)
    assert found.spearman == pytest.approx(1)
    assert (found.rows, found.models, found.curves, found.failed) == (72, 12, 12, ())


def test_a_shuffled_predictor_does_not(measured):
    found = score(cross_validate(shuffled(measured), measured))
    assert found.median_ape > 0.4
    assert found.near < 0.5
    assert found.spearman < 0.8
    assert found.peaks < 0.8


@pytest.mark.parametrize(("factor", "off", "near"), [(2.0, 0.5, 0), (1.25, 0.2, 1), (0.8, 0.25, 1), (0.5, 1.0, 0)])
def test_the_error_is_that_of_the_rate_and_near_is_symmetric(measured, factor, off, near):
    found = score(cross_validate(oracle(measured, factor), measured))
    assert found.median_ape == pytest.approx(off)
    assert found.near == near
    assert (found.spearman, found.peaks) == (pytest.approx(1), 1)  # a constant factor changes no order


def test_no_fold_shares_a_family_with_another_and_none_is_lost(measured):
    parts = folds(measured, 4, seed=3)
    families = [{item.family for item in part} for part in parts]
    assert sum(len(part) for part in parts) == len(measured)
    assert sum(len(part) for part in families) == len(set().union(*families)) == 6
    assert all(families)


def split(given, seed):
    return frozenset(frozenset(item.family for item in part) for part in folds(given, 3, seed))


def test_folds_depend_on_the_seed_and_not_on_the_order(measured):
    assert split(measured, 1) == split(measured[::-1], 1)
    assert len({split(measured, seed) for seed in range(8)}) > 1


def test_what_is_predicted_was_not_in_the_fit(measured):
    seen = []

    class Watching:
        def __init__(self, given):
            self.families = {item.family for item in given}

        def seconds(self, model, chip, batch, options=None):
            family = next(item.family for item in measured if item.model is model)
            seen.append(family in self.families)
            return 1.0

    cross_validate(Watching, measured)
    assert seen
    assert not any(seen)


def test_a_predictor_that_fails_is_a_prediction_of_nothing(measured):
    class Refusing:
        def seconds(self, model, chip, batch, options=None):
            if model is measured[0].model:
                raise NotImplementedError("Einsum")
            return next(item.seconds for item in measured if item.model is model and item.batch == batch)

    predictions = cross_validate(lambda given: Refusing(), measured)
    found = score(predictions)
    assert found.failed == ("m0",)
    assert found.near == pytest.approx(66 / 72)
    assert found.peaks == pytest.approx(11 / 12)
    assert {item.off for item in predictions if item.error} == {1.0}
    assert "Einsum" in next(item.error for item in predictions if item.error)


def test_a_peak_one_step_away_counts_and_two_steps_do_not(measured):
    def moved(steps):
        answers = {}
        for item in measured:
            rate = 1000 * (2 - abs(math.log2(item.batch / 16) - steps) / 4)
            answers[id(item.model), item.batch] = item.batch / rate
        return lambda given: Oracle(answers)

    assert score(cross_validate(moved(1), measured)).peaks == 1
    assert score(cross_validate(moved(2), measured)).peaks == 0


def test_one_family_cannot_be_split(measured):
    with pytest.raises(UserError, match="split"):
        cross_validate(oracle(measured), measured[:12])


def test_samples_are_those_whose_graph_is_there(tmp_path):
    (tmp_path / "resnet18").mkdir()
    ir.save(graph(64), tmp_path / "resnet18" / "model.onnx")
    found = samples("ascend310p3", tmp_path)
    assert {item.key for item in found} == {"resnet18"}
    assert [item.batch for item in found][:3] == [1, 4, 8]
    assert found[0].rate == pytest.approx(2864.96)
    assert not samples("ascend310p3", tmp_path, agreements=["nearest variant"])


def test_work_counts_arithmetic_and_traffic_per_operator():
    work = baselines.work_of(graph(64, layers=2), 8)
    assert list(work.flops) == [2 * 8 * 64 * 64] * 2
    assert list(work.bytes) == [2 * (8 * 64 + 64 * 64 + 8 * 64)] * 2


def test_a_table_is_not_read_whole_and_metadata_is_free():
    builder = GraphBuilder("pick")
    table = builder.input("table", ir.DataType.FLOAT, [1000, 4])
    index = builder.input("index", ir.DataType.INT64, ["batch"])
    rows = builder.op("Gather", table, index)
    rows.shape, rows.dtype = ir.Shape(["batch", 4]), ir.DataType.FLOAT
    flat = builder.op("Flatten", rows)
    flat.shape, flat.dtype = ir.Shape(["batch", 4]), ir.DataType.FLOAT
    assert list(baselines.work_of(builder.finish([flat]), 5).bytes) == [2 * 5 * 4 * 2 + 5 * 8]


def test_half_of_the_peak_is_half_of_the_peak():
    assert CHIP.peak_flops == pytest.approx(69.5e12, rel=0.01)
    model = graph(512)
    seconds = baselines.half_of_peak([]).seconds(model, CHIP, 64)
    assert 2 * 3 * 64 * 512 * 512 / seconds == pytest.approx(0.5 * CHIP.peak_flops)


def test_the_roofline_finds_the_shares_that_made_the_measurements(measured):
    true = baselines.Roofline(0.61, 0.73)
    wide = [(index, graph(512 * (index + 1))) for index in range(6)]
    made = [
        Sample(f"m{index}", f"f{index}", "c", CHIP, batch, true.seconds(model, CHIP, batch), model)
        for index, model in wide
        for batch in (1, 64, 1024)
    ]
    found = baselines.roofline(made)
    assert (found.compute, found.bandwidth) == (pytest.approx(0.61, rel=0.01), pytest.approx(0.73, rel=0.01))
    table = compare({"half": baselines.half_of_peak, "roofline": baselines.roofline}, made)
    assert table["roofline"].median_ape < 0.01 < table["half"].median_ape
