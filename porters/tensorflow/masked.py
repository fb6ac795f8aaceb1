"""Masks of recurrent layers: which loop steps over what a mask hides, and which masks are lengths of prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from porters.tensorflow.composites.patterns import axes, made_by, rank
from porters.tensorflow.lists import TensorList
from porters.tensorflow.loops import Loop
from porters.tensorflow.node import Edge, Node

_SELECTS = ("Select", "SelectV2")


@dataclass(frozen=True)
class Mask:
    """A mask that hides the end of each sequence, or its beginning.

    Attributes:
        at: The operand that is the mask, a list with an element for each step.
        before: The operand that is the output of the step before, which a hidden step may repeat.
        output: What a step that is not hidden puts out.
        states: For each operand that is a state, what a step that is not hidden makes of it.
        source: The mask before its axes were moved, and the axis of its steps.
        prefix: Whether the end is hidden; else the beginning.
        zeros: Whether a hidden step puts out zeros; else it repeats the output before.
    """

    at: int
    before: int
    output: Edge
    states: dict[int, Edge]
    source: tuple[Edge, int]
    prefix: bool
    zeros: bool


@dataclass(frozen=True)
class _Choice:
    """``where(mask, new, old)``: ``at`` is the mask's operand."""

    at: int
    new: Edge
    old: Edge


def find_mask(loop: Loop, carried: Sequence[int]) -> Mask | None:
    """Return the mask under which a loop steps; ``None`` unless it is known to hide only one end."""
    choices = {at: _choice(loop, loop.body.outputs[at]) for at in carried}
    found = {at: choice for at, choice in choices.items() if choice is not None}
    if len(found) < len(carried) or len({choice.at for choice in found.values()}) != 1:
        return None
    written = {write.item for write in loop.writes.values()}
    outputs = [at for at in carried if loop.body.outputs[at] in written]
    states = {at: found[at].new for at in carried if at not in outputs}
    if len(outputs) != 1 or not states or any(found[at].old != Edge(loop.body.inputs[at], 0) for at in states):
        return None
    before = outputs[0]
    choice = found[before]
    repeats = choice.old == Edge(loop.body.inputs[before], 0)
    blank = _is_zero(loop, Edge(loop.body.inputs[before], 0))
    hidden = _hidden_end(_source(loop, choice.at), 0)
    if hidden is None or not blank or not (repeats or _is_zero(loop, choice.old)):
        return None
    end, source, axis = hidden
    return Mask(choice.at, before, choice.new, states, (source, axis), end == "end", not repeats)


def _choice(loop: Loop, edge: Edge) -> _Choice | None:
    node = made_by(edge, *_SELECTS)
    if node is None:
        return None
    mask = node.inputs[0]
    while mask.node.op in ("Tile", "Reshape", "ExpandDims", "Squeeze"):
        mask = mask.node.inputs[0]
    read = made_by(mask, "TensorListGetItem")
    at = None if read is None else loop.operand(read.inputs[0])
    if read is None or at is None or not loop.same(at) or loop.operand(read.inputs[1]) not in loop.counters:
        return None
    held = loop.tensors[at]
    items = held.items if isinstance(held, TensorList) else None
    if items is None or items.rank < 2 or items.shape[0] != loop.rounds or any(dim != 1 for dim in items.shape[2:]):
        return None
    batch = {loop.tensors[at].shape[0] for at in loop.carried if loop.tensors[at].rank == 2}
    return _Choice(at, node.inputs[1], node.inputs[2]) if batch == {items.shape[1]} else None


def _is_zero(loop: Loop, edge: Edge) -> bool:
    """Say whether a value of the body comes in from outside and is zero."""
    at = loop.operand(edge)
    if at is not None:
        edge = loop.node.inputs[at]
    array = edge.node.constant
    if edge.node.op == "Fill":
        array = edge.node.inputs[1].node.constant
    return edge.node.op == "ZerosLike" or (array is not None and not np.any(array))


