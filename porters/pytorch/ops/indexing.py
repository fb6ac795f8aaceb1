"""Indexing: gather, index, scatter, masked selection, sorting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from porters.pytorch.registry import Context, Size, translates


@translates("aten.gather")
def gather(c: Context, x: ir.Value, axis: int, index: ir.Value, **_: Any) -> ir.Value:
    """GatherElements."""
    return c.op("GatherElements", x, index, axis=c.axis(x, axis))


@translates("aten.index_select")
def index_select(c: Context, x: ir.Value, axis: int, index: ir.Value) -> ir.Value:
    """Gather."""
    return c.op("Gather", x, index, axis=c.axis(x, axis))


@translates("aten.index", "aten._unsafe_index")
def index_(c: Context, x: ir.Value, indices: Sequence[ir.Value | None]) -> ir.Value:
    """NumPy's advanced indexing: one index is a Gather, several are a GatherND on broadcast indices."""
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    if any(index.dtype in (ir.DataType.BOOL, ir.DataType.UINT8) for _, index in given):
        return _index_by_mask(c, x, given)
    if len(given) == 1:
        axis, index = given[0]
        return c.op("Gather", x, index, axis=axis)
    axes = [axis for axis, _ in given]
    joined = _joined([index for _, index in given], c)
    adjacent = axes == list(range(axes[0], axes[0] + len(axes)))
    rest = [axis for axis in range(c.rank(x)) if axis not in axes]
    moved = x if axes == list(range(len(axes))) else c.op("Transpose", x, perm=[*axes, *rest])
    result = c.op("GatherND", moved, joined)
    if adjacent and axes[0] > 0:
        # torch leaves adjacent indices where they stood: the index axes move behind the axes before them.
        rank = len(c.shape) - len(rest)
        before = axes[0]
        order = [*range(rank, rank + before), *range(rank), *range(rank + before, len(c.shape))]
        result = c.op("Transpose", result, perm=order)
    return result


def _joined(indices: Sequence[ir.Value], c: Context) -> ir.Value:
    """Broadcast index tensors against each other and stack them on a last axis, as GatherND and ScatterND want."""
    same = all(c.sizes_of(index) == c.sizes_of(indices[0]) for index in indices)
    wide = [c.cast(index, ir.DataType.INT64) for index in indices]
    if not same:
        # A sum of zeros has the broadcast shape, whether it is known or not.
        zero = c.op("Mul", wide[0], 0)
        for index in wide[1:]:
            zero = c.op("Add", zero, c.op("Mul", index, 0))
        wide = [c.op("Add", index, zero) for index in wide]
    return c.op("Concat", *[c.op("Unsqueeze", index, [-1]) for index in wide], axis=-1)


def _index_by_mask(c: Context, x: ir.Value, given: Sequence[tuple[int, ir.Value]]) -> ir.Value:
    if len(given) != 1:
        raise NotImplementedError("a boolean mask together with other indices")
    axis, mask = given[0]
    where = c.op("Transpose", c.op("NonZero", c.cast(mask, ir.DataType.BOOL)), perm=[1, 0])
    if axis == 0:
        return c.op("GatherND", x, where)
    if c.rank(mask) != 1:
        raise NotImplementedError("a boolean mask of several axes behind the first")
    return c.op("Gather", x, c.op("Squeeze", where, [1]), axis=axis)


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
    return c.op("Transpose", c.op("NonZero", x), perm=[1, 0])


@translates("aten.scatter.src", "aten.scatter.value")
def scatter(c: Context, x: ir.Value, axis: int, index: ir.Value, source: Any, **_: Any) -> ir.Value:
    """ScatterElements; where indices repeat, torch leaves the order open and so does ONNX."""
    updates = _updates(c, index, source)
    return c.op("ScatterElements", x, index, updates, axis=c.axis(x, axis))


@translates("aten.scatter_add")
def scatter_add(c: Context, x: ir.Value, axis: int, index: ir.Value, source: ir.Value) -> ir.Value:
    """ScatterElements with addition."""
    return c.op("ScatterElements", x, index, _updates(c, index, source), axis=c.axis(x, axis), reduction="add")


def _updates(c: Context, index: ir.Value, source: Any) -> ir.Value:
    if not isinstance(source, ir.Value):
        return c.op("Expand", c.scalar(source, c.dtype), c.vector(c.sizes_of(index)))
    if c.sizes_of(source) == c.sizes_of(index):
        return c.cast(source, c.dtype)
    rank = c.rank(index)
    return c.op("Slice", c.cast(source, c.dtype), [0] * rank, c.vector(c.sizes_of(index)), list(range(rank)))


