"""Counting and lookup by value: ranks among edges, repeats, unique elements, one-hot rows."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from porters.pytorch.ops.shared import at_least_vector, flat, known, number
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
