"""How far predictors of execution times are from what was published, on models that they were not fitted on.

Needs the graphs of the published models; `python -m tests.benchmarks.published_graphs` makes them. Prints one table for
each chip and writes build/bench/cost_model.json. The cost model is looked up as `zoo.ascend.calibration.fit`.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
import time
import types
from collections.abc import Mapping
from pathlib import Path

import pytest

from zoo.ascend.baselines import half_of_peak, roofline, work_of
from zoo.ascend.published.graphs import COMMAND, ported
from zoo.ascend.validation import NEAR, Fit, Prediction, Scores, cross_validate, models_apart, samples, score

GRAPHS = Path(os.environ.get("ZOOPORT_PUBLISHED_GRAPHS", "build/published"))
OUT = Path("build/bench/cost_model.json")
COST_MODEL = "zoo.ascend.calibration"
# Chips with two families of mapped models or more; the others cannot be validated by model.
CHIPS = ("ascend310p3", "ascend310", "ascend310b1")
# What the cost model has to reach on the 310P3, of models left out of its fit.
MEDIAN_APE, WITHIN, SPEARMAN, PEAKS = 0.20, 0.90, 0.95, 0.70


def need_graphs() -> None:
    """Skip the test where nothing has been ported."""
    if not ported(GRAPHS):
        pytest.skip(f"the graphs are not there: {COMMAND.format(GRAPHS)}")


def fits() -> dict[str, Fit]:
    """Return the predictors to compare, the cost model first where there is one."""
    found: dict[str, Fit] = {"50 % of the peak": half_of_peak, "roofline, fitted": roofline}
    try:
        module = importlib.import_module(COST_MODEL)
    except ModuleNotFoundError as error:
        if error.name != COST_MODEL:
            raise
        return found
    return {"cost model": module.fit, **found} if hasattr(module, "fit") else found


def table(chip: str, scores: Mapping[str, Scores]) -> str:
    """Return the scores of one chip as text."""
    some = next(iter(scores.values()))
    lines = [
        f"{chip}: {some.rows} rows of {some.models} models, {some.curves} curves; predicted by fits on other models",
        f"{'':20s} {'median error':>12s} {f'within {NEAR}x':>12s} {'Spearman':>10s} {'peak +-1':>9s} {'failed':>7s}",
    ]
    for name, found in scores.items():
        lines.append(
            f"{name:20s} {found.median_ape:12.1%} {found.near:12.1%} {found.spearman:10.3f} {found.peaks:9.1%} "
            f"{len(found.failed):7d}"
        )
    return "\n".join(lines)


def record(chip: str, found: Mapping[str, list[Prediction]], seconds: float) -> None:
    """Add a chip's scores and predictions to the file; the worst models of a predictor are found there."""
    known = json.loads(OUT.read_text()) if OUT.is_file() else {}
    scores = {name: dataclasses.asdict(score(predictions)) for name, predictions in found.items()}
    rows = [
        {
            "model": same[0].sample.key,
            "batch": same[0].sample.batch,
            "measured_s": same[0].sample.seconds,
            **{f"{name}, modelled_s": item.seconds for name, item in zip(found, same, strict=True)},
            **{f"{name}, error": item.error for name, item in zip(found, same, strict=True) if item.error},
        }
        for same in zip(*found.values(), strict=True)
    ]
    known[chip] = {"seconds": seconds, "scores": scores, "rows": rows}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(known, indent=1))


def test_the_cost_model_is_found_once_it_is_there(monkeypatch):
    module = types.ModuleType(COST_MODEL)
    module.fit = roofline
    monkeypatch.setitem(sys.modules, COST_MODEL, module)
    assert next(iter(fits().items())) == ("cost model", roofline)


@pytest.mark.parametrize("chip", CHIPS)
def test_no_mapped_model_was_measured_above_the_peak(chip):
    need_graphs()
    given = samples(chip, GRAPHS)
    shares = {(item.key, item.batch): work_of(item.model, item.batch).flops.sum() / item.seconds for item in given}
    assert not {at: share for at, share in shares.items() if share > given[0].chip.peak_flops}


@pytest.mark.parametrize("apart", ["model", "family"])
@pytest.mark.parametrize("chip", CHIPS)
def test_models_left_out_are_predicted(chip, apart):
    need_graphs()
    started = time.perf_counter()
    given = samples(chip, GRAPHS)
    given = models_apart(given) if apart == "model" else given
    predictions = {name: cross_validate(fit, given) for name, fit in fits().items()}
    record(f"{chip}, by {apart}", predictions, time.perf_counter() - started)
    scores = {name: score(found) for name, found in predictions.items()}
    print("\n" + table(f"{chip}, by {apart}", scores))  # noqa: T201
    assert scores["roofline, fitted"].median_ape < scores["50 % of the peak"].median_ape
    found = scores.get("cost model")
    if found is None:
        pytest.skip(f"{COST_MODEL} has no fit(samples) yet: the baselines alone were run")
    best = min(scores[name].median_ape for name in scores if name != "cost model")
    assert found.median_ape < best
    if chip == "ascend310p3" and apart == "model":
        assert found.median_ape <= MEDIAN_APE
        assert found.spearman >= SPEARMAN
        assert found.peaks >= PEAKS
        if found.near < WITHIN:
            pytest.xfail(
                f"a goal is missed: {found.near:.1%} of the rows are within {NEAR} times, {WITHIN:.0%} are asked for"
            )
