"""``check``: original, truth and port on the same inputs, and the verdict that the noise budget gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from parity import cases as cases_module
from parity import guards, rows
from parity.cases import Case
from parity.layers.agreement import Agreement
from parity.layers.diagnosis import with_layers
from parity.layers.result import LayerResult
from parity.metrics import Metrics, Pool, is_float
from parity.rows import Decisions
from parity.sides import Sides, Triple
from parity.signal import Signal
from parity.tolerance import LIMITS, Budget, Limits, Power, budget, power
from porters.porter import Original
from zoo.artifact import Artifact
from zoo.errors import UserError
from zoo.executor import is_chip
from zoo.timing import machine

SEED = 1
Progress = Callable[[str], None]


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
        verdict: ``pass`` or ``fail``.
        cases: Ordinary inputs and probes.
        truth: ``float64``, ``perturbation`` or ``recorded``.
        outputs: One entry for each output.
        guards: The guards that did not hold.
        layers: Layer results, where they were asked for.
        first_divergence: Handle of the first layer that is wrong by its own doing.
        diagnosis: What to make of it, in words.
        decided_by: ``outputs``, or ``layers`` where the outputs decide nothing or a runtime's kernel is at fault.
        machine: Where it was measured.
        peak_rss_bytes: Peak of resident memory, frameworks included, where layers were compared.
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
    decided_by: str = "outputs"
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=machine)
    peak_rss_bytes: int = 0

    @property
    def holds(self) -> bool:
        """Whether the verdict is ``pass``."""
        return self.verdict == "pass"


@dataclass
class _Tally:
    """What is collected of one output over all cases, for one run of the port."""

    dtype: np.dtype[Any]
    shape: list[int]
    port: Pool = field(default_factory=Pool)
    original: Pool = field(default_factory=Pool)
    direct: Pool = field(default_factory=Pool)
    signal: Signal = field(default_factory=Signal)
    probe_port: list[float] = field(default_factory=list)
    probe_original: list[float] = field(default_factory=list)
    mismatches: int = 0
    undecided: int = 0
    integers: int = 0
    decisions: Decisions | None = None


def check(
    artifact: Artifact,
    *,
    on: str = "onnxruntime",
    original: Original | None = None,
    cases: int = 0,
    seed: int = SEED,
    limits: Limits | None = None,
    layers: bool = False,
    save: bool = True,
    progress: Progress = lambda stage: None,
) -> ParityResult:
    """Check an artifact against its untouched original and return (and save) the verdict.

    Args:
        artifact: The port.
        on: The executor, or a chip, whose emulated precision has a budget of its own.
        original: The original, where it should not be built again from the card's source.
        cases: Ordinary inputs; the least number that makes a verdict where it is 0.
        seed: Seed of the inputs.
        limits: Thresholds; the default is that of the precision.
        layers: Whether to compare every layer as well; what is too large for memory is then run layer by layer only.
        save: Whether to write ``parity.json`` (``parity-EXECUTOR.json`` beside ONNX Runtime).
        progress: Hears the name of each step.

    Raises:
        UserError: If the original cannot be built and nothing was recorded.
    """
    precision = "fp16_cube" if is_chip(on) else "fp32"
    limits = limits or LIMITS[precision]
    with Sides(artifact, on, original, precision, seed, progress, by_layers=layers) as sides:
        tallies, findings, ran, probed = _run_all(sides, cases, seed, progress)
        outputs = [_worst(name, runs, limits) for name, runs in _by_output(tallies).items()]
        result = _verdict(on, precision, seed, sides.truth, outputs, findings, ran, probed, sides.notes)
        if layers or (not result.holds and on == "onnxruntime" and sides.truth == "float64"):
            result = _by_layers(result, sides, limits, progress, asked=layers)
    if save:
        artifact.add_result("parity" if on == "onnxruntime" else f"parity-{on.lower()}", result)
    return result


# -- running ------------------------------------------------------------------------------------------------------


def _run_all(
    sides: Sides, cases: int, seed: int, progress: Progress
) -> tuple[dict[tuple[str, str], _Tally], list[guards.Finding], int, int]:
    tallies: dict[tuple[str, str], _Tally] = {}
    findings: list[guards.Finding] = []
    previous: Triple | None = None
    count = 0
    while not _enough(tallies, count, cases) and count < sides.most_cases:
        progress(f"input {count + 1}")
        case = sides.ordinary(count)
        triple = sides.run(case)
        findings += _take_in(tallies, triple, case, sides.groups)
        if previous is not None:
            findings += _alive(previous, triple, case)
        previous, count = triple, count + 1
    probed = 0
    for case in sides.probes():
        progress(case.name)
        triple = sides.run(case)
        if sides.reduced and _overflows(triple):
            sides.notes.append(f"{case.name} left out: the original itself overflows on it in this precision")
            continue
        findings += _take_in(tallies, triple, case, sides.groups)
        probed += 1
    findings += sides.repeatable()
    findings += sides.weights()
    return tallies, _unique(findings), count, probed


def _overflows(triple: Triple) -> bool:
    """Say whether the original's own rounding made infinities or NaN that the truth does not have."""
    return any(
        not np.isfinite(array).all() and bool(np.isfinite(triple.truth[name]).all())
        for name, array in triple.original.items()
        if array.dtype.kind == "f"
    )


