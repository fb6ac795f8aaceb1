"""What breaks the rule that every tensor is used exactly once, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from zoo.errors import UserError, nearest

if TYPE_CHECKING:
    from weight_maps.tensors import Spec
    from weight_maps.weight_map import WeightMap

# How many violations of one kind a message shows.
SHOWN = 12

_SAYS = {
    "unused": "no rule takes it",
    "twice": "more than one rule takes it",
    "absent": "a rule takes it and the source has none of that name",
    "misfit": "the rule does not fit",
    "missing": "no rule makes it",
    "unknown": "a rule makes it and the target has none of that name",
    "made twice": "it is made more than once",
    "shape": "it has not the target's shape and dtype",
    "lost": "it was dropped on the way here and cannot be made again",
    "value": "it is not what the map says that it is",
}


@dataclass(frozen=True)
class Violation:
    """One tensor that is not used exactly once, or not as the other side wants it.

    Attributes:
        kind: What is wrong: unused, twice, absent, misfit, missing, unknown, made twice, shape, lost or value.
        name: The tensor, or the tensors that a rule takes together.
        spec: Its shape and dtype, where there is one tensor.
        rule: The rule.
        side: ``source`` or ``target``.
        detail: More on it.
        near: Names among which the nearest are looked for.
    """

    kind: str
    name: str
    spec: Spec | None = None
    rule: str = ""
    side: str = "source"
    detail: str = ""
    near: Sequence[str] = ()

    def __str__(self) -> str:
        """Return it as one line."""
        parts = [f"{self.name} {self.spec or ''}".rstrip(), _SAYS[self.kind]]
        parts += [part for part in (self.detail, f"rule {self.rule}" if self.rule else "") if part]
        if self.near:
            parts.append(f"nearest: {nearest(self.name, self.near)}")
        return "; ".join(parts)


def refuse(weight_map: WeightMap, violations: Sequence[Violation], sources: int, targets: int | None) -> NoReturn:
    """Refuse a map that does not use every tensor exactly once.

    Raises:
        UserError: With both sides' lists.
    """
    lists = []
    for side, count in (("source", sources), ("target", targets)):
        found = [violation for violation in violations if violation.side == side]
        if found:
            of = f" of {count} tensors" if count is not None else ""
            lines = [f"\n             {violation}" for violation in found[:SHOWN]]
            more = f"\n             and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            lists.append(f"\n           {side}: {len(found)}{of}{''.join(lines)}{more}")
    raise UserError(
        "the map does not use every tensor exactly once",
        place=weight_map.name,
        expected="each tensor of the source taken once, each of the target made once in its shape and dtype",
        got=f"{len(violations)} that are not{''.join(lists)}",
        hint="add a rule, or list it under `drop:` or `init:` with the reason",
    )
