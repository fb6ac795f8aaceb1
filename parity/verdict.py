"""What is said of a port: results, and the judgement of what was collected."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from parity import guards
from parity.language import LanguageResult
from parity.layers.bisect import Search
from parity.layers.memory import Memory
from parity.layers.mistakes import Mistake
from parity.layers.result import LayerResult
from parity.metrics import Metrics
from parity.phases import RunnerError
from parity.precision.loss import OperatorLoss
from parity.tally import OutputTally
from parity.tolerance import Budget, Limits, Power, budget, power
from zoo.executor import is_chip
from zoo.timing import machine


@dataclass(frozen=True)
class OutputResult:
    """What is said of one output; metrics are against the original, the budget against the truth.

    Attributes:
        run: The run that this is said of: ``optimised`` or ``unoptimised``, the worse of the two.
        probe_ratio: The same ratio over the probes, each in units of its own truth; NaN where none was run.
        notes: Sentences a person should read.
    """

    name: str
    shape: list[int]
    dtype: str
    max_abs: float
    rel_l2: float
    cosine: float
    sqnr_db: float
    ulp_p99: float
    budget: Budget | None
    power: Power | None
    probe_ratio: float
    run: str
    verdict: str
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ParityResult:
    """What ``parity.json`` holds; the fields of design.md's contract and more.

    Attributes:
        executor: Where the port ran.
        precision: Which budget it was held against.
        verdict: ``pass``, ``fail``, or ``error`` where a runner ended without an answer: then nothing was measured.
        cases: Ordinary inputs and probes.
        truth: ``float64``, ``perturbation`` or ``recorded``.
        outputs: One entry for each output.
        guards: The guards that did not hold.
        layers: Layer results, where they were asked for.
        first_divergence: Handle of the first layer that is wrong by its own doing.
        diagnosis: What to make of it, in words.
        mistakes: Known mistakes whose correction makes the first wrong layer right, the most particular first.
        language: What is said of outputs that are logits over a vocabulary.
        operators: On a chip, the operators that overflow, then those that lose the most.
        decided_by: ``outputs``, or ``layers`` where the outputs decide nothing or a runtime's kernel is at fault.
        machine: Where it was measured.
        peak_rss_bytes: Peak of resident memory, frameworks included, where layers were compared.
        memory: What was taken of the memory that was allowed; ``None`` where there was no limit.
        search: How the first wrong layer was looked for; ``None`` where every layer was compared, or none.
        error: A runner's last words, where it died, hung or took too much.
    """

    executor: str
    precision: str
    verdict: str
    cases: int
    probes: int
    seed: int
    truth: str
    outputs: list[OutputResult]
    guards: list[guards.Finding]
    layers: list[LayerResult] = field(default_factory=list)
    first_divergence: str | None = None
    diagnosis: str = ""
    mistakes: list[Mistake] = field(default_factory=list)
    language: list[LanguageResult] = field(default_factory=list)
    operators: list[OperatorLoss] = field(default_factory=list)
    decided_by: str = "outputs"
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=machine)
    peak_rss_bytes: int = 0
    error: RunnerError | None = None
    memory: Memory | None = None
    search: Search | None = None

    @property
    def holds(self) -> bool:
        """Whether the verdict is ``pass``."""
        return self.verdict == "pass"


def precision_of(on: str, mode: str | None = None) -> str:
    """Return the precision whose budget a port is held to on an executor, or on a chip in a precision mode."""
    if not is_chip(on):
        return "fp32"
    from zoo.ascend.hardware import load_chip
    from zoo.ascend.precision import DEFAULT_MODE, budget_of, find_mode

    return budget_of(find_mode(mode or DEFAULT_MODE), load_chip(on))


def result_name(on: str, mode: str | None = None) -> str:
    """Return the name under which the result on an executor is saved."""
    return "parity" if on == "onnxruntime" else "-".join(("parity", on.lower(), *([mode] if mode else [])))


def by_output(tallies: dict[tuple[str, str], OutputTally]) -> dict[str, dict[str, OutputTally]]:
    """Return what was collected by (output, run) as runs by output."""
    grouped: dict[str, dict[str, OutputTally]] = {}
    for (name, run), tally in tallies.items():
        grouped.setdefault(name, {})[run] = tally
    return grouped


def worst(name: str, runs: dict[str, OutputTally], limits: Limits) -> OutputResult:
    """Judge every run of the port and return what is said of the worse."""
    results = [_decided(_judge(name, run, tally, limits), tally, limits) for run, tally in runs.items()]
    return max(results, key=lambda result: (result.verdict == "fail", result.budget.ratio if result.budget else 0.0))


def _decided(result: OutputResult, tally: OutputTally, limits: Limits) -> OutputResult:
    """Hold the decisions of an output whose rows the model selects against those of the original."""
    if tally.decisions is None:
        return result
    fault = tally.decisions.fault(limits.ratio)
    if fault:
        return replace(result, verdict="fail", notes=[*result.notes, fault])
    note = f"{tally.decisions.port} of {tally.decisions.rows} selections fall otherwise: {tally.decisions.usual}"
    return replace(result, notes=[*result.notes, note]) if tally.decisions.port else result


def _judge(name: str, run: str, tally: OutputTally, limits: Limits) -> OutputResult:
    if tally.integers:
        return _judge_exact(name, run, tally)
    found = budget(tally.port, tally.original, tally.dtype, limits)
    signal, noise = tally.signal.measure()
    floor = found.original_error / max(tally.original.elements, 1) ** 0.5
    width = tally.original.error_norm / tally.original.reference_norm if tally.original.reference_norm else 0.0
    strength = None if np.isnan(signal) else power(signal, max(noise, floor), width, limits)
    probe = _probe_ratio(tally, limits)
    holds, notes = held(found, probe, strength, limits)
    metrics = tally.direct.metrics()
    return _output(name, run, tally, metrics, found, strength, probe, holds, notes)


def held(found: Budget, probe: float, strength: Power | None, limits: Limits) -> tuple[bool, list[str]]:
    """Say whether an output holds, and what a person should read about it; ``probe`` is NaN where none was run."""
    notes = []
    holds = found.holds
    if not np.isnan(probe) and probe > limits.probe:
        holds = False
        notes.append(f"on the probes the ratio is {probe:.3g}, limit {limits.probe:g}")
    if strength is not None and not strength.decides:
        holds = holds and not limits.needs_power
        notes.append(_powerless(strength))
    return holds, notes


def _output(
    name: str,
    run: str,
    tally: OutputTally,
    metrics: Metrics,
    found: Budget | None,
    strength: Power | None,
    probe: float,
    holds: bool,
    notes: list[str],
) -> OutputResult:
    return OutputResult(
        name, tally.shape, str(tally.dtype), metrics.max_abs, metrics.rel_l2, metrics.cosine, metrics.sqnr_db,
        metrics.ulp_p99, found, strength, probe, run, "pass" if holds else "fail", notes,
    )  # fmt: skip


def _judge_exact(name: str, run: str, tally: OutputTally) -> OutputResult:
    share = tally.mismatches / tally.integers
    notes = []
    if tally.mismatches:
        notes.append(f"{tally.mismatches} of {tally.integers} elements differ")
    if tally.undecided:
        notes.append(f"{tally.undecided} elements differ where the truth itself flips under one ULP: not counted")
    exact = Metrics(float(tally.mismatches > 0), share, 1.0 - share, float("inf") if not share else 0.0, 0.0)
    return _output(name, run, tally, exact, None, None, float("nan"), tally.mismatches == 0, notes)


def _probe_ratio(tally: OutputTally, limits: Limits) -> float:
    if not tally.probe_port:
        return float("nan")
    port, original = np.asarray(tally.probe_port), np.maximum(tally.probe_original, limits.floor)
    return float(np.sqrt((port**2).sum() / (original**2).sum()))


def _powerless(strength: Power) -> str:
    if strength.reason == "ill-conditioned":
        return (
            f"ill-conditioned: the original itself is {strength.budget_width:.2g} from its float64 truth; "
            "the outputs decide nothing"
        )
    return (
        f"blind: what the input decides is only {strength.signal_over_noise:.3g} times the noise; "
        "the outputs decide nothing"
    )


def verdict(
    on: str,
    precision: str,
    seed: int,
    truth: str,
    outputs: list[OutputResult],
    findings: list[guards.Finding],
    ran: int,
    probed: int,
    notes: list[str],
) -> ParityResult:
    """Return the verdict on the outputs and the guards."""
    failed = [result for result in outputs if result.verdict == "fail"]
    holds = bool(outputs) and not failed and not findings
    return ParityResult(
        on, precision, "pass" if holds else "fail", ran, probed, seed, truth, outputs, findings,
        diagnosis=diagnosis_of(failed, findings), notes=notes,
    )  # fmt: skip


def diagnosis_of(failed: list[OutputResult], findings: list[guards.Finding]) -> str:
    """Return in words what speaks against a port."""
    parts = [
        f"{finding.guard}{' of ' + finding.output if finding.output else ''}: {finding.detail}"
        for finding in findings[:3]
    ]
    for result in failed[:3]:
        if result.budget is not None and not result.budget.holds:
            parts.append(
                f"{result.name} ({result.run}): the port is {result.budget.ratio:.3g} times as far from the truth as "
                f"the original (limit {result.budget.limit:g}), largest difference {result.budget.max_abs_ratio:.3g} "
                f"times (limit {result.budget.max_abs_limit:g})"
            )
        parts += [f"{result.name} ({result.run}): {note}" for note in result.notes]
    return "; ".join(parts)
