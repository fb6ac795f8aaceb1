"""Shape arithmetic done while translating: integer operations on arrays whose elements may be symbolic sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from porters.tensorflow.dims import Expr, as_dim, derived, product
from porters.tensorflow.masks import python_index

if TYPE_CHECKING:
    from porters.tensorflow.node import Node

Rule = Callable[..., Any]


def _elementwise(function: Callable[[Any, Any], Any]) -> Rule:
    return lambda node, a, b: np.frompyfunc(function, 2, 1)(a, b)


def _reduce(node: Node, array: np.ndarray, axes: np.ndarray, start: int, step: Callable[[Any, Any], Any]) -> Any:
    keep = bool(node.attr("keep_dims"))
    if array.ndim == 0:
        return array
    where = tuple(int(axis) % array.ndim for axis in np.asarray(axes).reshape(-1))
    if len(where) != array.ndim:
        return None
    total: Any = start
    for item in array.reshape(-1).tolist():
        total = step(total, item)
    return np.array(total, object).reshape((1,) * array.ndim if keep else ())


def _axis(value: Any) -> int:
    return int(np.asarray(value).reshape(()))


def _split(node: Node, array: np.ndarray, sizes: np.ndarray, axis: np.ndarray) -> list[np.ndarray]:
    counts = [int(size) for size in sizes]
    if -1 in counts:
        counts[counts.index(-1)] = array.shape[_axis(axis)] - sum(count for count in counts if count != -1)
    return list(np.split(array, np.cumsum(counts)[:-1], axis=_axis(axis)))


RULES: dict[str, Rule] = {
    "AddV2": _elementwise(lambda a, b: a + b),
    "Add": _elementwise(lambda a, b: a + b),
    "Sub": _elementwise(lambda a, b: a - b),
    "Mul": _elementwise(lambda a, b: a * b),
    "FloorDiv": _elementwise(lambda a, b: a // b),
    "FloorMod": _elementwise(lambda a, b: a % b),
    "Maximum": _elementwise(lambda a, b: derived("max", a, b)),
    "Minimum": _elementwise(lambda a, b: derived("min", a, b)),
    "Neg": lambda node, a: np.frompyfunc(lambda item: -item, 1, 1)(a),
    "Cast": lambda node, a: a if node.dtypes[0] is not None and node.dtypes[0].kind == "i" else None,
    "Pack": lambda node, *parts: np.stack(parts, axis=node.attr("axis")),
    "Unpack": lambda node, a: list(np.moveaxis(a, node.attr("axis"), 0)),
    "ConcatV2": lambda node, *parts: np.concatenate(parts[:-1], axis=_axis(parts[-1])),
    "GatherV2": lambda node, a, indices, axis: np.take(a, indices.astype(np.int64), axis=_axis(axis)),
    "StridedSlice": lambda node, a, begin, end, strides: a[python_index(node, begin, end, strides)],
    "Slice": lambda node, a, begin, size: a[tuple(
        slice(int(b), None if s == -1 else int(b + s)) for b, s in zip(begin, size, strict=True)
    )],
    "SplitV": _split,
    "Split": lambda node, axis, a: np.split(a, int(node.attr("num_split")), axis=_axis(axis)),
    "BroadcastTo": lambda node, a, shape: np.broadcast_to(a, shape.astype(np.int64)),
    "Squeeze": lambda node, a: np.squeeze(a, axis=tuple(node.attr("squeeze_dims")) or None),
    "ExpandDims": lambda node, a, axis: np.expand_dims(a, _axis(axis)),
    "Reshape": lambda node, a, shape: a.reshape(shape.astype(np.int64)),
    "Prod": lambda node, a, axes: _reduce(node, a, axes, 1, lambda total, item: total * item),
    "Sum": lambda node, a, axes: _reduce(node, a, axes, 0, lambda total, item: total + item),
    "Tile": lambda node, a, repeats: np.tile(a, repeats.astype(np.int64)),
    "Fill": lambda node, dims, value: np.full(dims.astype(np.int64), value),
    "ReverseV2": lambda node, a, axes: np.flip(a, axis=tuple(int(axis) for axis in axes)),
}  # fmt: skip


def evaluate(node: Node, arrays: Sequence[np.ndarray | None]) -> list[np.ndarray] | None:
    """Return the node's outputs if it can be done now: every input is known, and some element is symbolic."""
    rule = RULES.get(node.op)
    known = [array for array in arrays if array is not None]
    if rule is None or len(known) < len(arrays) or not any(array.dtype == object for array in known):
        return None
    if any(dtype is None or dtype.kind != "i" for dtype in node.dtypes):
        return None
    try:
        result = rule(node, *known)
    except TypeError:
        return None  # an element that has to be a number is symbolic
    if result is None:
        return None
    results = result if isinstance(result, list) else [result]
    found = [np.asarray(item if isinstance(item, (np.ndarray, Expr)) else as_dim(item), object) for item in results]
    return [_plain(array, dtype) for array, dtype in zip(found, node.dtypes, strict=False)]


def _plain(array: np.ndarray, dtype: np.dtype[Any] | None) -> np.ndarray:
    """Return an array of numbers where no element is symbolic any more."""
    return array if any(isinstance(item, Expr) for item in array.reshape(-1)) else array.astype(dtype)


def number_of(shape: Sequence[Any]) -> Any:
    """Return how many elements a value of ``shape`` has."""
    return product(shape)
