"""Counting and lookup by value: ranks among edges, repeats, unique elements, one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.shared import END, at_least_vector, flat, known, number, permuted
from porters.pytorch.registry import Context, translates


@translates("aten.one_hot")
def one_hot(c: Context, x: ir.Value, classes: int = -1) -> ir.Value:
    """OneHot."""
    if classes < 0:
        raise NotImplementedError("one_hot without a number of classes")
    places = at_least_vector(c, x)
    rows = c.op("OneHot", places, c.const([classes], ir.DataType.INT64), c.const([0, 1], ir.DataType.INT64), axis=-1)
    return c.reshape(known(c, rows, [*c.sizes_of(places), classes]), c.shape)


@translates("aten.repeat_interleave.Tensor")
def repeat_interleave_counts(c: Context, counts: ir.Value, **_: Any) -> ir.Value:
    """The index of each count, as often as it says."""
    return _repeated(c, counts)


def _repeated(c: Context, counts: ir.Value) -> ir.Value:
    # Position i belongs behind as many of the running sums as are not above i.
    integer = ir.DataType.INT64
    counts = c.cast(counts, integer)
    ends = c.op("CumSum", counts, c.const(0, integer))
    places = c.op("Range", c.const(0, integer), c.op("ReduceSum", counts, [0], keepdims=0), c.const(1, integer))
    passed = c.op("LessOrEqual", ends, c.op("Unsqueeze", places, [1]))
    return c.op("ReduceSum", c.cast(passed, integer), [1], keepdims=0)


@translates("aten.repeat_interleave.self_Tensor")
def repeat_interleave_by(c: Context, x: ir.Value, counts: ir.Value, axis: int | None = None, **_: Any) -> ir.Value:
    """A Gather of each index as often as ``counts`` says."""
    data, along = (flat(c, x), 0) if axis is None else (x, c.axis(x, axis))
    if c.sizes_of(counts) != [c.sizes_of(data)[along]]:
        counts = c.op("Expand", counts, c.vector([c.sizes_of(data)[along]]))
    return c.op("Gather", data, _repeated(c, counts), axis=along)


@translates("aten.isin")
def isin(c: Context, x: Any, wanted: Any, *, assume_unique: bool = False, invert: bool = False) -> ir.Value:
    """Whether any of the wanted elements equals each element."""
    left, right = c.promote(x, wanted)
    right = c.op("Reshape", right, [-1])
    same = c.op("Equal", c.op("Unsqueeze", left, [-1]), right)
    found = c.cast(c.op("ReduceMax", c.cast(same, ir.DataType.INT32), [-1], keepdims=0), ir.DataType.BOOL)
    return c.op("Not", found) if invert else found


@translates("aten.bucketize.Tensor")
def bucketize(c: Context, x: ir.Value, edges: ir.Value, *, out_int32: bool = False, right: bool = False) -> ir.Value:
    """Count the edges below (or not above) each element."""
    return _ranks(c, edges, x, right)


@translates("aten.searchsorted")
def searchsorted(
    c: Context, edges: ir.Value, x: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: ir.Value | None = None,
) -> ir.Value:  # fmt: skip
    """Count the edges below (or not above) each element; many rows of edges have a row of elements each."""
    if sorter is not None:
        edges = known(c, c.op("GatherElements", edges, sorter, axis=-1), c.sizes_of(edges))
    sought = number(c, x, edges.dtype or c.dtype) if not isinstance(x, ir.Value) else x
    if c.rank(edges) > 1:
        edges = known(c, c.op("Unsqueeze", edges, [-2]), [*c.sizes_of(edges)[:-1], 1, c.sizes_of(edges)[-1]])
    return _ranks(c, edges, sought, right or side == "right")


def _ranks(c: Context, edges: ir.Value, x: ir.Value, right: bool) -> ir.Value:
    sought = known(c, c.op("Unsqueeze", x, [-1]), [*c.sizes_of(x), 1])
    left, other = c.promote(sought, edges)
    below = c.op("LessOrEqual" if right else "Less", other, left)
    return c.op("ReduceSum", c.cast(below, ir.DataType.INT64), [-1], keepdims=0)


@translates("aten._unique2")
def unique(
    c: Context, x: ir.Value, sort: bool = True, return_inverse: bool = False, return_counts: bool = False
) -> tuple[ir.Value, ...]:
    """Unique, always sorted; where each element went and how often it occurs."""
    return _unique(c, x, None, c.sizes_of(x))


@translates("aten.unique_dim")
def unique_dim(c: Context, x: ir.Value, axis: int, *_: Any) -> tuple[ir.Value, ...]:
    """Unique slices along an axis, in order."""
    return _unique(c, x, c.axis(x, axis), None)


def _unique(c: Context, x: ir.Value, axis: int | None, shape: Any) -> tuple[ir.Value, ...]:
    integer = ir.DataType.INT64
    data = x if x.dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE) else c.cast(x, integer)
    values, _, inverse, counts = c.ops(
        "Unique", data, outputs=4, dtypes=[data.dtype, integer, integer, integer], axis=axis, sorted=1
    )
    if shape is not None:
        inverse = c.reshape(known(c, inverse, [-1]), shape)
    return values, inverse, counts


@translates("aten.unique_consecutive")
def unique_consecutive(
    c: Context, x: ir.Value, return_inverse: bool = False, return_counts: bool = False, axis: int | None = None
) -> tuple[ir.Value, ...]:
    """Where each run begins; runs are numbered by a running sum, and as long as the next one's start is far."""
    rows = flat(c, x) if axis is None else permuted(c, x, _first(c.rank(x), c.axis(x, axis)))
    size = c.sizes_of(rows)[0]
    if size == 0:
        raise NotImplementedError("unique_consecutive of nothing")
    before = c.op("Slice", rows, [0], [-1], [0])
    after = c.op("Slice", rows, [1], [END], [0])
    changes = c.op(
        "Cast", c.op("Not", c.op("Equal", after, before)), to=ir.DataType.INT64.value, dtype=ir.DataType.INT64
    )
    others = list(range(1, c.rank(rows)))
    if others:
        changes = c.op("ReduceMax", changes, others, keepdims=0)
    starts = c.op("Concat", c.const([1], ir.DataType.INT64), changes, axis=0)
    kept = c.op("Compress", rows, c.cast(starts, ir.DataType.BOOL), axis=0)
    values = kept if axis is None else c.op("Transpose", kept, perm=_back(c.rank(x), c.axis(x, axis)))
    inverse = c.op("Sub", c.op("CumSum", starts, c.const(0, ir.DataType.INT64)), 1)
    if axis is None and return_inverse:
        inverse = c.op("Reshape", inverse, c.vector(c.sizes_of(x)))
    places = c.op("Squeeze", c.op("NonZero", starts), [0])
    ends = c.op("Concat", c.op("Slice", places, [1], [END], [0]), c.vector([size]), axis=0)
    nothing = c.const(np.zeros(0, np.int64))
    return (
        values,
        inverse if return_inverse else nothing,
        c.op("Sub", ends, places) if return_counts else nothing,
    )


