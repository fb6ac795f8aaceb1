"""The smallest set of operators to keep in float32 that brings a compiled port back within a budget."""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from parity import cases
from parity.precision.losses import losses
from parity.tolerance import LIMITS
from zoo.artifact import MODEL, Artifact
from zoo.errors import UserError
from zoo.executor import Session, load
from zoo.inputs import Feed, InputSpec

# Ordinary inputs that every candidate runs on.
INPUTS = 4
# Unit roundoff: half the gap at 1 of the formats of ``zoo.ascend.rounding``, and of HF32.
_ROUNDOFF = {"fp16": 2.0**-11, "fp16_fp32": 2.0**-11, "bf16": 2.0**-8, "hf32": 2.0**-12}

Progress = Callable[[str], None]
# The figure of merit of a session (more is better), such as an accuracy on labelled samples.
Score = Callable[[Session], float]


@dataclass(frozen=True)
class Kept:
    """An operator that stays in float32: its node, type, and where it comes from in the source."""

    node: str
    op: str
    module: str
    line: str


@dataclass(frozen=True)
class SearchResult:
    """What a search found; every figure is of an emulated run.

    Attributes:
        chip: The chip.
        mode: The precision mode.
        metric: ``error`` (largest relative L2 distance of an output from the port in float32) or ``loss`` of score.
        limit: Most that it may be.
        before: What it is with nothing kept.
        after: What it is with ``keep``.
        holds: Whether that is within the limit; not, where keeping every operator does not help.
        keep: The operators to keep, in the graph's order. Leaving out any one of them was tried and did not hold.
        operators: How many operators the mode lowers.
        runs: How many candidates were compiled and run.
    """

    chip: str
    mode: str
    metric: str
    limit: float
    before: float
    after: float
    holds: bool
    keep: list[Kept]
    operators: int
    runs: int


def search(
    artifact: Artifact,
    chip: str,
    *,
    mode: str = "force_fp16",
    budget: float | None = None,
    max_accuracy_loss: float | None = None,
    score: Score | None = None,
    seed: int = 1,
    progress: Progress = lambda step: None,
) -> SearchResult:
    """Find the smallest set of operators to keep in float32.

    The set grows by what the operators lose (``losses``, measured anew with what is kept: a neighbour of an operator
    that overflows comes to light only then), twice as many at a time, until the run is within the limit; bisection
    finds how many of the last were needed. Then every operator is tried without, the least losing first. Each step is
    a run of the compiled port. A smaller set of other operators may exist: all sets cannot be tried.

    Args:
        artifact: The port.
        chip: The chip that it is compiled for.
        mode: The precision mode.
        budget: Largest relative error of an output; by default what independent roundings leave: with n operators
            lowered, 3 u sqrt(n) (they add up as their squares do; 3 is the limit of ``parity.tolerance``).
        max_accuracy_loss: Instead of an error, most that ``score`` may fall.
        score: Runs a session on labelled samples; wanted with ``max_accuracy_loss``.
        seed: Seed of the inputs.
        progress: Hears each step.

    Raises:
        UserError: If the port cannot be compiled so, or only one of ``max_accuracy_loss`` and ``score`` is given.
    """
    if (max_accuracy_loss is None) != (score is None):
        raise UserError(
            "a loss of accuracy is measured by a score",
            place="search",
            expected="both max_accuracy_loss and score, or neither",
        )
    candidates = _Candidates(artifact, chip, mode, score, seed, progress)
    limit = max_accuracy_loss if max_accuracy_loss is not None else budget or candidates.default_budget()
    before = candidates.measure(())
    keep, holds = candidates.grow(limit) if before > limit else ([], True)
    if holds and keep:
        keep = candidates.shrink(keep, limit)
    return SearchResult(
        chip.lower(), mode, "error" if score is None else "loss", limit, before, candidates.measure(keep), holds,
        [kept for name, kept in candidates.lowered.items() if name in keep], len(candidates.lowered), candidates.runs,
    )  # fmt: skip


