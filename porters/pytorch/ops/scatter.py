"""Writing by index: scatter, index_put and their relatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.indexing import as_index, index_position, index_tensors, joined
from porters.pytorch.ops.shared import at_least_vector, cast, chosen, flat, known, number, permuted, static_sizes
from porters.pytorch.registry import Context, Size, translates
from porters.pytorch.writes import into_select, into_slice, put_back

# torch's reductions of scattered values -> ONNX's, and what leaves the reduction as it is.
_REDUCTIONS = {"sum": "add", "add": "add", "prod": "mul", "multiply": "mul", "amax": "max", "amin": "min"}
_NEUTRAL = {"add": 0.0, "mul": 1.0, "max": float("-inf"), "min": float("inf")}


# -- scatter ------------------------------------------------------------------------------------------------------


@translates("aten.scatter.src", "aten.scatter.value")
def scatter(c: Context, x: ir.Value, axis: int, index: ir.Value, source: Any) -> ir.Value:
    """ScatterElements; where indices repeat, torch leaves the order open and so does ONNX."""
    return _scattered(c, x, axis, index, source, None)


@translates("aten.scatter.reduce", "aten.scatter.value_reduce")
def scatter_reduced(c: Context, x: ir.Value, axis: int, index: ir.Value, source: Any, *, reduce: str) -> ir.Value:
    """ScatterElements with addition or multiplication."""
    return _scattered(c, x, axis, index, source, _REDUCTIONS[reduce])


@translates("aten.scatter_add")
def scatter_add(c: Context, x: ir.Value, axis: int, index: ir.Value, source: ir.Value) -> ir.Value:
    """ScatterElements with addition."""
    return _scattered(c, x, axis, index, source, "add")


@translates("aten.scatter_reduce.two")
def scatter_reduce(
    c: Context, x: ir.Value, axis: int, index: ir.Value, source: ir.Value, reduce: str, *, include_self: bool = True
) -> ir.Value:
    """ScatterElements with a reduction; a mean is a sum over a count of ones scattered the same way."""
    if reduce == "mean":
        return _scattered_mean(c, x, axis, index, source, include_self)
    reduction = _REDUCTIONS[reduce]
    base = x if include_self else _scattered(c, x, axis, index, _neutral(c, reduction), None)
    return _scattered(c, known(c, base, c.sizes_of(x)), axis, index, source, reduction)


def _neutral(c: Context, reduction: str) -> Any:
    import torch

    from porters.pytorch import dtypes

    if c.dtype in dtypes.FLOATS or reduction in ("add", "mul"):
        return _NEUTRAL[reduction]
    if c.dtype == ir.DataType.BOOL:
        raise NotImplementedError("a scattered extremum of booleans")
    limits = torch.iinfo(dtypes.to_torch(c.dtype))
    return limits.min if reduction == "max" else limits.max


def _scattered_mean(
    c: Context, x: ir.Value, axis: int, index: ir.Value, source: ir.Value, include_self: bool
) -> ir.Value:
    from porters.pytorch import dtypes

    if c.dtype not in dtypes.FLOATS:
        raise NotImplementedError("a scattered mean of integers")
    sizes = c.sizes_of(x)
    base = x if include_self else known(c, _scattered(c, x, axis, index, 0.0, None), sizes)
    total = _scattered(c, base, axis, index, source, "add")
    start = known(c, c.op("Expand", c.const(float(include_self), c.dtype), c.vector(sizes)), sizes)
    count = _scattered(c, start, axis, index, 1.0, "add")
    return c.op("Div", total, count if include_self else c.op("Max", count, 1.0))


def _scattered(c: Context, x: ir.Value, axis: int, index: ir.Value, source: Any, reduction: str | None) -> ir.Value:
    if reduction and c.dtype == ir.DataType.BOOL:
        raise NotImplementedError("a reduction of scattered booleans")
    data, places = at_least_vector(c, x), at_least_vector(c, as_index(c, index))
    if isinstance(source, ir.Value):
        updates = _cut(c, at_least_vector(c, cast(c, source, c.dtype)), c.sizes_of(places))
    else:
        updates = c.op("Expand", c.scalar(source, c.dtype), c.vector(c.sizes_of(places)))
    result = c.op("ScatterElements", data, places, updates, axis=c.axis(data, axis), reduction=reduction)
    return c.reshape(known(c, result, c.sizes_of(data)), c.sizes_of(x))


def _cut(c: Context, source: ir.Value, sizes: Sequence[Size]) -> ir.Value:
    """Return the leading part of ``source``: torch lets it be larger than the index."""
    if c.sizes_of(source) == list(sizes):
        return source
    rank = len(sizes)
    return c.op("Slice", source, [0] * rank, c.vector(sizes), list(range(rank)))


# -- whole slices along one axis ----------------------------------------------------------------------------------


def _spread(c: Context, x: ir.Value, axis: int, index: ir.Value) -> tuple[ir.Value, list[Size]]:
    """Return a vector of indices spread over the shape of what is written, and that shape."""
    places = at_least_vector(c, as_index(c, index))
    sizes = list(c.sizes_of(x))
    sizes[axis] = c.sizes_of(places)[0]
    shape: list[Size] = [1] * len(sizes)
    shape[axis] = -1
    return known(c, c.op("Expand", c.op("Reshape", places, c.vector(shape)), c.vector(sizes)), sizes), sizes


@translates("aten.index_add")
def index_add(c: Context, x: ir.Value, axis: int, index: ir.Value, source: ir.Value, *, alpha: Any = 1) -> ir.Value:
    """ScatterElements with addition, the index spread over the other axes."""
    source = cast(c, source, c.dtype)
    if alpha != 1 and c.dtype != ir.DataType.BOOL:
        source = known(c, c.op("Mul", source, c.scalar(alpha, c.dtype)), c.sizes_of(source))
    return _into_slices(c, x, axis, index, source, "add")


@translates("aten.index_copy")
def index_copy(c: Context, x: ir.Value, axis: int, index: ir.Value, source: ir.Value) -> ir.Value:
    """ScatterElements, the index spread over the other axes."""
    return _into_slices(c, x, axis, index, source, None)


@translates("aten.index_fill")
def index_fill(c: Context, x: ir.Value, axis: int, index: ir.Value, value: Any) -> ir.Value:
    """ScatterElements of one number, the index spread over the other axes."""
    return _into_slices(c, x, axis, index, number(c, value, c.dtype), None)


@translates("aten.index_reduce")
def index_reduce(
    c: Context, x: ir.Value, axis: int, index: ir.Value, source: ir.Value, reduce: str, *, include_self: bool = True
) -> ir.Value:
    """ScatterElements with a reduction, the index spread over the other axes."""
    data = at_least_vector(c, x)
    axis = c.axis(data, axis)
    places, sizes = _spread(c, data, axis, index)
    wide = c.reshape(source, sizes) if c.rank(source) != len(sizes) else source
    result = scatter_reduce(c, data, axis, places, wide, reduce, include_self=include_self)
    return c.reshape(known(c, result, c.sizes_of(data)), c.shape)


def _into_slices(
    c: Context, x: ir.Value, axis: int, index: ir.Value, source: ir.Value, reduction: str | None
) -> ir.Value:
    if reduction and c.dtype == ir.DataType.BOOL:
        raise NotImplementedError("a reduction of scattered booleans")
    data = at_least_vector(c, x)
    axis = c.axis(data, axis)
    places, sizes = _spread(c, data, axis, index)
    updates = cast(c, source, c.dtype)
    if c.sizes_of(updates) != sizes:
        updates = c.op("Expand", updates, c.vector(sizes))
    result = c.op("ScatterElements", data, places, updates, axis=axis, reduction=reduction)
    return c.reshape(known(c, result, c.sizes_of(data)), c.shape)


# -- index_put ----------------------------------------------------------------------------------------------------


@translates("aten.index_put", "aten._index_put_impl", "aten._unsafe_index_put")
def index_put(
    c: Context, x: ir.Value, indices: Sequence[ir.Value | None], values: ir.Value, accumulate: bool = False, *_: Any
) -> ir.Value:
    """ScatterND on broadcast indices; a Where for a boolean mask over the first axes and values that broadcast."""
    if accumulate and c.dtype == ir.DataType.BOOL:
        raise NotImplementedError("a sum of booleans written by index")
    values = cast(c, values, c.dtype)
    masked = _put_by_mask(c, x, indices, values, accumulate)
    if masked is not None:
        return masked
    given = index_tensors(c, x, indices)
    if not given:
        raise NotImplementedError("a write by a scalar mask")
    axes = [axis for axis, _ in given]
    rest = [axis for axis in range(c.rank(x)) if axis not in axes]
    places = joined(c, [index for _, index in given])
    order = [*axes, *rest]
    data = permuted(c, x, order)
    updates = _broadcast_updates(c, data, places, values, index_position(axes), [i for _, i in given], len(rest))
    result = c.op("ScatterND", data, places, updates, reduction="add" if accumulate else None)
    return permuted(c, known(c, result, c.sizes_of(data)), [order.index(axis) for axis in range(len(order))])


def _put_by_mask(
    c: Context, x: ir.Value, indices: Sequence[ir.Value | None], values: ir.Value, accumulate: bool
) -> ir.Value | None:
    given = [index for index in indices if index is not None]
    if len(given) != 1 or indices[0] is None or given[0].dtype not in (ir.DataType.BOOL, ir.DataType.UINT8):
        return None
    mask = cast(c, given[0], ir.DataType.BOOL)
    extra = c.rank(x) - c.rank(mask)
    sizes = c.sizes_of(values)
    while len(sizes) > extra and sizes[0] == 1:  # the axis of the elements that the mask selects
        values = known(c, c.op("Squeeze", values, [0]), sizes[1:])
        sizes = sizes[1:]
    if len(sizes) > extra:
        return None
    wide = c.op("Unsqueeze", mask, [c.rank(mask) + i for i in range(extra)]) if extra else mask
    return chosen(c, wide, c.op("Add", x, values) if accumulate else values, x)


def _broadcast_updates(
    c: Context, data: ir.Value, places: ir.Value, values: ir.Value, before: int, indices: Sequence[ir.Value], rest: int
) -> ir.Value:
    """Return the values in the shape that ScatterND wants: index axes first, then the axes that are not indexed."""
    rank = max(c.rank(index) for index in indices)
    if before and c.rank(values) > rest - before:
        # torch's values have the index axes behind ``before`` others.
        missing = rank + rest - c.rank(values)
        full = (
            known(c, c.op("Unsqueeze", values, list(range(missing))), [1] * missing + c.sizes_of(values))
            if missing
            else values
        )
        values = permuted(c, full, [*range(before, before + rank), *range(before), *range(before + rank, rank + rest)])
    heads = c.op("Slice", c.op("Shape", places), [0], [-1], [0])
    count = len(c.sizes_of(data)) - rest
    shape = c.op("Concat", heads, c.vector(c.sizes_of(data)[count:]), axis=0) if rest else heads
    return c.op("Expand", values, shape)


@translates("aten.put")
def put(c: Context, x: ir.Value, index: ir.Value, source: ir.Value, accumulate: bool = False) -> ir.Value:
    """ScatterElements on the flattened tensor."""
    data = flat(c, at_least_vector(c, x))
    result = c.op(
        "ScatterElements", data, flat(c, at_least_vector(c, as_index(c, index))),
        flat(c, at_least_vector(c, cast(c, source, c.dtype))), axis=0, reduction="add" if accumulate else None,
    )  # fmt: skip
    return c.reshape(known(c, result, c.sizes_of(data)), c.shape)


# -- masks and views ----------------------------------------------------------------------------------------------


@translates("aten.masked_scatter")
def masked_scatter(c: Context, x: ir.Value, mask: ir.Value, source: ir.Value) -> ir.Value:
    """Where(mask, the next element of the source, x); a running count of the mask says which one is next."""
    wide = c.op("Expand", mask, c.vector(c.shape)) if c.sizes_of(mask) != c.shape else mask
    base = c.op("Expand", x, c.vector(c.shape)) if c.sizes_of(x) != c.shape else x
    integer = ir.DataType.INT64
    taking = c.cast(c.op("Reshape", wide, [-1]), integer)
    turn = c.op("Max", c.op("Sub", c.op("CumSum", taking, c.const(0, integer)), 1), 0)
    # The source may hold nothing where the mask is empty: one more element keeps the Gather in range.
    pool = c.op("Concat", flat(c, cast(c, source, c.dtype)), c.const([0], c.dtype), axis=0)
    taken = known(c, c.op("Gather", pool, turn, axis=0), [-1])
    return chosen(c, wide, c.op("Reshape", taken, c.vector(c.shape)), base)


@translates("aten.select_scatter")
def select_scatter(c: Context, x: ir.Value, source: ir.Value, axis: int, index: Size) -> ir.Value:
    """X with one index along an axis replaced."""
    return into_select(c, x, c.cast(source, c.dtype), axis, index)


@translates("aten.slice_scatter")
def slice_scatter(
    c: Context, x: ir.Value, source: ir.Value, axis: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> ir.Value:
    """X with a slice along an axis replaced."""
    return into_slice(c, x, c.cast(source, c.dtype), c.sizes_of(source), axis, start, end, step)


@translates("aten.fill_diagonal")
def fill_diagonal(c: Context, x: ir.Value, value: Any, wrap: bool = False) -> ir.Value:
    """Where(identity matrix, value, x)."""
    height, width = static_sizes(c.sizes_of(x)[:2], "fill_diagonal")
    if c.rank(x) != 2 or (wrap and height > width):
        raise NotImplementedError("fill_diagonal of more than two axes, or wrapped")
    return chosen(c, c.const(np.eye(height, width, dtype=bool)), number(c, value, c.dtype), x)


@translates("aten.diagonal_scatter")
def diagonal_scatter(
    c: Context, x: ir.Value, source: ir.Value, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> ir.Value:
    """X with a diagonal replaced."""
    return put_back(c, x, source, "diagonal", [offset, dim1, dim2], [c.sizes_of(source)])


@translates("aten.as_strided_scatter")
def as_strided_scatter(
    c: Context, x: ir.Value, source: ir.Value, size: Sequence[int], stride: Sequence[int], offset: int | None = None
) -> ir.Value:
    """ScatterElements at the places that as_strided looks at; ``x`` is contiguous (the walker sees to that)."""
    places = np.asarray(offset or 0)
    for count, step in zip(static_sizes(size, "as_strided"), static_sizes(stride, "as_strided"), strict=True):
        places = places[..., None] + np.arange(count) * step
    if len(np.unique(places)) != places.size:
        raise NotImplementedError("as_strided_scatter to overlapping places")
    data, values = flat(c, x), flat(c, cast(c, source, c.dtype))
    index = c.const(places.reshape(-1), ir.DataType.INT64)
    return c.reshape(known(c, c.op("ScatterElements", data, index, values, axis=0), c.sizes_of(data)), c.shape)
