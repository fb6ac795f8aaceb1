"""What else a map could say where shape alone does not decide: every such edge, and each of its alternatives."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from weight_maps.rules.rule import MisfitError, Rule
from weight_maps.tensors import spec_of

if TYPE_CHECKING:
    import numpy as np

    from weight_maps.plan import Entry, Plan
    from weight_maps.tensors import Spec

Arrays = Mapping[str, "np.ndarray"]


@dataclass(frozen=True)
class Alternative:
    """One other way to fill tensors of the target that the shapes allow as well.

    Attributes:
        kind: ``swap`` (two tensors of one shape), ``transpose`` (two axes of one size), ``without`` (a step of the
            rule left out), ``order`` (two operands of a rule exchanged).
        targets: The tensors of the target that it fills otherwise.
        detail: What is done.
        entry: The entry that it is a variant of; ``None`` for what needs only the tensors that were made.
        axes: The axes that a ``transpose`` exchanges.
        step: The step that is left out.
        operands: The operands that are exchanged.
    """

    kind: str
    targets: tuple[str, ...]
    detail: str
    entry: Entry | None = None
    axes: tuple[int, int] = (0, 0)
    step: int = 0
    operands: tuple[int, int] = (0, 0)

    def make(self, made: Arrays, sources: Arrays) -> dict[str, np.ndarray]:
        """Return what it fills its tensors with.

        Args:
            made: The tensors that the map makes.
            sources: The tensors of the source.
        """
        if self.kind == "swap":
            first, second = self.targets
            return {first: made[second], second: made[first]}
        if self.kind == "transpose":
            (name,) = self.targets
            return {name: made[name].swapaxes(*self.axes)}
        assert self.entry is not None
        arrays = [sources[name] for name in self.entry.sources]
        steps = list(self.entry.steps)
        if self.kind == "without":
            del steps[self.step]
        else:
            one, other = self.operands
            arrays[one], arrays[other] = arrays[other], arrays[one]
        for step in steps:
            arrays = step.apply(arrays)
        return dict(zip(self.entry.targets, arrays, strict=True))


def alternatives(plan: Plan) -> list[Alternative]:
    """Return every alternative of every edge that shape alone does not decide.

    - Two tensors of one shape and dtype, exchanged: all pairs of one module (scale, shift, mean and variance of a
      norm), all pairs of sister modules (q, k, v, o), and each with the next of its kind (layer i and i + 1).
    - Two axes of one size, exchanged: square matrices, square kernels.
    - A step that keeps the shape, left out: the transpose of a square matrix, a rotary embedding's order, a flatten's.
    - Two operands of one shape, exchanged: the parts of a concat or stack.
    """
    found = [*_swaps(plan.targets(), {alone.name for alone in plan.initialised if alone.made})]
    for entry in plan.entries:
        found += [*_variants(entry)]
    return found


def ambiguous_edges(found: Sequence[Alternative]) -> set[str]:
    """Return the tensors of the target that shape alone does not decide."""
    return {name for alternative in found for name in alternative.targets}


def _segments(name: str) -> list[str]:
    return re.split(r"[./]", name)


def _swaps(made: Mapping[str, Spec], constants: set[str]) -> Iterator[Alternative]:
    groups: defaultdict[Spec, list[str]] = defaultdict(list)
    for name, spec in made.items():
        if name not in constants:
            groups[spec].append(name)
    for spec, names in groups.items():
        pairs = dict.fromkeys(_related(names))
        for one, other in pairs:
            yield Alternative("swap", (one, other), f"both are {spec}")


def _related(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the pairs that are looked at: of one module, of sister modules by leaf, and the next of the same leaf."""
    modules: defaultdict[str, list[str]] = defaultdict(list)
    sisters: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    leaves: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        *path, leaf = _segments(name)
        modules[".".join(path)].append(name)
        leaves[leaf].append(name)
        # Sisters are called by words (q, k, v); layers are called by numbers, of which the next one is enough.
        if path and not path[-1].isdigit():
            sisters[(*path[:-1], leaf)].append(name)
    for family in (*modules.values(), *sisters.values()):
        yield from combinations(family, 2)
    for family in leaves.values():
        yield from pairwise(family)


def _variants(entry: Entry) -> Iterator[Alternative]:
    stages = entry.stages()
    dropped: set[tuple[int, int]] = set()
    for place, step in enumerate(entry.steps):
        if stages[place] == stages[place + 1] and _moves(step):
            yield Alternative("without", entry.targets, f"without {step}", entry, step=place)
            # Leaving the transpose of a square matrix out is exchanging its axes.
            if len(entry.targets) == 1 and place == len(entry.steps) - 1 and len(entry.made[0].shape) == 2:
                dropped.add((0, 1))
    if len(entry.targets) == 1:
        shape = entry.made[0].shape
        for axes in combinations(range(len(shape)), 2):
            if shape[axes[0]] == shape[axes[1]] > 1 and axes not in dropped:
                yield Alternative(
                    "transpose", entry.targets, f"axes {axes[0]} and {axes[1]} of {list(shape)}", axes=axes
                )
    for one, other in combinations(range(len(entry.sources)), 2):
        if entry.given[one] == entry.given[other] and (other == one + 1 or len(entry.sources) <= 4):
            detail = f"{entry.sources[one]} and {entry.sources[other]} exchanged"
            yield Alternative("order", entry.targets, detail, entry, operands=(one, other))


def _moves(step: Rule) -> bool:
    """Return whether a step that keeps shapes does anything at all: a copy or a cast to the same dtype does not."""
    from weight_maps.rules.axes import Gates, Permute, Reorder
    from weight_maps.rules.values import Scale

    return isinstance(step, (Gates, Permute, Reorder, Scale))


def differs(alternative: Alternative, other: Arrays, made: Arrays) -> bool:
    """Return whether an alternative fills anything otherwise than the map does."""
    import numpy as np

    return any(
        spec_of(array) == spec_of(made[name]) and not np.array_equal(array, made[name]) for name, array in other.items()
    )


def tried(alternative: Alternative, made: Arrays, sources: Arrays) -> dict[str, np.ndarray] | None:
    """Return what an alternative makes, ``None`` where it does not fit the elements or changes nothing."""
    try:
        other = alternative.make(made, sources)
    except MisfitError:
        return None
    return other if differs(alternative, other, made) else None
