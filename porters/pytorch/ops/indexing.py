"""Reading by index: gather, advanced indexing, masks, diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.shared import at_least_vector, cast, flat, known, permuted
from porters.pytorch.registry import Context, translates
from porters.pytorch.writes import diagonal_axes, diagonal_places

_MASKS = (ir.DataType.BOOL, ir.DataType.UINT8)


def as_index(c: Context, index: ir.Value) -> ir.Value:
    """Return an index in a dtype that ONNX takes for one."""
    return index if index.dtype in (ir.DataType.INT64, ir.DataType.INT32) else cast(c, index, ir.DataType.INT64)


@translates("aten.gather")
def gather(c: Context, x: ir.Value, axis: int, index: ir.Value, **_: Any) -> ir.Value:
    """GatherElements."""
    if 0 in c.shape:
        return c.op("Expand", c.const(0, c.dtype), c.vector(c.shape))
    data, places = at_least_vector(c, x), at_least_vector(c, as_index(c, index))
    taken = known(c, c.op("GatherElements", data, places, axis=c.axis(data, axis)), c.sizes_of(places))
    return c.reshape(taken, c.shape)


@translates("aten.take_along_dim")
def take_along_dim(c: Context, x: ir.Value, index: ir.Value, axis: int | None = None) -> ir.Value:
    """GatherElements on tensors broadcast against each other but for the axis."""
    if axis is None:
        return c.op("GatherElements", flat(c, x), flat(c, as_index(c, index)), axis=0)
    axis = c.axis(x, axis)
    whole = list(c.shape)
    whole[axis] = c.sizes_of(x)[axis]
    if whole != c.sizes_of(x):
        x = c.op("Expand", x, c.vector(whole))
    places = as_index(c, index)
    if c.sizes_of(index) != c.shape:
        places = c.op("Expand", places, c.vector(c.shape))
    return c.op("GatherElements", x, places, axis=axis)


@translates("aten.take")
def take(c: Context, x: ir.Value, index: ir.Value) -> ir.Value:
    """Gather from the flattened tensor."""
    return c.op("Gather", flat(c, x), as_index(c, index), axis=0)


@translates("aten.index_select")
def index_select(c: Context, x: ir.Value, axis: int, index: ir.Value) -> ir.Value:
    """Gather."""
    data, places = at_least_vector(c, x), at_least_vector(c, as_index(c, index))
    taken = c.op("Gather", data, places, axis=c.axis(data, axis))
    return c.op("Reshape", taken, c.const([], ir.DataType.INT64)) if not c.shape else taken


# -- NumPy's advanced indexing ------------------------------------------------------------------------------------


def index_tensors(c: Context, x: ir.Value, indices: Sequence[ir.Value | None]) -> list[tuple[int, ir.Value]]:
    """Return (axis, index) pairs; a mask becomes one index vector for each of its axes."""
    given: list[tuple[int, ir.Value]] = []
    axis = masks = 0
    for index in indices:
        if index is None:
            axis += 1
        elif index.dtype in _MASKS:
            masks += 1
            places = c.op("NonZero", c.cast(index, ir.DataType.BOOL))
            for row in range(c.rank(index)):
                vector = c.op("Gather", places, c.const(row, ir.DataType.INT64), axis=0)
                given.append((axis, known(c, vector, [-1])))
                axis += 1
        else:
            given.append((axis, as_index(c, index)))
            axis += 1
    if masks > 1:
        raise NotImplementedError("an index with several boolean masks")
    return given


@translates("aten.index", "aten._unsafe_index")
def index_(c: Context, x: ir.Value, indices: Sequence[ir.Value | None]) -> ir.Value:
    """One index is a Gather, several are a GatherND on broadcast indices, a mask in front one on its NonZero."""
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    if len(given) == 1 and given[0][1].dtype not in _MASKS:
        return c.op("Gather", x, as_index(c, given[0][1]), axis=given[0][0])
    if len(given) == 1 and given[0][0] == 0 and c.rank(given[0][1]):
        places = c.op("NonZero", c.cast(given[0][1], ir.DataType.BOOL))
        return c.op("GatherND", x, c.op("Transpose", places, perm=[1, 0]))
    given = index_tensors(c, x, indices)
    if not given:
        raise NotImplementedError("an index by a scalar mask")
    axes = [axis for axis, _ in given]
    if len(given) == 1:
        return c.op("Gather", x, given[0][1], axis=axes[0])
    rest = [axis for axis in range(c.rank(x)) if axis not in axes]
    result = c.op("GatherND", permuted(c, x, [*axes, *rest]), joined(c, [index for _, index in given]))
    before, rank = index_position(axes), len(c.shape) - len(rest)
    # The index axes come first from GatherND; torch leaves those of adjacent indices where they stood.
    order = [*range(rank, rank + before), *range(rank), *range(rank + before, len(c.shape))]
    return permuted(c, known(c, result, [-1] * len(c.shape)), order)


def index_position(axes: Sequence[int]) -> int:
    """Return how many axes stand before the index axes in the result: adjacent indices stay where they are."""
    return axes[0] if list(axes) == list(range(axes[0], axes[0] + len(axes))) else 0


def joined(c: Context, indices: Sequence[ir.Value]) -> ir.Value:
    """Broadcast index tensors against each other and stack them on a last axis, as GatherND and ScatterND want."""
    same = all(c.sizes_of(index) == c.sizes_of(indices[0]) for index in indices)
    wide = [c.cast(index, ir.DataType.INT64) for index in indices]
    if not same:
        # A sum of zeros has the broadcast shape, whether it is known or not.
        zero = c.op("Mul", wide[0], 0)
        for index in wide[1:]:
            zero = c.op("Add", zero, c.op("Mul", index, 0))
        wide = [c.op("Add", index, zero) for index in wide]
    stacked = [c.op("Unsqueeze", index, [-1]) for index in wide]
    return stacked[0] if len(stacked) == 1 else c.op("Concat", *stacked, axis=-1)


@translates("aten.masked_select")
def masked_select(c: Context, x: ir.Value, mask: ir.Value) -> ir.Value:
    """Compress after broadcasting."""
    if c.sizes_of(x) != c.sizes_of(mask):
        shape = c.op("Shape", c.op("Or", c.op("Equal", x, x), mask))
        x, mask = c.op("Expand", x, shape), c.op("Expand", mask, shape)
    return c.op("Compress", c.op("Reshape", x, [-1]), c.op("Reshape", mask, [-1]), axis=0)


@translates("aten.nonzero")
def nonzero(c: Context, x: ir.Value) -> ir.Value:
    """NonZero, transposed."""
    if c.rank(x) == 0:  # one row without columns, or none
        row = c.op("Transpose", c.op("NonZero", c.op("Reshape", x, [1])), perm=[1, 0])
        return c.op("Slice", row, [0], [0], [1])
    return c.op("Transpose", c.op("NonZero", x), perm=[1, 0])


@translates("aten.nonzero_static")
def nonzero_static(c: Context, x: ir.Value, *, size: int, fill_value: int = -1) -> ir.Value:
    """NonZero, transposed, filled up or cut to ``size`` rows."""
    if c.rank(x) == 0:
        raise NotImplementedError("nonzero_static of a scalar")
    found = c.op("Transpose", c.op("NonZero", x), perm=[1, 0])
    filler = c.op("Expand", c.const(fill_value, ir.DataType.INT64), [size, c.rank(x)])
    return c.op("Slice", c.op("Concat", found, filler, axis=0), [0], [size], [0])


@translates("aten.nonzero_numpy")
def nonzero_numpy(c: Context, x: ir.Value) -> tuple[ir.Value, ...]:
    """NonZero, one vector for each axis."""
    places = c.op("NonZero", at_least_vector(c, x))
    axes = range(max(c.rank(x), 1))
    return tuple(c.op("Gather", places, c.const(axis, ir.DataType.INT64), axis=0) for axis in axes)


# -- diagonals and counts -----------------------------------------------------------------------------------------


@translates("aten.diagonal", "aten.diagonal_copy", "aten.linalg_diagonal")
def diagonal(c: Context, x: ir.Value, offset: int = 0, dim1: int = 0, dim2: int = 1) -> ir.Value:
    """A Gather of the diagonal's places in the flattened matrices."""
    return _diagonal(c, x, offset, dim1, dim2)


def _diagonal(c: Context, x: ir.Value, offset: int, dim1: int, dim2: int) -> ir.Value:
    order, height, width = diagonal_axes(c, x, dim1, dim2)
    turned = permuted(c, x, order)
    matrices = c.reshape(turned, [*c.sizes_of(turned)[:-2], height * width])
    places = c.const(np.asarray(diagonal_places(height, width, offset), np.int64))
    return c.op("Gather", matrices, places, axis=len(order) - 2)


@translates("aten.trace")
def trace(c: Context, x: ir.Value) -> ir.Value:
    """The sum of the diagonal."""
    return c.op("ReduceSum", c.cast(_diagonal(c, x, 0, 0, 1), c.dtype), [0], keepdims=0)