def _enough(tallies: dict[tuple[str, str], _Tally], count: int, asked: int) -> bool:
    if asked:
        return count >= asked
    if not tallies:
        return False
    if count >= cases_module.LEAST_SMALL and any(
        tally.decisions and not tally.decisions.rows for tally in tallies.values()
    ):
        return True  # nothing was selected and nothing will be
    return all(
        cases_module.enough(count, int(np.prod(tally.shape or [1])), max(tally.port.elements, tally.integers))
        for tally in tallies.values()
    )


def _take_in(
    tallies: dict[tuple[str, str], _Tally], whole: Triple, case: Case, groups: Sequence[Sequence[str]]
) -> list[guards.Finding]:
    findings: list[guards.Finding] = []
    for run in whole.ports:
        triple, decisions = _matched(whole, run, groups)
        port = triple.ports[run]
        findings += [
            replace(finding, detail=f"{finding.detail} ({run})")
            for finding in guards.inspect(case.name, triple.original, port)
        ]
        for name, r in triple.original.items():
            c = port.get(name)
            if c is None or c.shape != r.shape:
                continue
            tally = tallies.setdefault((name, run), _Tally(r.dtype, list(whole.original[name].shape)))
            if name in decisions:
                tally.decisions = decisions[name] + tally.decisions
            t = triple.truth[name]
            if not is_float(r):
                _take_in_exact(tally, r, c, t, triple.flips.get(name))
            elif case.probe:
                _take_in_probe(tally, *_without_ends(r, c, t))
            else:
                _take_in_ordinary(tally, *_without_ends(r, c, t), batched=triple.batched(name))
    return findings


def _take_in_ordinary(tally: _Tally, r: np.ndarray, c: np.ndarray, t: np.ndarray, *, batched: bool) -> None:
    tally.port.add(t, c)
    tally.original.add(t, r)
    tally.direct.add(r, c, ulps=True)
    tally.signal.add(t, r, batched)


