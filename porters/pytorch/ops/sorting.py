"""Sorting, ranking, and running sums, products and extrema."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.ops.shared import at_least_vector, cast, computable, flat, known, permuted, static
from porters.pytorch.registry import Context, Size, translates

# A running product or extremum looks at every pair of elements along its axis: no more elements than this.
MOST_RUNNING = 1024


def _ranked(c: Context, x: ir.Value, axis: int, count: Size, largest: bool) -> tuple[ir.Value, ir.Value]:
    """Return the first ``count`` elements in order and where they stand; a scalar is a vector of one.

    ONNX breaks ties towards the lower index, as a stable sort does.
    """
    data = computable(c, at_least_vector(c, x), ir.DataType.BOOL)
    sizes = list(c.sizes_of(data))
    place = c.axis(data, axis)
    sizes[place] = count
    values, order = c.ops(
        "TopK", data, c.vector([count]), outputs=2, dtypes=[data.dtype, ir.DataType.INT64], axis=place,
        largest=int(largest),
    )  # fmt: skip
    assert x.dtype is not None
    return cast(c, known(c, values, sizes), x.dtype), known(c, order, sizes)


@translates("aten.topk")
def topk(c: Context, x: ir.Value, k: Size, axis: int = -1, largest: bool = True, order: bool = True) -> Any:
    """TopK, in order whether asked for or not."""
    values, places = _ranked(c, x, axis, k, largest)
    return c.reshape(values, c.shape), c.reshape(places, c.shape)


@translates("aten.sort.default", "aten.sort.stable")
def sort(c: Context, x: ir.Value, *args: Any, stable: Any = False, dim: int = -1, descending: bool = False) -> Any:
    """TopK of the whole axis."""
    return _sorted(c, x, *_sort_arguments(args, dim, descending))


@translates("aten.argsort")
def argsort(c: Context, x: ir.Value, *args: Any, stable: Any = False, dim: int = -1, descending: bool = False) -> Any:
    """The indices of sort."""
    return _sorted(c, x, *_sort_arguments(args, dim, descending))[1]


@translates("aten.msort")
def msort(c: Context, x: ir.Value) -> ir.Value:
    """The values of sort along the first axis."""
    return _sorted(c, x, 0, False)[0]


def _sort_arguments(args: Any, dim: int, descending: bool) -> tuple[int, bool]:
    return (args[0] if args else dim), (args[1] if len(args) > 1 else descending)


def _sorted(c: Context, x: ir.Value, axis: int, descending: bool) -> tuple[ir.Value, ir.Value]:
    sizes = c.sizes_of(x)
    values, order = _ranked(c, x, axis, sizes[c.axis(x, axis)] if sizes else 1, descending)
    return c.reshape(values, sizes), c.reshape(order, sizes)


@translates("aten.kthvalue")
def kthvalue(c: Context, x: ir.Value, k: int, axis: int = -1, keep: bool = False) -> tuple[ir.Value, ir.Value]:
    """The last of the k smallest."""
    return _kth(c, x, k, axis, keep)


def _kth(c: Context, x: ir.Value, k: int, axis: int, keep: bool) -> tuple[ir.Value, ir.Value]:
    values, order = _ranked(c, x, axis, k, largest=False)
    place = c.axis(values, axis)
    last = c.const([k - 1] if keep and c.rank(x) else k - 1, ir.DataType.INT64)
    return c.op("Gather", values, last, axis=place), c.op("Gather", order, last, axis=place)


@translates("aten.median.dim")
def median_dim(c: Context, x: ir.Value, axis: int = -1, keep: bool = False) -> tuple[ir.Value, ir.Value]:
    """The lower of the two elements in the middle."""
    count = static(c.sizes_of(x)[c.axis(x, axis)], "a median") if c.rank(x) else 1
    return _kth(c, x, (count + 1) // 2, axis, keep)


@translates("aten.median.default")
def median(c: Context, x: ir.Value) -> ir.Value:
    """The lower of the two elements in the middle of them all."""
    count = int(np.prod([static(size, "a median") for size in c.sizes_of(x)]))
    if count == 0:
        raise NotImplementedError("the median of nothing")
    vector = known(c, c.op("Reshape", x, [-1]), [count])
    return _kth(c, vector, (count + 1) // 2, 0, False)[0]


@translates("aten.nanmedian.dim")
def nanmedian_dim(c: Context, x: ir.Value, axis: int = -1, keep: bool = False) -> tuple[ir.Value, ir.Value]:
    """The lower of the two numbers in the middle; NaN is passed over."""
    return _nanmedian(c, x, axis, keep)


@translates("aten.nanmedian.default")
def nanmedian(c: Context, x: ir.Value) -> ir.Value:
    """The lower of the two numbers in the middle of them all."""
    return _nanmedian(c, flat(c, at_least_vector(c, x)), 0, False)[0]


def _nanmedian(c: Context, x: ir.Value, axis: int, keep: bool) -> tuple[ir.Value, ir.Value]:
    if not c.rank(x):
        return x, c.const(0, ir.DataType.INT64)
    if x.dtype not in dtypes.FLOATS:
        return _kth(c, x, (static(c.sizes_of(x)[c.axis(x, axis)], "a median") + 1) // 2, axis, keep)
    missing = c.op("IsNaN", x)
    place = c.axis(x, axis)
    filled = known(c, c.op("Where", missing, c.const(float("inf"), x.dtype), x), c.sizes_of(x))
    values, order = _ranked(c, filled, place, c.sizes_of(x)[place], largest=False)
    present = c.op("ReduceSum", c.cast(c.op("Not", missing), ir.DataType.INT64), [place], keepdims=1)
    middle = c.op("Div", c.op("Max", c.op("Sub", present, 1), 0), 2)
    median_, where = (c.op("GatherElements", item, middle, axis=place) for item in (values, order))
    median_ = c.op("Where", c.op("Equal", present, 0), c.const(float("nan"), x.dtype), median_)
    return (median_, where) if keep else (c.op("Squeeze", median_, [place]), c.op("Squeeze", where, [place]))


# -- running sums and extrema -------------------------------------------------------------------------------------


@translates("aten.cumsum")
def cumsum(c: Context, x: ir.Value, axis: int, **_: Any) -> ir.Value:
    """CumSum in the dtype of the result."""
    data = computable(c, cast(c, x, c.dtype))
    if not c.rank(x):
        return data
    return c.cast(c.op("CumSum", data, c.const(c.axis(x, axis), ir.DataType.INT64)), c.dtype)


def _running(c: Context, op_type: str, x: ir.Value, axis: int, neutral: Any) -> tuple[ir.Value, ir.Value]:
    """Return the reduction of each prefix along ``axis``, and the masked prefixes (axis last) it was made from."""
    sizes = c.sizes_of(x)
    place = c.axis(x, axis)
    count = static(sizes[place], "a running reduction")
    if count > MOST_RUNNING:
        raise NotImplementedError(f"a running reduction over more than {MOST_RUNNING} elements")
    order = [i for i in range(len(sizes)) if i != place] + [place]
    rows = c.op("Unsqueeze", permuted(c, x, order), [-2])
    assert x.dtype is not None
    prefixes = c.op("Where", c.const(np.tril(np.ones((count, count), bool))), rows, c.const(neutral, x.dtype))
    result = known(c, c.op(op_type, prefixes, [-1], keepdims=0), [sizes[i] for i in order])
    return permuted(c, result, [order.index(i) for i in range(len(order))]), prefixes


def _back(c: Context, x: ir.Value, last: ir.Value, axis: int) -> ir.Value:
    """Return a tensor whose last axis belongs at ``axis``."""
    rank, place = c.rank(x), c.axis(x, axis)
    order = [i for i in range(rank) if i != place] + [place]
    return permuted(c, known(c, last, [c.sizes_of(x)[i] for i in order]), [order.index(i) for i in range(rank)])


@translates("aten.cumprod")
def cumprod(c: Context, x: ir.Value, axis: int, **_: Any) -> ir.Value:
    """The product of every prefix."""
    data = computable(c, cast(c, x, c.dtype))
    return cast(c, _running(c, "ReduceProd", data, axis, 1)[0], c.dtype) if c.rank(x) else data


@translates("aten.logcumsumexp")
def logcumsumexp(c: Context, x: ir.Value, axis: int) -> ir.Value:
    """The logarithm of the sum of exponentials of every prefix."""
    return _running(c, "ReduceLogSumExp", x, axis, float("-inf"))[0] if c.rank(x) else x


@translates("aten.cummax")
def cummax(c: Context, x: ir.Value, axis: int) -> tuple[ir.Value, ir.Value]:
    """The largest of every prefix, and where it stands last."""
    return _running_extremum(c, x, axis, "Max", float("-inf"))


@translates("aten.cummin")
def cummin(c: Context, x: ir.Value, axis: int) -> tuple[ir.Value, ir.Value]:
    """The smallest of every prefix, and where it stands last."""
    return _running_extremum(c, x, axis, "Min", float("inf"))


def _running_extremum(c: Context, x: ir.Value, axis: int, which: str, neutral: float) -> tuple[ir.Value, ir.Value]:
    if c.rank(x) == 0:
        return x, c.const(0, ir.DataType.INT64)
    if x.dtype in dtypes.FLOATS:
        values, prefixes = _running(c, f"Reduce{which}", x, axis, neutral)
        places = c.op(f"Arg{which}", prefixes, axis=-1, keepdims=0, select_last_index=1)
        return values, _back(c, x, places, axis)
    data = computable(c, x, ir.DataType.BOOL)
    assert data.dtype is not None
    limits = np.iinfo(data.dtype.numpy())
    values, prefixes = _running(c, f"Reduce{which}", data, axis, limits.min if which == "Max" else limits.max)
    count = static(c.sizes_of(x)[c.axis(x, axis)], "a running extremum")
    return cast(c, values, c.dtype), _back(c, x, _last_extremum(c, prefixes, count, which), axis)


def _last_extremum(c: Context, prefixes: ir.Value, count: int, which: str) -> ir.Value:
    """Return where the extremum of each prefix of integers stands last: runtimes lack ArgMax for some of them."""
    extremum = c.op(f"Reduce{which}", prefixes, [-1], keepdims=1)
    inside = c.const(np.tril(np.ones((count, count), bool)))
    hit = c.op("And", c.op("Equal", prefixes, extremum), inside)
    places = c.op("Where", hit, c.const(np.arange(count)), c.const(np.array(-1)))
    return c.op("ReduceMax", places, [-1], keepdims=0)