@translates("aten.index_put", "aten._index_put_impl", "aten._unsafe_index_put")
def index_put(
    c: Context, x: ir.Value, indices: Sequence[ir.Value | None], values: ir.Value, accumulate: bool = False, *_: Any
) -> ir.Value:
    """ScatterND; a boolean mask of the whole tensor is a Where."""
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    reduction = "add" if accumulate else None
    values = c.cast(values, c.dtype)
    if len(given) == 1 and given[0][1].dtype == ir.DataType.BOOL:
        return _put_by_mask(c, x, *given[0], values, accumulate)
    axes = [axis for axis, _ in given]
    if axes != list(range(len(axes))):
        raise NotImplementedError("index_put behind an axis that is not indexed")
    joined = _joined([index for _, index in given], c)
    rest = c.vector(c.sizes_of(x)[len(axes) :]) if len(axes) < c.rank(x) else None
    heads = c.op("Slice", c.op("Shape", joined), [0], [-1], [0])
    shape = heads if rest is None else c.op("Concat", heads, rest, axis=0)
    return c.op("ScatterND", x, joined, c.op("Expand", values, shape), reduction=reduction)


def _put_by_mask(c: Context, x: ir.Value, axis: int, mask: ir.Value, values: ir.Value, accumulate: bool) -> ir.Value:
    single = c.rank(values) == 0 or c.sizes_of(values) == [1]
    if axis == 0 and single:
        extra = c.rank(x) - c.rank(mask)
        wide = c.op("Unsqueeze", mask, [c.rank(mask) + i for i in range(extra)]) if extra else mask
        scalar = c.op("Reshape", values, c.const([], ir.DataType.INT64)) if c.rank(values) else values
        return c.op("Where", wide, c.op("Add", x, scalar) if accumulate else scalar, x)
    if axis != 0:
        raise NotImplementedError("a boolean mask behind the first axis")
    where = c.op("Transpose", c.op("NonZero", mask), perm=[1, 0])
    return c.op("ScatterND", x, where, values, reduction="add" if accumulate else None)


@translates("aten.select_scatter")
def select_scatter(c: Context, x: ir.Value, source: ir.Value, axis: int, index: Size) -> ir.Value:
    """X with one index along an axis replaced."""
    from porters.pytorch.aliases import _write_slice

    return _write_slice(c, x, [x, axis, index], source, "select")


@translates("aten.slice_scatter")
def slice_scatter(
    c: Context, x: ir.Value, source: ir.Value, axis: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> ir.Value:
    """X with a slice along an axis replaced."""
    from porters.pytorch.aliases import _write_slice

    return _write_slice(c, x, [x, axis, start, end, step], source, "slice")


@translates("aten.topk")
def topk(c: Context, x: ir.Value, k: Size, axis: int = -1, largest: bool = True, order: bool = True) -> Any:
    """TopK."""
    return c.ops(
        "TopK", x, c.vector([k]), outputs=2, dtypes=[x.dtype, ir.DataType.INT64], axis=c.axis(x, axis),
        largest=int(largest), sorted=int(order),
    )  # fmt: skip


@translates("aten.sort.default", "aten.sort.stable")
def sort(c: Context, x: ir.Value, *args: Any, stable: bool = False, dim: int = -1, descending: bool = False) -> Any:
    """TopK of the whole axis; ONNX breaks ties towards the lower index, as a stable sort does."""
    rest = [item for item in args if item is not None]
    if rest and isinstance(rest[0], bool) and len(rest) == 3:
        rest = rest[1:]
    axis = c.axis(x, rest[0] if rest else dim)
    falling = rest[1] if len(rest) > 1 else descending
    size = c.sizes_of(x)[axis]
    data = c.cast(x, ir.DataType.INT32) if x.dtype == ir.DataType.BOOL else x
    values, order = c.ops(
        "TopK", data, c.vector([size]), outputs=2, dtypes=[data.dtype, ir.DataType.INT64], axis=axis,
        largest=int(bool(falling)),
    )  # fmt: skip
    return c.cast(values, x.dtype) if x.dtype is not None else values, order


@translates("aten.argsort")
def argsort(c: Context, x: ir.Value, *args: Any, **kwargs: Any) -> ir.Value:
    """The indices of sort."""
    order: ir.Value = sort(c, x, *args, **kwargs)[1]
    return order


@translates("aten.one_hot")
def one_hot(c: Context, x: ir.Value, classes: int = -1) -> ir.Value:
    """OneHot."""
    if classes < 0:
        raise NotImplementedError("one_hot without a number of classes")
    return c.op("OneHot", x, c.const([classes], ir.DataType.INT64), c.const([0, 1], ir.DataType.INT64), axis=-1)


@translates("aten.cumsum")
def cumsum(c: Context, x: ir.Value, axis: int, **_: Any) -> ir.Value:
    """CumSum in the dtype of the result."""
    data = c.cast(x, c.dtype)
    return c.op("CumSum", data, c.const(c.axis(x, axis), ir.DataType.INT64)) if c.rank(x) else data


@translates("aten.bucketize.Tensor")
def bucketize(c: Context, x: ir.Value, edges: ir.Value, *, out_int32: bool = False, right: bool = False) -> ir.Value:
    """Count the edges below (or not above) each element."""
    left, other = c.promote(c.op("Unsqueeze", x, [-1]), edges)
    below = c.op("LessOrEqual" if right else "Less", other, left)
    return c.op("ReduceSum", c.cast(below, ir.DataType.INT64), [-1], keepdims=0)
