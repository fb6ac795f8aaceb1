"""Which inputs a verdict is drawn from: ordinary ones of several sizes, and probes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.inputs import Feed, InputSpec, probes, sample

# At least 4 ordinary inputs and 64 pooled elements; 8 inputs where an output has 16 elements or fewer.
LEAST, LEAST_SMALL, SMALL_ELEMENTS, LEAST_ELEMENTS = 4, 8, 16, 64
# Sizes of the batch over the cases: a size that was baked in shows at once.
BATCHES = (2, 1, 3, 2)
# Samples of a probe: on structured inputs roundings do not average out, so that one sample says little of the noise.
PROBE_BATCH = 4
# The same for samples of more elements than this (a picture of 418 x 418): one of them is worth many small ones, and
# its float64 truth takes seconds to minutes on a CPU.
LARGE_SAMPLE = 1 << 19
LARGE_BATCHES, LARGE_PROBE_BATCH = (1, 2, 1, 1), 1


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
    sizes = {**sizes_for(specs, 0), "batch": LARGE_PROBE_BATCH if _is_large(specs) else PROBE_BATCH}
    return [Case(f"probe-{name}", feed, name) for name, feed in probes(specs, seed, sizes).items()]


def sizes_for(specs: Sequence[InputSpec], index: int) -> Mapping[str, int]:
    """Return sizes for the symbolic dimensions of case ``index``: the spec's own, then others."""
    names = {dim: spec for spec in specs for dim in spec.shape if isinstance(dim, str)}
    batches = LARGE_BATCHES if _is_large(specs) else BATCHES
    sizes = {}
    for name, spec in names.items():
        usual = int(spec.sizes.get(name, 2))
        if name == "batch":
            sizes[name] = batches[index % len(batches)]
        else:
            smallest = max(2, int(spec.least.get(name, 2)))
            sizes[name] = (usual, max(smallest, usual // 2), usual + 3, usual)[index % 4]
    return sizes


def _is_large(specs: Sequence[InputSpec]) -> bool:
    return sum(math.prod(spec.static_shape({"batch": 1})) for spec in specs) > LARGE_SAMPLE


def enough(count: int, smallest_output: int, pooled: int) -> bool:
    """Say whether ``count`` ordinary inputs are enough for a verdict."""
    least = LEAST_SMALL if smallest_output <= SMALL_ELEMENTS else LEAST
    return count >= least and (pooled >= LEAST_ELEMENTS or count >= LEAST_ELEMENTS)
