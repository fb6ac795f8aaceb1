"""Which inputs a verdict is drawn from: ordinary ones of several sizes, and probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.inputs import Feed, InputSpec, probes, sample

# At least 4 ordinary inputs and 64 pooled elements; 8 inputs where an output has 16 elements or fewer.
LEAST, LEAST_SMALL, SMALL_ELEMENTS, LEAST_ELEMENTS = 4, 8, 16, 64
# Sizes of the batch over the cases: a size that was baked in shows at once.
BATCHES = (2, 1, 3, 2)
# Samples of a probe: on structured inputs roundings do not average out, so that one sample says little of the noise.
PROBE_BATCH = 4


@dataclass(frozen=True)
class Case:
    """One input; ``probe`` is empty for an ordinary one."""

    name: str
    feed: Feed
    probe: str = ""


def ordinary(specs: Sequence[InputSpec], seed: int, index: int) -> Case:
    """Return the ordinary case ``index``; symbolic dimensions change from case to case."""
    return Case(f"ordinary-{index}", sample(specs, seed, index, sizes_for(specs, index)))


def probe_cases(specs: Sequence[InputSpec], seed: int) -> list[Case]:
    """Return the probes."""
    sizes = {**sizes_for(specs, 0), "batch": PROBE_BATCH}
    return [Case(f"probe-{name}", feed, name) for name, feed in probes(specs, seed, sizes).items()]


def sizes_for(specs: Sequence[InputSpec], index: int) -> Mapping[str, int]:
    """Return sizes for the symbolic dimensions of case ``index``: the spec's own, then others."""
    names = {dim: spec for spec in specs for dim in spec.shape if isinstance(dim, str)}
    sizes = {}
    for name, spec in names.items():
        usual = int(spec.sizes.get(name, 2))
        if name == "batch":
            sizes[name] = BATCHES[index % len(BATCHES)]
        else:
            smallest = max(2, int(spec.least.get(name, 2)))
            sizes[name] = (usual, max(smallest, usual // 2), usual + 3, usual)[index % 4]
    return sizes


def enough(count: int, smallest_output: int, pooled: int) -> bool:
    """Say whether ``count`` ordinary inputs are enough for a verdict."""
    least = LEAST_SMALL if smallest_output <= SMALL_ELEMENTS else LEAST
    return count >= least and (pooled >= LEAST_ELEMENTS or count >= LEAST_ELEMENTS)
