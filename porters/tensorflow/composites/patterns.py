"""Small questions about the flat graph that the recognisers of composites ask."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from porters.tensorflow.node import CONST, WEIGHT, Edge, Node

_MOVES = frozenset({"Reshape", "Squeeze", "ExpandDims", "Cast"})


def made_by(edge: Edge, *ops: str) -> Node | None:
    """Return the node behind ``edge`` if it is one of ``ops``."""
    return edge.node if edge.node.op in ops else None


def pairs(node: Node) -> Iterator[tuple[Edge, Edge]]:
    """Yield the two operands of a commutative node both ways round."""
    if len(node.inputs) == 2:
        first, second = node.inputs
        yield first, second
        yield second, first


def number(edge: Edge) -> float | None:
    """Return the constant behind ``edge`` if it is one number."""
    array = edge.node.constant
    return float(array.reshape(())) if array is not None and array.size == 1 and array.dtype.kind in "fiu" else None


def axes(edge: Edge, rank: int) -> list[int] | None:
    """Return the constant behind ``edge`` as axes counted from the front."""
    array = edge.node.constant
    return None if array is None else sorted({int(axis) % rank for axis in np.reshape(array, -1)})


def rank(edge: Edge) -> int | None:
    """Return the rank of the value behind ``edge``."""
    return None if edge.shape is None else len(edge.shape)


def is_fixed(edge: Edge) -> bool:
    """Say whether the value is a weight or a constant, perhaps reshaped."""
    node = edge.node
    while node.op in _MOVES and node.inputs:
        node = node.inputs[0].node
    return node.op in (CONST, WEIGHT)


def lies_along(edge: Edge, value: Edge) -> int | None:
    """Return the axis of ``value`` along which a fixed vector broadcasts, ``None`` if it is no such vector."""
    shape, full = edge.shape, value.shape
    if shape is None or full is None or not is_fixed(edge) or len(shape) > len(full):
        return None
    wide = [axis + len(full) - len(shape) for axis, dim in enumerate(shape) if dim != 1]
    if not wide:
        wide = [len(full) - 1] if len(shape) == 1 and full[-1] == 1 else []
    if len(wide) != 1 or shape[wide[0] - len(full)] != full[wide[0]]:
        return None
    return wide[0]
