"""The one line a model gets in the summary: what was found, and nothing that was not."""

from __future__ import annotations

import math

from reports.facts import Accuracy, AccuracyRow, Label, Machine, Model, OutputParity, Parity
from reports.formats import machine

_MARKS = {"pass": "✓", "fail": "✕"}

# How many rows of an unbounded list a page shows before it points to the file.
SHOWN = 50


def mark(verdict: str | None) -> str:
    """Return the sign that stands beside a verdict, so that no verdict is told by colour alone."""
    return _MARKS.get(verdict or "", "–")


def share(output: OutputParity) -> float | None:
    """Return the budget ratio over its limit; NaN counts as beyond every limit."""
    ratio, limit = output.budget.ratio, output.budget.limit
    if ratio is None or not limit:
        return None
    return math.inf if math.isnan(ratio) else ratio / limit


def worst(result: Parity) -> OutputParity | None:
    """Return the output that uses most of its budget, a failed one first; ``None`` without any ratio."""
    rated = [output for output in result.outputs if output.budget.ratio is not None]
    return max(rated, key=_badness, default=None)


def by_badness(result: Parity) -> list[OutputParity]:
    """Return the outputs, worst first."""
    return sorted(result.outputs, key=_badness, reverse=True)


def _badness(output: OutputParity) -> tuple[bool, float]:
    found = share(output)
    return output.verdict == "fail", (output.budget.ratio or 0.0) if found is None else found


def verdict(model: Model) -> str | None:
    """Return the verdict of the first executor: ONNX Runtime where it was checked."""
    return model.parity[0].verdict if model.parity else None


def tally(models: tuple[Model, ...]) -> dict[str, int]:
    """Return how many models pass, fail, and have no verdict."""
    counts = {"pass": 0, "fail": 0, "none": 0}
    for model in models:
        found = verdict(model)
        counts[found if found in ("pass", "fail") else "none"] += 1
    return counts


def headline(models: tuple[Model, ...]) -> str:
    """Return the result of the whole report in one line."""
    counts = tally(models)
    said = {"pass": "{} passed parity", "fail": "{} failed", "none": "{} without a verdict yet"}
    parts = [said[key].format(number) for key, number in counts.items() if number]
    return f"{len(models)} model{'' if len(models) == 1 else 's'}: {', '.join(parts)}" if models else "No models"


def accuracy_row(result: Accuracy | None, label: Label) -> AccuracyRow | None:
    """Return the first accuracy row with that label."""
    return next((row for row in result.rows if row.label == label), None) if result else None


def sortable(value: float | None) -> str:
    """Return a figure as the page's script sorts it; what is not a number is beyond all of them."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return "-Infinity" if value < 0 else "Infinity"
    return repr(value)


def evidence(label: Label, executor: str | None, where: Machine) -> str:
    """Return the words that say how a figure came about."""
    spot = machine(where)
    on = f"on this machine: {spot}" if spot else "on a machine that was not recorded"
    if label == "emulated":
        return f"Measured on the emulator of {executor or 'a chip'}, never on the chip; the emulator ran {on}"
    return f"Measured {on}"


def sentence(words: str) -> str:
    """Return words as a sentence: a capital first and a full stop last."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def weights(model: Model) -> str:
    """Return whether the weights are real or seeded, with the seed said aloud."""
    source = model.provenance
    if source.weights != "seeded":
        return source.weights or ""
    return f"seeded (seed {source.seed})" if source.seed is not None else "seeded"


def treatment(model: Model) -> str:
    """Return what was done to the weights before the port, as the card words it."""
    return ", ".join(model.provenance.treatment)
