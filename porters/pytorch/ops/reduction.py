"""Reductions: sums, means, extrema, norms, variances, any and all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.ops.shared import alike, at_least_vector, cast, computable, flat, known
from porters.pytorch.registry import Context, Dim, Size, translates

Axes = int | Sequence[int] | None

# Bits of the lower half of an integer, and a factor whose products with counts and tokens may pass 53 bits.
HALF, LARGE_FACTOR = 32, 1 << 29
# Elements of a mean whose axes are not the innermost: ONNX Runtime adds such one after the other. Of 1,024 its mean is
# 8 times as far from the truth as PyTorch's, axis by axis it is 1.6 times as far.
MANY = 256


def reduced(c: Context, op_type: str, x: ir.Value, axes: Axes, keep: bool) -> ir.Value:
    """Emit a Reduce operator over ``axes`` (none named: all of them); a scalar is reduced as a vector of one."""
    data = at_least_vector(c, x)
    over = c.axes(data, axes)
    sizes = [
        1 if axis in over else size
        for axis, size in enumerate(c.sizes_of(data))
        if axis not in over or (keep and c.rank(x))
    ]
    if op_type == "ReduceMean" and 0 in [c.sizes_of(data)[axis] for axis in over]:
        # The mean of nothing; runtimes answer 0.
        return known(c, c.op("Expand", c.const(float("nan"), x.dtype), c.vector(sizes)), sizes)
    keepdims = int(keep and c.rank(x) > 0)
    return known(c, c.op(op_type, data, over, keepdims=keepdims), sizes)


@translates("aten.sum")
def sum_(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False, **_: Any) -> ir.Value:
    """ReduceSum in the dtype of the result."""
    data = computable(c, cast(c, x, c.dtype))
    if c.dtype == ir.DataType.INT64 and _beyond_double(data):
        return _exact_sum(c, data, axes, keep)
    return cast(c, reduced(c, "ReduceSum", data, axes, keep), c.dtype)


def _beyond_double(x: ir.Value) -> bool:
    """Say whether integers are products of factors so large, as in hashes, that a double does not hold them."""
    node = x.producer()
    factors = [item.const_value for item in node.inputs if item is not None] if node and node.op_type == "Mul" else []
    return any(item is not None and bool((abs(item.numpy() >> 1) >= LARGE_FACTOR >> 1).any()) for item in factors)


def _exact_sum(c: Context, x: ir.Value, axes: Axes, keep: bool) -> ir.Value:
    """Sum the upper and the lower half of integers by themselves: runtimes add 64 bits in double precision."""
    low = known(c, c.op("Mod", x, 1 << HALF), c.sizes_of(x))
    high = known(c, c.op("Div", c.op("Sub", x, low), 1 << HALF), c.sizes_of(x))
    sums = [reduced(c, "ReduceSum", part, axes, keep) for part in (high, low)]
    return known(c, c.op("Add", c.op("Mul", sums[0], 1 << HALF), sums[1]), c.sizes_of(sums[1]))


@translates("aten.mean")
def mean(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False, **_: Any) -> ir.Value:
    """ReduceMean; one for each axis where so many elements lie apart that runtimes would lose digits adding them."""
    data = cast(c, x, c.dtype)
    over = sorted(c.axes(data, axes)) if c.rank(data) else []
    counts = [c.sizes_of(data)[axis] for axis in over]
    known_counts = [count for count in counts if isinstance(count, int)]
    many = len(known_counts) == len(counts) and math.prod(known_counts) >= MANY
    if len(over) < 2 or over[-1] == c.rank(data) - 1 or not many:
        return reduced(c, "ReduceMean", data, axes, keep)
    for axis in reversed(over):
        data = reduced(c, "ReduceMean", data, axis, keep)
    return data


@translates("aten.nansum")
def nansum(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False, **_: Any) -> ir.Value:
    """ReduceSum with zeros for NaN."""
    data = cast(c, x, c.dtype)
    if data.dtype in dtypes.FLOATS:
        data = known(c, c.op("Where", c.op("IsNaN", data), c.const(0, c.dtype), data), c.sizes_of(x))
    return reduced(c, "ReduceSum", data, axes, keep)


@translates("aten.prod")
def prod(c: Context, x: ir.Value, axis: Axes = None, keep: bool = False, **_: Any) -> ir.Value:
    """ReduceProd in the dtype of the result."""
    data = computable(c, cast(c, x, c.dtype), ir.DataType.BOOL)
    return cast(c, reduced(c, "ReduceProd", data, axis, keep), c.dtype)


# -- extrema ------------------------------------------------------------------------------------------------------


def _extremum(c: Context, op_type: str, x: ir.Value, axes: Axes, keep: bool) -> ir.Value:
    data = computable(c, x, ir.DataType.BOOL)
    result = reduced(c, op_type, data, axes, keep)
    return cast(c, result, x.dtype) if x.dtype is not None else result


@translates("aten.amax")
def amax(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False) -> ir.Value:
    """ReduceMax."""
    return _extremum(c, "ReduceMax", x, axes, keep)


@translates("aten.amin")
def amin(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False) -> ir.Value:
    """ReduceMin."""
    return _extremum(c, "ReduceMin", x, axes, keep)


@translates("aten.aminmax")
def aminmax(c: Context, x: ir.Value, *, dim: int | None = None, keepdim: bool = False) -> tuple[ir.Value, ir.Value]:
    """ReduceMin and ReduceMax."""
    return _extremum(c, "ReduceMin", x, dim, keepdim), _extremum(c, "ReduceMax", x, dim, keepdim)


@translates("aten.max.default")
def max_all(c: Context, x: ir.Value) -> ir.Value:
    """The largest element."""
    return _extremum(c, "ReduceMax", x, None, keep=False)


@translates("aten.min.default")
def min_all(c: Context, x: ir.Value) -> ir.Value:
    """The smallest element."""
    return _extremum(c, "ReduceMin", x, None, keep=False)


@translates("aten.max.dim")
def max_dim(c: Context, x: ir.Value, axis: int, keep: bool = False) -> tuple[ir.Value, ir.Value]:
    """Largest elements and where they stand."""
    return _extremum(c, "ReduceMax", x, axis, keep), _found(c, "ArgMax", x, axis, keep)


@translates("aten.min.dim")
def min_dim(c: Context, x: ir.Value, axis: int, keep: bool = False) -> tuple[ir.Value, ir.Value]:
    """Smallest elements and where they stand."""
    return _extremum(c, "ReduceMin", x, axis, keep), _found(c, "ArgMin", x, axis, keep)


@translates("aten.argmax")
def argmax(c: Context, x: ir.Value, axis: int | None = None, keep: bool = False) -> ir.Value:
    """ArgMax; over everything on the flattened tensor."""
    return _found(c, "ArgMax", x, axis, keep)


@translates("aten.argmin")
def argmin(c: Context, x: ir.Value, axis: int | None = None, keep: bool = False) -> ir.Value:
    """ArgMin; over everything on the flattened tensor."""
    return _found(c, "ArgMin", x, axis, keep)


def _found(c: Context, op_type: str, x: ir.Value, axis: int | None, keep: bool) -> ir.Value:
    data = computable(c, x, ir.DataType.BOOL)
    if axis is None or c.rank(x) == 0:
        place = c.op(op_type, flat(c, data), axis=0, keepdims=0)
        return c.op("Reshape", place, [1] * c.rank(x)) if keep and c.rank(x) else place
    return c.op(op_type, data, axis=c.axis(x, axis), keepdims=int(keep))


# -- logic --------------------------------------------------------------------------------------------------------


@translates("aten.any", "aten._is_any_true")
def any_(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False) -> ir.Value:
    """ReduceMax over booleans."""
    return _boolean(c, "ReduceMax", x, axes, keep)


@translates("aten.all", "aten._is_all_true")
def all_(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False) -> ir.Value:
    """ReduceMin over booleans."""
    return _boolean(c, "ReduceMin", x, axes, keep)


def _boolean(c: Context, op_type: str, x: ir.Value, axes: Axes, keep: bool) -> ir.Value:
    # As integers: runtimes do not reduce booleans.
    whole = cast(c, cast(c, x, ir.DataType.BOOL), ir.DataType.INT32)
    return c.cast(reduced(c, op_type, whole, axes, keep), ir.DataType.BOOL)


@translates("aten.count_nonzero")
def count_nonzero(c: Context, x: ir.Value, axes: Axes = None) -> ir.Value:
    """The sum of what is not zero, as ones."""
    ones = cast(c, cast(c, x, ir.DataType.BOOL), ir.DataType.INT64)
    return reduced(c, "ReduceSum", ones, axes, keep=False)


# -- norms --------------------------------------------------------------------------------------------------------


@translates("aten.logsumexp", "aten.special_logsumexp")
def logsumexp(c: Context, x: ir.Value, axes: Axes, keep: bool = False) -> ir.Value:
    """ReduceLogSumExp."""
    return reduced(c, "ReduceLogSumExp", cast(c, x, c.dtype), axes, keep)


@translates("aten.norm", "aten.linalg_vector_norm")
def norm(c: Context, x: ir.Value, order: Any = 2, axes: Axes = None, keep: bool = False, **_: Any) -> ir.Value:
    """L1 and L2 norms as their own operators; others by their definition."""
    return p_norm(c, cast(c, x, c.dtype), 2 if order is None else order, axes, keep)


def p_norm(c: Context, x: ir.Value, order: float, axes: Axes, keep: bool) -> ir.Value:
    """Return the p-norm of ``x`` over ``axes``."""
    if order == 2:
        return reduced(c, "ReduceL2", x, axes, keep)
    if order == 1:
        return reduced(c, "ReduceL1", x, axes, keep)
    size = alike(c, "Abs", x)
    if order in (float("inf"), float("-inf")):
        return reduced(c, "ReduceMax" if order > 0 else "ReduceMin", size, axes, keep)
    if order == 0:
        present = cast(c, alike(c, "Not", alike(c, "Equal", size, 0.0)), x.dtype or c.dtype)
        return reduced(c, "ReduceSum", present, axes, keep)
    return c.op("Pow", reduced(c, "ReduceSum", alike(c, "Pow", size, float(order)), axes, keep), 1.0 / order)


# -- variances ----------------------------------------------------------------------------------------------------


@translates("aten.var")
def var(c: Context, x: ir.Value, *args: Any, **options: Any) -> ir.Value:
    """Sum of squared deviations over n - correction; two passes, as torch does it."""
    return variance(c, x, *_deviation_arguments(*args, **options))


@translates("aten.std")
def std(c: Context, x: ir.Value, *args: Any, **options: Any) -> ir.Value:
    """Square root of the variance."""
    return c.op("Sqrt", variance(c, x, *_deviation_arguments(*args, **options)))


@translates("aten.var_mean")
def var_mean(c: Context, x: ir.Value, *args: Any, **options: Any) -> tuple[ir.Value, ir.Value]:
    """Variance and mean."""
    axes, correction, keep = _deviation_arguments(*args, **options)
    return variance(c, x, axes, correction, keep), reduced(c, "ReduceMean", x, axes, keep)


@translates("aten.std_mean")
def std_mean(c: Context, x: ir.Value, *args: Any, **options: Any) -> tuple[ir.Value, ir.Value]:
    """Standard deviation and mean."""
    axes, correction, keep = _deviation_arguments(*args, **options)
    return c.op("Sqrt", variance(c, x, axes, correction, keep)), reduced(c, "ReduceMean", x, axes, keep)


def _deviation_arguments(
    axes: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Axes, float, bool]:
    """Return (axes, correction, keep) for the three ways in which torch spells them."""
    if isinstance(axes, bool):  # var(unbiased)
        axes, unbiased = None, axes
    if unbiased is not None:
        correction = int(unbiased)
    return axes, 1 if correction is None else correction, keepdim


def variance(c: Context, x: ir.Value, axes: Axes, correction: float, keep: bool) -> ir.Value:
    """Return the variance over ``axes`` with ``correction`` degrees of freedom taken off."""
    centre = reduced(c, "ReduceMean", x, axes, keep=True)
    centred = alike(c, "Sub", x, centre)
    squares = alike(c, "Mul", centred, centred)
    if correction == 0:
        return reduced(c, "ReduceMean", squares, axes, keep)
    sizes = c.sizes_of(x)
    freedom = _freedom(c, [sizes[axis] for axis in c.axes(x, axes)] if sizes else [], correction)
    return c.op("Div", reduced(c, "ReduceSum", squares, axes, keep), freedom)


def _freedom(c: Context, sizes: Sequence[Size], correction: float) -> ir.Value:
    """Return max(n - correction, 0), n the product of ``sizes``."""
    expression: Any = 1
    for size in sizes:
        expression = expression * (size.expression if isinstance(size, Dim) else size)
    if isinstance(expression, int):
        return c.const(max(expression - correction, 0), c.dtype)
    counted = c.cast(c.symbols.scalar(expression), c.dtype)
    return c.op("Max", c.op("Sub", counted, float(correction)), 0.0)
