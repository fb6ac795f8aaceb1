"""TensorFlow's strided slice: its five masks, resolved into what each axis of the input and the result becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from porters.tensorflow.node import Node


@dataclass(frozen=True)
class Taken:
    """One entry of a slice specification.

    Attributes:
        axis: The axis of the input; ``None`` for a new axis of size one.
        begin: First element; ``None`` for the natural end.
        end: One past the last element; ``None`` for the natural end.
        step: The stride.
        drop: Whether the axis is dropped from the result.
    """

    axis: int | None
    begin: Any = None
    end: Any = None
    step: int = 1
    drop: bool = False


def resolve(node: Node, begin: Sequence[Any], end: Sequence[Any], strides: Sequence[Any], rank: int) -> list[Taken]:
    """Return the entries of ``node``'s specification, the ellipsis written out.

    Args:
        node: A StridedSlice, for its masks.
        begin: As given to the operation.
        end: As given to the operation.
        strides: As given to the operation.
        rank: Rank of the input.
    """
    masks = {name: int(node.attr(f"{name}_mask")) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}

    def has(mask: str, index: int) -> bool:
        return bool(masks[mask] >> index & 1)

    count = len(begin)
    consumed = sum(not has("new_axis", index) and not has("ellipsis", index) for index in range(count))
    entries: list[Taken] = []
    axis = 0
    for index in range(count):
        if has("ellipsis", index):
            entries += [Taken(axis + offset) for offset in range(rank - consumed)]
            axis += rank - consumed
        elif has("new_axis", index):
            entries.append(Taken(None))
        else:
            entries.append(_entry(axis, index, begin, end, strides, has))
            axis += 1
    return entries + [Taken(rest) for rest in range(axis, rank)]


def _entry(axis: int, index: int, begin: Any, end: Any, strides: Any, has: Any) -> Taken:
    if has("shrink_axis", index):
        first = begin[index]
        return Taken(axis, first, None if first == -1 else first + 1, 1, drop=True)
    return Taken(
        axis,
        None if has("begin", index) else begin[index],
        None if has("end", index) else end[index],
        int(strides[index]),
    )


def python_index(node: Node, begin: Any, end: Any, strides: Any) -> tuple[Any, ...]:
    """Return the specification as an index of a NumPy vector; every bound must be an integer."""
    index: list[Any] = []
    for entry in resolve(node, begin.tolist(), end.tolist(), strides.tolist(), 1):
        if entry.axis is None:
            index.append(None)
        elif entry.drop:
            index.append(int(entry.begin))
        else:
            low, high = (None if item is None else int(item) for item in (entry.begin, entry.end))
            index.append(slice(low, high, entry.step))
    return tuple(index)