# -- what a mask hides -------------------------------------------------------------------------------------------------


def _source(loop: Loop, at: int) -> Edge | None:
    """Return the value whose elements along its first axis are the steps of the mask."""
    held = made_by(loop.node.inputs[at], "TensorListFromTensor")
    return None if held is None else held.inputs[0]


def _hidden_end(edge: Edge | None, axis: int) -> tuple[str, Edge, int] | None:
    """Return which end along ``axis`` a mask hides (``end`` or ``start``), and where that is seen: value and axis."""
    if edge is None:
        return None
    node = edge.node
    moved = axis if node.op == "Cast" else _before(node, axis)
    if moved is not None:
        return _hidden_end(node.inputs[0], moved)
    if node.op == "ReverseV2":
        turned = axis in (axes(node.inputs[1], rank(edge) or 0) or ())
        inner = _hidden_end(node.inputs[0], axis)
        return (_OTHER[inner[0]], *inner[1:]) if turned and inner is not None else inner
    end = _of_both(node, axis) if node.op == "LogicalAnd" else _of_value(edge, axis)
    return None if end is None else (end, edge, axis)


_OTHER = {"end": "start", "start": "end"}


def _of_both(node: Node, axis: int) -> str | None:
    found = [_hidden_end(item, axis) for item in node.inputs]
    ends = {item[0] for item in found if item is not None}
    same = len({item.shape for item in node.inputs}) == 1 and None not in found
    return next(iter(ends)) if len(ends) == 1 and same else None


def _of_value(edge: Edge, axis: int) -> str | None:
    array = edge.node.constant
    if array is not None:
        return _of_array(array.astype(bool), axis) if array.ndim > axis else None
    return _of_comparison(edge.node, axis, rank(edge) or 0)


def _before(node: Node, axis: int) -> int | None:
    """Return where ``axis`` is before a node that only moves axes or adds or drops such of size one."""
    before, after = (node.inputs[0].shape, node.shapes[0]) if node.inputs else (None, None)
    if before is None or after is None:
        return None
    if node.op == "Transpose":
        perm = node.inputs[1].node.constant
        return None if perm is None else int(perm[axis]) % len(before)
    if node.op == "ExpandDims":
        (place,) = axes(node.inputs[1], len(after)) or (None,)
        return None if place is None or place == axis else axis - (axis > place)
    if node.op == "Squeeze":
        gone = {int(item) % len(before) for item in node.attr("squeeze_dims")}
        return [place for place in range(len(before)) if place not in gone][axis] if gone else None
    return None


def _of_comparison(node: Node, axis: int, size: int) -> str | None:
    """Read ``position < length``, however it is written."""
    if node.op not in ("Less", "LessEqual", "Greater", "GreaterEqual"):
        return None
    low, high = node.inputs if node.op.startswith("Less") else node.inputs[::-1]
    if _grows(low, axis, size) and _is_fixed_along(high, axis, size):
        return "end"
    return "start" if _grows(high, axis, size) and _is_fixed_along(low, axis, size) else None


def _grows(edge: Edge, axis: int, size: int) -> bool:
    """Say whether a value, seen as one of ``size`` axes, never falls along ``axis``."""
    place = axis - size + (rank(edge) or 0)
    array = edge.node.constant
    if array is not None:
        return array.ndim > place >= 0 and bool((np.diff(array, axis=place) >= 0).all())
    step = edge.node.inputs[2].node.constant if edge.node.op == "Range" else None
    return place == 0 and step is not None and bool(step > 0)


def _is_fixed_along(edge: Edge, axis: int, size: int) -> bool:
    shape = edge.shape
    if shape is None:
        return False
    place = axis - size + len(shape)
    return place < 0 or shape[place] == 1


def _of_array(array: np.ndarray, axis: int) -> str | None:
    steps = np.diff(array.astype(np.int8), axis=axis)
    return "end" if (steps <= 0).all() else "start" if (steps >= 0).all() else None
