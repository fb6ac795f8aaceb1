"""What torch.export took for granted about sizes: dimensions that it calls free and that hold for some sizes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.inputs import InputSpec

if TYPE_CHECKING:
    import torch

# What torch writes its guards with.
_WORDS = {"min": min, "max": max, "abs": abs, "__builtins__": {}}


def tight(program: torch.export.ExportedProgram, specs: Sequence[InputSpec], asked: Mapping[str, Any]) -> list[str]:
    """Return the symbolic dimensions whose larger sizes break what the captured program assumes.

    A loop over blocks of a sequence is unrolled for the number of blocks of the example; the dimension stays symbolic,
    and a guard says that other lengths are another program. What is asked for by ``--dynamic`` is left to torch.
    """
    usual, guards = _understood(program, specs)
    return [
        dim
        for dim, size in usual.items()
        if dim not in asked and not all(_all_hold(guards, specs, {**usual, dim: size + more}) for more in (1, 3))
    ]


def least(program: torch.export.ExportedProgram, specs: Sequence[InputSpec]) -> dict[str, int]:
    """Return, for symbolic dimensions that have one above 2, the least size for which the program holds."""
    usual, guards = _understood(program, specs)
    found = {}
    for dim, size in usual.items():
        smallest = size
        while smallest > 2 and _all_hold(guards, specs, {**usual, dim: smallest - 1}):
            smallest -= 1
        if smallest > 2:
            found[dim] = smallest
    return found


def _understood(program: Any, specs: Sequence[InputSpec]) -> tuple[dict[str, int], list[str]]:
    """Return the example's sizes and the guards that hold for them; one that does not is not understood here."""
    usual = {dim: int(spec.sizes.get(dim, 2)) for spec in specs for dim in spec.shape if isinstance(dim, str)}
    guards = [str(guard) for guard in getattr(program, "_guards_code", None) or ()]
    return usual, [guard for guard in guards if _holds(guard, specs, usual)]


def _all_hold(guards: Sequence[str], specs: Sequence[InputSpec], sizes: Mapping[str, int]) -> bool:
    return all(_holds(guard, specs, sizes) for guard in guards)


def _holds(guard: str, specs: Sequence[InputSpec], sizes: Mapping[str, int]) -> bool:
    local = {spec.name: _Shape(spec.static_shape(sizes)) for spec in specs}
    try:
        return bool(eval(guard, dict(_WORDS), {"L": local}))  # noqa: S307 - torch's own expression over sizes
    except Exception:  # it speaks of something else than sizes
        return False


class _Shape:
    """Stands for a tensor in a guard."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = tuple(sizes)

    def size(self) -> tuple[int, ...]:
        """Return the sizes."""
        return self._sizes
