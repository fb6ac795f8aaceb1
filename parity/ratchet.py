"""The budget of one port: the default, unless its card loosens it, with the reason and the measured margin.

A limit that anybody can raise in silence holds nothing. Here it goes up only with a reason, only as far as was asked
for, only where a measurement needs it, and every step stays in the card for the next reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from parity.guards import Finding
from parity.layers.result import LayerResult
from parity.precision.loss import OperatorLoss
from parity.tolerance import LIMITS, Budget, Limits, Power
from parity.verdict import OutputResult, ParityResult, diagnosis_of, held
from zoo.artifact import Artifact
from zoo.errors import UserError

# Key of the card under which every loosening is kept, the latest last.
BUDGETS = "budgets"
# The limit of largest differences and of probes, in units of the limit of the ratio (6 over 3).
WIDER = 2.0


@dataclass(frozen=True)
class Loosening:
    """One step up of a limit, as it stands in the card.

    Attributes:
        precision: The budget it is of.
        was: The limit of the ratio before.
        ratio: The limit since.
        measured: The ratio that was measured then, the largest of all outputs, probes and largest differences in the
            same units.
        reason: Why it is right all the same, in the words of whoever did it.
        date: The day, UTC.
    """

    precision: str
    was: float
    ratio: float
    measured: float
    reason: str
    date: str


def history(artifact: Artifact, precision: str) -> list[Loosening]:
    """Return every loosening of a budget that the card knows, the latest last.

    Raises:
        UserError: If an entry of the card is none.
    """
    entries = artifact.card().get(BUDGETS, [])
    try:
        steps = [Loosening(**entry) for entry in entries]
    except TypeError as error:
        raise UserError("a budget of the card cannot be read", place=str(artifact.path), got=str(error)) from error
    return [step for step in steps if step.precision == precision]


def limits_of(artifact: Artifact, precision: str) -> Limits:
    """Return the limits that a port is held to: those of its precision, or what its card makes of them."""
    steps = history(artifact, precision)
    return scaled(LIMITS[precision], steps[-1].ratio) if steps else LIMITS[precision]


def scaled(limits: Limits, ratio: float) -> Limits:
    """Return limits with another ratio; largest differences and probes keep their proportion to it."""
    if not ratio > 0:
        raise UserError("a budget is a positive number", place="--budget", got=f"{ratio:g}")
    return replace(limits, ratio=ratio, max_abs=WIDER * ratio, probe=WIDER * ratio)


def said(artifact: Artifact, precision: str) -> list[str]:
    """Return the history as sentences."""
    return [
        f"the budget was loosened from {step.was:g} to {step.ratio:g} on {step.date} (measured {step.measured:.3g}): "
        f"{step.reason}"
        for step in history(artifact, precision)
    ]


def measured(outputs: Sequence[OutputResult]) -> float:
    """Return the least ratio limit under which every output holds."""
    ratios = [0.0]
    for output in outputs:
        if output.budget is not None:
            ratios += [output.budget.ratio, output.budget.max_abs_ratio / WIDER]
        if output.probe_ratio == output.probe_ratio:
            ratios.append(output.probe_ratio / WIDER)
    return max(ratios)


def ask(artifact: Artifact, precision: str, ratio: float, reason: str) -> Limits:
    """Return the limits for a check with another ratio.

    Raises:
        UserError: If it is looser than the card's and comes without a reason.
    """
    now = limits_of(artifact, precision)
    if ratio > now.ratio and not reason.strip():
        raise UserError(
            "a looser budget needs a reason",
            place="--budget",
            expected=f"at most {now.ratio:g}, or --reason TEXT, which goes into the card with what is measured",
            got=f"{ratio:g}",
        )
    return scaled(LIMITS[precision], ratio)


def loosen(artifact: Artifact, result: ParityResult, ratio: float, reason: str) -> Loosening | None:
    """Write a loosening into the card if the result needs it and holds under it; say which, or ``None``."""
    now, needs = limits_of(artifact, result.precision), measured(result.outputs)
    if not result.holds or ratio <= now.ratio or needs <= now.ratio:
        return None
    step = Loosening(
        result.precision, now.ratio, ratio, float(f"{needs:.4g}"), reason.strip(), datetime.now(UTC).date().isoformat()
    )
    card = artifact.card()
    artifact.replace_card({**card, BUDGETS: [*card.get(BUDGETS, []), asdict(step)]})
    return step


# -- without running ----------------------------------------------------------------------------------------------


def rejudge(record: Mapping[str, Any], limits: Limits) -> ParityResult:
    """Judge a saved result once more under other limits; nothing is run.

    What no limit decides stays as it was: guards, integer outputs, layers. A verdict that the layers gave stays theirs.
    """
    result = read(record)
    if result.decided_by == "layers" or result.first_divergence:
        return result
    outputs = [_judged(output, limits) for output in result.outputs]
    failed = [output for output in outputs if output.verdict == "fail"]
    holds = bool(outputs) and not failed and not result.guards
    return replace(
        result,
        outputs=outputs,
        verdict="pass" if holds else "fail",
        diagnosis=diagnosis_of(failed, result.guards),
    )


def _judged(output: OutputResult, limits: Limits) -> OutputResult:
    if output.budget is None:
        return output
    found = replace(output.budget, limit=limits.ratio, max_abs_limit=limits.max_abs)
    holds, notes = held(found, output.probe_ratio, output.power, limits)
    return replace(output, budget=found, verdict="pass" if holds else "fail", notes=notes)


def read(record: Mapping[str, Any]) -> ParityResult:
    """Return a saved result (``parity.json``) as it was.

    Raises:
        UserError: If it is none.
    """
    plain = _numbers(record)
    try:
        outputs = [
            OutputResult(
                **{
                    **entry,
                    "budget": Budget(**entry["budget"]) if entry["budget"] else None,
                    "power": Power(**entry["power"]) if entry["power"] else None,
                }
            )
            for entry in plain["outputs"]
        ]
        guards = [Finding(**entry) for entry in plain["guards"]]
        layers = [LayerResult(**entry) for entry in plain["layers"]]
        operators = [OperatorLoss(**entry) for entry in plain.get("operators", [])]
        parts = {"outputs": outputs, "guards": guards, "layers": layers, "operators": operators}
        return ParityResult(**{**plain, **parts})
    except (KeyError, TypeError) as error:
        raise UserError("the saved result cannot be read", got=str(error), hint="zooport check DIR") from error


def _numbers(value: Any) -> Any:
    """Return JSON values with the floats that JSON cannot spell; the words stand for nothing else in a result."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return float(value) if value in ("inf", "-inf", "nan") else value