def _first(rank: int, axis: int) -> list[int]:
    return [axis, *(i for i in range(rank) if i != axis)]


def _back(rank: int, axis: int) -> list[int]:
    order = _first(rank, axis)
    return [order.index(i) for i in range(rank)]


@translates("aten.histc")
def histc(c: Context, x: ir.Value, bins: int = 100, low: Any = 0, high: Any = 0, **named: Any) -> ir.Value:
    """Ones added up by bin; bins by torch's own formula in the dtype of the numbers, so that no border moves."""
    low, high = named.get("min", low), named.get("max", high)
    data = flat(c, x)
    if low == high == 0:
        first, last = (c.op(op_type, data, [0], keepdims=0) for op_type in ("ReduceMin", "ReduceMax"))
        same = c.op("Equal", first, last)
        first = c.op("Where", same, c.op("Sub", first, 1), first)
        last = c.op("Where", same, c.op("Add", last, 1), last)
    elif low == high:
        first, last = c.const(low - 1, x.dtype), c.const(high + 1, x.dtype)
    else:
        first, last = c.const(low, x.dtype), c.const(high, x.dtype)
    share = c.op("Mul", c.op("Sub", data, first), c.scalar(bins, c.dtype))
    place = c.op("Floor", c.op("Div", share, c.op("Sub", last, first)))
    place = c.op("Clip", place, c.const(0, c.dtype), c.const(bins - 1, c.dtype))
    inside = c.op("And", c.op("GreaterOrEqual", data, first), c.op("LessOrEqual", data, last))
    ones = c.cast(inside, c.dtype)
    place = c.op("Where", inside, place, c.const(0, c.dtype))
    zeros = c.const(np.zeros(bins), c.dtype)
    return c.op("ScatterElements", zeros, c.cast(place, ir.DataType.INT64), ones, axis=0, reduction="add")