class _Candidates:
    """Compiles the port with sets of kept operators and measures what that gives; no set is run twice."""

    def __init__(
        self, artifact: Artifact, chip: str, mode: str, score: Score | None, seed: int, progress: Progress
    ) -> None:
        self._artifact, self._chip, self._mode, self._score = artifact, chip, mode, score
        self._progress = progress
        self.lowered, self._roundoff = _lowered(artifact, chip, mode)
        specs = [InputSpec.from_card(entry) for entry in artifact.card()["inputs"]]
        plan = cases.plan(specs, seed, artifact.model().graph)
        self._feeds: list[Feed] = [plan.ordinary(index).feed for index in range(INPUTS)]
        self._measured: dict[frozenset[str], float] = {}
        with load(artifact.path / MODEL, optimize=False) as session:
            self._reference = [session.run(feed) for feed in self._feeds]
            self._best = score(session) if score is not None else 0.0

    @property
    def runs(self) -> int:
        """How many sets were run."""
        return len(self._measured)

    def default_budget(self) -> float:
        """Return what the roundings of so many operators leave if they are independent, times the limit of a ratio."""
        return LIMITS["fp32"].ratio * self._roundoff * math.sqrt(max(len(self.lowered), 1))

    def measure(self, keep: Collection[str]) -> float:
        """Return the error, or the loss of score, with ``keep`` in float32."""
        key = frozenset(keep)
        if key not in self._measured:
            self._progress(f"run {len(self._measured) + 1}, {len(key)} kept")
            with load(
                self._artifact.path / MODEL, self._chip, optimize=False, precision=self._mode, keep=_patterns(key)
            ) as session:
                self._measured[key] = self._best - self._score(session) if self._score else self._error(session)
        return self._measured[key]

    def _error(self, session: Session) -> float:
        errors = [0.0]
        for feed, reference in zip(self._feeds, self._reference, strict=True):
            outputs = session.run(feed)
            errors += [_distance(outputs[name], wanted) for name, wanted in reference.items()]
        return max(errors)

    def grow(self, limit: float) -> tuple[list[str], bool]:
        """Return a set that is within the limit, the most losing operators first, and whether there is one."""
        keep: list[str] = []
        while len(keep) < len(self.lowered):
            self._progress(f"what operators lose, {len(keep)} kept")
            found = losses(self._artifact, self._chip, self._feeds[0], mode=self._mode, keep=_patterns(keep))
            order = [item.node for item in found if item.node in self.lowered and item.node not in keep]
            order += [name for name in self.lowered if name not in order and name not in keep]
            before = len(keep)
            keep += order[: max(before, 1)]
            if self.measure(keep) <= limit:
                return self._shortest(keep, before, limit), True
        return keep, False

    def _shortest(self, keep: list[str], low: int, limit: float) -> list[str]:
        """Return the shortest beginning of ``keep`` that is within the limit, longer than ``low``, by bisection."""
        high = len(keep)
        while high - low > 1:
            middle = (low + high) // 2
            if self.measure(keep[:middle]) <= limit:
                high = middle
            else:
                low = middle
        return keep[:high]

    def shrink(self, keep: Sequence[str], limit: float) -> list[str]:
        """Return a part of ``keep`` that is within the limit; every operator was tried, the least losing first."""
        left = list(keep)
        for name in reversed(keep):
            rest = [other for other in left if other != name]
            if self.measure(rest) <= limit:
                left = rest
        return left


def _lowered(artifact: Artifact, chip: str, mode: str) -> tuple[dict[str, Kept], float]:
    """Return the operators that a mode lowers, by node name in the graph's order, and the largest unit roundoff."""
    from zoo.ascend.compiler import compile_model
    from zoo.ascend.hardware import load_chip

    source = artifact.model()
    compiled = compile_model(source, load_chip(chip), mode)
    named = {node.name: node for node in source.graph}
    lowered, roundoff = {}, 0.0
    for node in compiled.graph:
        precision = node.metadata_props.get("precision", "")
        origin = named.get(node.name)
        if origin is not None and node.name and precision in _ROUNDOFF:
            props = origin.metadata_props
            lowered[node.name] = Kept(
                node.name, origin.op_type, props.get("zooport.module", ""), props.get("zooport.line", "")
            )
            roundoff = max(roundoff, _ROUNDOFF[precision])
    return lowered, roundoff


def _patterns(names: Collection[str]) -> list[str]:
    """Return the patterns of exactly these names."""
    return [glob.escape(name) for name in sorted(names)]


def _distance(got: np.ndarray, wanted: np.ndarray) -> float:
    """Return the relative L2 distance of a float output, the share of different elements of any other one."""
    if wanted.dtype.kind != "f":
        return float(np.mean(got != wanted)) if wanted.size else 0.0
    finite = np.isfinite(wanted)
    if not np.array_equal(finite, np.isfinite(got)):
        return math.inf
    size = float(np.linalg.norm(wanted[finite].astype(np.float64)))
    error = float(np.linalg.norm(got[finite].astype(np.float64) - wanted[finite]))
    return error / size if size else float(error > 0)


def search_with_progress(artifact: Artifact, chip: str, **options: object) -> SearchResult:
    """Search as :func:`search` does, with a progress bar on standard error."""
    from zoo.console import progress

    with progress() as bar:
        task = bar.add_task("search", total=None)
        return search(
            artifact,
            chip,
            progress=lambda step: bar.update(task, description=f"search: {step}", advance=1),
            **options,  # type: ignore[arg-type]  # those of search, passed on
        )