def _without_ends(r: np.ndarray, c: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the three with 0 where original and port are both at the same end of their dtype's range.

    A mask adds the lowest number of its dtype: in float64 that is another number, and its square is none at all.
    """
    if r.dtype.kind != "f" or t.shape != r.shape:
        return r, c, t
    with np.errstate(over="ignore"):
        far = np.isfinite(r) & (np.abs(r) >= 0.99 * np.finfo(r.dtype).max)
    if not far.any():
        return r, c, t
    same = far & np.isfinite(c) & (np.abs(c - r) <= 0.01 * np.abs(r))
    return np.where(same, 0, r).astype(r.dtype), np.where(same, 0, c).astype(c.dtype), np.where(same, 0, t)


def _matched(triple: Triple, run: str, groups: Sequence[Sequence[str]]) -> tuple[Triple, dict[str, Decisions]]:
    """Put the rows that the model selects side by side; return their decisions by output."""
    original, truth, port = triple.original, triple.truth, triple.ports[run]
    decisions: dict[str, Decisions] = {}
    for names in groups:
        if all(name in port for name in names):
            original, truth, port, found = rows.side_by_side(original, truth, port, triple.moved, names)
            decisions |= dict.fromkeys(names, found)
    return replace(triple, original=original, truth=truth, ports={run: port}), decisions


def _take_in_exact(tally: _Tally, r: np.ndarray, c: np.ndarray, t: np.ndarray, flips: np.ndarray | None) -> None:
    """Integers and booleans must be equal, except where the truth itself flips under a change of one ULP."""
    wrong = np.atleast_1d(r != c)
    tally.integers += wrong.size
    open_ = np.atleast_1d(t.astype(r.dtype) != r) if t.shape == r.shape else np.zeros_like(wrong)
    if flips is not None and flips.shape == r.shape:
        open_ = open_ | np.atleast_1d(flips)
    tally.mismatches += int((wrong & ~open_).sum())
    tally.undecided += int((wrong & open_).sum())


def _take_in_probe(tally: _Tally, r: np.ndarray, c: np.ndarray, t: np.ndarray) -> None:
    """Each probe counts in units of its own truth: a large probe must not drown the others."""
    port, original = Pool(), Pool()
    port.add(t, c)
    original.add(t, r)
    scale = port.reference_norm
    if scale == 0:
        # Nothing but zeros: the port's own size is its error.
        tally.probe_port.append(port.error_norm)
        tally.probe_original.append(max(original.error_norm, float(np.finfo(np.float32).tiny)))
        return
    tally.probe_port.append(port.error_norm / scale)
    gap = float(np.finfo(r.dtype).eps) if r.dtype.kind == "f" else 2.0**-7
    tally.probe_original.append(max(original.error_norm / scale, gap))


def _alive(before: Triple, after: Triple, case: Case) -> list[guards.Finding]:
    """An output that is the same for two inputs although the original's is not has lost its input."""
    findings = []
    lively = set(before.original) - set(guards.ignored_input(before.original, after.original))
    for run in after.ports:
        for name in guards.ignored_input(before.ports[run], after.ports[run]):
            if name in lively and before.original[name].shape == after.original[name].shape:
                findings.append(guards.Finding(name, "ignores-input", case.name, f"same bits for two inputs ({run})"))
    return findings


def _unique(findings: Sequence[guards.Finding]) -> list[guards.Finding]:
    kept: dict[tuple[str, str], guards.Finding] = {}
    for finding in findings:
        kept.setdefault((finding.output, finding.guard), finding)  # the first case is enough
    return list(kept.values())


def _by_layers(result: ParityResult, sides: Sides, limits: Limits, progress: Progress, *, asked: bool) -> ParityResult:
    """Compare the layers, unless nothing else was run: then they have been compared already."""
    agreement = Agreement()
    try:
        if sides.layers is None or not sides.layers.inputs:
            probed = any(output.probe_ratio > limits.probe for output in result.outputs)
            for case in [sides.ordinary(0), sides.ordinary(1), *(sides.probes() if probed else [])]:
                if case.probe and sides.layers is not None and sides.layers.result().first_divergence is not None:
                    break  # it is wrong as it is
                progress(f"layers: {case.name}")
                agreement &= sides.compare_layers(case)
    except UserError as error:
        if asked:
            raise
        return replace(result, notes=[*result.notes, f"the layers were not looked at: {error.got or error.fact}"])
    assert sides.layers is not None
    return with_layers(result, sides.layers.result(), agreement, limits)


# -- judging ------------------------------------------------------------------------------------------------------


def _by_output(tallies: dict[tuple[str, str], _Tally]) -> dict[str, dict[str, _Tally]]:
    grouped: dict[str, dict[str, _Tally]] = {}
    for (name, run), tally in tallies.items():
        grouped.setdefault(name, {})[run] = tally
    return grouped


def _worst(name: str, runs: dict[str, _Tally], limits: Limits) -> OutputResult:
    results = [_decided(_judge(name, run, tally, limits), tally, limits) for run, tally in runs.items()]
    return max(results, key=lambda result: (result.verdict == "fail", result.budget.ratio if result.budget else 0.0))


def _decided(result: OutputResult, tally: _Tally, limits: Limits) -> OutputResult:
    """Hold the decisions of an output whose rows the model selects against those of the original."""
    if tally.decisions is None:
        return result
    fault = tally.decisions.fault(limits.ratio)
    if fault:
        return replace(result, verdict="fail", notes=[*result.notes, fault])
    note = f"{tally.decisions.port} of {tally.decisions.rows} selections fall otherwise: {tally.decisions.usual}"
    return replace(result, notes=[*result.notes, note]) if tally.decisions.port else result


def _judge(name: str, run: str, tally: _Tally, limits: Limits) -> OutputResult:
    if tally.integers:
        return _judge_exact(name, run, tally)
    found = budget(tally.port, tally.original, tally.dtype, limits)
    signal, noise = tally.signal.measure()
    floor = found.original_error / max(tally.original.elements, 1) ** 0.5
    width = tally.original.error_norm / tally.original.reference_norm if tally.original.reference_norm else 0.0
    strength = None if np.isnan(signal) else power(signal, max(noise, floor), width, limits)
    probe = _probe_ratio(tally)
    notes = []
    holds = found.holds
    if not np.isnan(probe) and probe > limits.probe:
        holds = False
        notes.append(f"on the probes the ratio is {probe:.3g}, limit {limits.probe:g}")
    if strength is not None and not strength.decides:
        holds = holds and not limits.needs_power
        notes.append(_powerless(strength))
    metrics = tally.direct.metrics()
    return _output(name, run, tally, metrics, found, strength, probe, holds, notes)


def _output(
    name: str,
    run: str,
    tally: _Tally,
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


def _judge_exact(name: str, run: str, tally: _Tally) -> OutputResult:
    share = tally.mismatches / tally.integers
    notes = []
    if tally.mismatches:
        notes.append(f"{tally.mismatches} of {tally.integers} elements differ")
    if tally.undecided:
        notes.append(f"{tally.undecided} elements differ where the truth itself flips under one ULP: not counted")
    exact = Metrics(float(tally.mismatches > 0), share, 1.0 - share, float("inf") if not share else 0.0, 0.0)
    return _output(name, run, tally, exact, None, None, float("nan"), tally.mismatches == 0, notes)


def _probe_ratio(tally: _Tally) -> float:
    if not tally.probe_port:
        return float("nan")
    port, original = np.asarray(tally.probe_port), np.asarray(tally.probe_original)
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


def _verdict(
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
    failed = [result for result in outputs if result.verdict == "fail"]
    holds = bool(outputs) and not failed and not findings
    return ParityResult(
        on, precision, "pass" if holds else "fail", ran, probed, seed, truth, outputs, findings,
        diagnosis=_diagnosis(failed, findings), notes=notes,
    )  # fmt: skip


def _diagnosis(failed: list[OutputResult], findings: list[guards.Finding]) -> str:
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
