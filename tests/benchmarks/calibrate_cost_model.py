"""Fits the cost model to the published measurements and writes ``zoo/ascend/calibration.yaml``.

Run it after a change of the cost model: ``python -m tests.benchmarks.calibrate_cost_model GRAPHS``. Each chip with
enough measurements gets constants of its own, and an error measured on models that they were not fitted on; the others
take those of the chip nearest in kind.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from zoo.ascend import cost
from zoo.ascend.calibration import Fitted, fit
from zoo.ascend.cost import Constants
from zoo.ascend.hardware import chip_names, load_chip
from zoo.ascend.validation import Prediction, Sample, cross_validate, models_apart, predict, samples, score

COMMAND = "python -m tests.benchmarks.calibrate_cost_model build/published"
# The chip with most measurements comes first: its constants are what is expected of the others.
FITTED = ("ascend310p3", "ascend310", "ascend310b1")
OUT = Path(cost.__file__).with_name("calibration.yaml")
HEAD = f"# Written by `{COMMAND}`; what each constant means stands in cost.py.\n"


def fitted(chip: str, graphs: Path, start: Constants | None) -> tuple[Constants, dict[str, Any], str]:
    """Return constants, validation and how they were found."""
    found = samples(chip, graphs)
    constants = fit(found, start).constants
    models = len({sample.key for sample in found})
    how = f"{len(found)} published rows of {models} models, {datetime.date.today()}, `{COMMAND}`"
    return constants, {**errors(chip, models_apart(found), start), "families_apart": errors(chip, found, start)}, how


def errors(chip: str, found: Sequence[Sample], start: Constants | None) -> dict[str, Any]:
    """Return the errors on the samples of each fold by a fit on the others."""
    return figures(chip, cross_validate(lambda given: fit(given, start), found))


def borrowed(chip: str, graphs: Path, constants: Constants) -> dict[str, Any] | None:
    """Return the errors of another chip's constants on the few measurements of ``chip``; None where there are none."""
    found = samples(chip, graphs)
    return figures(chip, [predict(Fitted(constants), sample) for sample in found]) if found else None


def figures(chip: str, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Return the scores of ``predictions`` as they stand in the file."""
    scores = score(predictions)
    return {
        "chip": chip,
        "models": scores.models,
        "rows": scores.rows,
        "median_ape": round(scores.median_ape, 4),
        "within_1.5x": round(scores.near, 4),
        "spearman": None if math.isnan(scores.spearman) else round(scores.spearman, 4),
        "peak_within_one_step": None if math.isnan(scores.peaks) else round(scores.peaks, 4),
    }


def nearest(chip: str) -> str:
    """Return whose constants ``chip`` takes: its own, those of its architecture, else of the chip measured most."""
    if chip in FITTED:
        return chip
    arch = load_chip(chip).arch
    return next((name for name in FITTED if load_chip(name).arch == arch), FITTED[0])


def main() -> None:
    """Fit, validate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", type=Path)
    graphs = parser.parse_args().graphs
    start: Constants | None = None
    constants: dict[str, Any] = {}
    validations: dict[str, Any] = {}
    for chip in FITTED:
        values, validations[chip], how = fitted(chip, graphs, start)
        start = start or values
        rounded = {name: float(f"{value:.4g}") for name, value in dataclasses.asdict(values).items()}
        constants[chip] = {"how": how, "values": rounded}
        print(chip, validations[chip], flush=True)  # noqa: T201
    for chip in chip_names():
        if chip not in FITTED:
            validations[chip] = borrowed(chip, graphs, Constants(**constants[nearest(chip)]["values"]))
    chips = {name: {"constants": nearest(name), "validation": validations.get(name)} for name in chip_names()}
    text = yaml.safe_dump({"constants": constants, "chips": chips}, sort_keys=False)
    beside = OUT.with_suffix(".new")
    beside.write_text(HEAD + text, encoding="utf-8")
    beside.replace(OUT)


if __name__ == "__main__":
    main()
