"""The ambiguity audit: both models run on the same inputs with each alternative; the map must win by a margin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from weight_maps.alternatives import Alternative, alternatives, ambiguous_edges, tried
from weight_maps.engine import Mapped
from weight_maps.locate import Divergence, Traced, first_divergence
from weight_maps.tensors import same_bits

if TYPE_CHECKING:
    from weight_maps.checkpoint import Checkpoint
    from weight_maps.plan import Plan
    from weight_maps.weight_map import WeightMap

# How many times further off than the map an alternative must be to count as ruled out. Alternatives differ from the
# map by whole tensors, the map from the source by the rounding of another runtime: measured on the maps that ship,
# the median alternative is thousands of times further off (docs/weight-maps.md).
MARGIN = 10.0
# Most that the target's outputs may differ from the source's, relative (L2), where the weights are right: what the
# check allows a runtime's kernels (`runtime` of parity.tolerance.Limits).
LIMIT = 1e-4
# float32's gap at 1: outputs closer than this cannot be told apart.
FLOOR = 2.0**-23


class Side(Protocol):
    """A model whose tensors can be read and replaced by name, and that runs."""

    def checkpoint(self) -> Checkpoint:
        """Return the tensors as they are now."""
        ...

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Replace tensors; those that are not named stay."""
        ...

    def run(self, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the floating-point outputs for the inputs, in the layout of the probe (channels first)."""
        ...


@dataclass(frozen=True)
class Finding:
    """What the probe said of one alternative.

    Attributes:
        kind: See :class:`weight_maps.alternatives.Alternative`.
        targets: The tensors that it fills otherwise.
        detail: What was done.
        error: Relative difference (L2) of the outputs from the source's.
        times: That in units of the map's own error.
        verdict: ``ruled out``; ``neutral`` (the map declares that it changes nothing that the model computes, and it
            does not); ``undecided``; ``better`` (it is closer to the source than the map).
        reason: Why it is neutral, as the map says.
    """

    kind: str
    targets: tuple[str, ...]
    detail: str
    error: float
    times: float
    verdict: str
    reason: str = ""


@dataclass(frozen=True)
class Audit:
    """What the probe said of a map.

    Attributes:
        error: Relative difference (L2) of the target's outputs from the source's under the map.
        largest: The largest difference of one element.
        identical: Whether the outputs are the same to the bit.
        signal: How much the outputs depend on the input, relative.
        tensors: How many tensors the target has.
        ambiguous: How many of them shape alone does not decide.
        findings: Every alternative that was run.
        same: Alternatives that could not be run apart: they fill in the very same values.
        already: How many of the target's tensors were, to the bit, what the map makes before it was loaded: all of them
            where both sides bring the same real weights.
        possible: How many alternatives there are; fewer were run where a sample was asked for.
        where: Where the models begin to differ, where they do not agree and can say what their layers give.
    """

    error: float
    largest: float
    identical: bool
    signal: float
    tensors: int
    ambiguous: int
    findings: Sequence[Finding]
    same: int
    already: int = 0
    possible: int = 0
    where: Divergence | None = None

    @property
    def agrees(self) -> bool:
        """Whether the target computes what the source does, by a probe that could tell."""
        return self.error <= LIMIT and self.signal >= MARGIN * max(self.error, FLOOR)

    @property
    def holds(self) -> bool:
        """Whether it agrees and every alternative is ruled out, or declared neutral and so."""
        return self.agrees and all(finding.verdict in ("ruled out", "neutral") for finding in self.findings)

    def count(self, verdict: str) -> int:
        """Return how many alternatives have a verdict."""
        return sum(finding.verdict == verdict for finding in self.findings)


def audit(
    weight_map: WeightMap,
    work: Plan,
    source: Side,
    target: Side,
    feeds: Sequence[np.ndarray],
    progress: Callable[[int, int], None] = lambda done, total: None,
    most: int | None = None,
    search: bool = False,
) -> Audit:
    """Run the source, the target under the map, and the target under every alternative of the map.

    Args:
        weight_map: The map.
        work: Its plan on the source, against the target.
        source: The source model.
        target: The target model; it has the map's tensors afterwards.
        feeds: The inputs, the same for both; samples are along axis 0, at least two.
        progress: Hears alternatives done and in all.
        most: Most alternatives to run, evenly chosen; ``None`` for all.
        search: Whether to run alternatives also where the map does not agree, to find one that does.
    """
    given = source.checkpoint()
    mapped = Mapped(given, work)
    made = {name: mapped.read(name) for name in work.targets()}
    truth = source.run(feeds)
    own = target.checkpoint()
    already = sum(same_bits(own.read(name), array) for name, array in made.items())
    target.load(made)
    right = target.run(feeds)
    error = distance(right, truth)
    where = None
    if error > LIMIT and isinstance(source, Traced) and isinstance(target, Traced):
        where = first_divergence(work, source, target, feeds, LIMIT)
    found = alternatives(work)
    probe = _Probe(weight_map, target, feeds, truth, made, {n: given.read(n) for e in work.entries for n in e.sources})
    chosen = _sampled(found, most) if error <= LIMIT or search else []
    findings, same = probe.settle(chosen, error, progress)
    return Audit(
        error,
        max((float(np.abs(a - b).max(initial=0.0)) for a, b in zip(right, truth, strict=True)), default=0.0),
        all(np.array_equal(a, b) for a, b in zip(right, truth, strict=True)),
        _signal(truth),
        len(made),
        len(ambiguous_edges(found)),
        findings,
        same,
        already,
        len(found),
        where,
    )


def _sampled(found: Sequence[Alternative], most: int | None) -> Sequence[Alternative]:
    return found if most is None or len(found) <= most else found[:: -(-len(found) // most)]


@dataclass(frozen=True)
class _Probe:
    """The target under the map, into which alternatives are put one at a time."""

    weight_map: WeightMap
    target: Side
    feeds: Sequence[np.ndarray]
    truth: Sequence[np.ndarray]
    made: Mapping[str, np.ndarray]
    sources: Mapping[str, np.ndarray]

    def settle(
        self, chosen: Sequence[Alternative], right: float, progress: Callable[[int, int], None]
    ) -> tuple[list[Finding], int]:
        """Run each alternative, and count those that fill in the very same values; the map's tensors are put back."""
        findings: list[Finding] = []
        same = 0
        for done, alternative in enumerate(chosen, 1):
            other = tried(alternative, self.made, self.sources)
            if other is None:
                same += 1
            else:
                self.target.load(other)
                error = distance(self.target.run(self.feeds), self.truth)
                findings.append(_finding(alternative, error, right, self.weight_map))
                self.target.load({name: self.made[name] for name in other})
            progress(done, len(chosen))
        return findings, same


def distance(outputs: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> float:
    """Return the largest relative difference (L2) of any output; infinite where shapes differ or it is not finite."""
    worst = 0.0
    for one, other in zip(outputs, truth, strict=True):
        if one.shape != other.shape or not np.isfinite(one).all():
            return float("inf")
        norm = float(np.linalg.norm(np.asarray(other, np.float64)))
        apart = float(np.linalg.norm(np.asarray(one, np.float64) - np.asarray(other, np.float64)))
        worst = max(worst, apart / norm if norm else float(apart > 0))
    return worst


def _signal(outputs: Sequence[np.ndarray]) -> float:
    """Return how much samples differ from their mean, relative: the least of any output."""
    spreads = []
    for output in outputs:
        wide = np.asarray(output, np.float64)
        norm = float(np.linalg.norm(wide))
        spreads.append(float(np.linalg.norm(wide - wide.mean(axis=0))) / norm if norm else 0.0)
    return min(spreads, default=0.0)


def _finding(alternative: Alternative, error: float, right: float, weight_map: WeightMap) -> Finding:
    times = error / max(right, FLOOR)
    reason = _reason(alternative, weight_map)
    if times >= MARGIN:
        verdict = "ruled out"
    elif right >= MARGIN * max(error, FLOOR):
        verdict = "better"
    else:
        verdict = "neutral" if reason else "undecided"
    return Finding(alternative.kind, alternative.targets, alternative.detail, error, times, verdict, reason)


def _reason(alternative: Alternative, weight_map: WeightMap) -> str:
    """Return why the map says that none of the tensors that an alternative changes can be told apart so."""
    reasons = []
    for name in alternative.targets:
        reasons.append(next((why for pattern, why in weight_map.neutral if pattern.match(name) is not None), ""))
    return reasons[0] if all(reasons) else ""
