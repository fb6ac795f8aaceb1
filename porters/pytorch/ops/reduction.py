"""Reductions: sums, means, extrema, norms, variances, any and all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from porters.pytorch.registry import Context, Dim, translates

Axes = int | Sequence[int] | None


def reduced(c: Context, op_type: str, x: ir.Value, axes: Axes, keep: bool, **attributes: Any) -> ir.Value:
    """Emit a Reduce operator; a scalar is its own reduction."""
    if c.rank(x) == 0:
        return x
    return c.op(op_type, x, c.axes(x, axes), keepdims=int(keep), **attributes)


@translates("aten.sum")
def sum_(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False, **_: Any) -> ir.Value:
    """ReduceSum in the dtype of the result."""
    return reduced(c, "ReduceSum", c.cast(x, c.dtype), axes, keep)


@translates("aten.mean")
def mean(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False, **_: Any) -> ir.Value:
    """ReduceMean."""
    return reduced(c, "ReduceMean", c.cast(x, c.dtype), axes, keep)


@translates("aten.prod")
def prod(c: Context, x: ir.Value, axis: Axes = None, keep: bool = False, **_: Any) -> ir.Value:
    """ReduceProd."""
    return reduced(c, "ReduceProd", c.cast(x, c.dtype), axis, keep)


@translates("aten.amax")
def amax(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False) -> ir.Value:
    """ReduceMax."""
    return reduced(c, "ReduceMax", x, axes, keep)


@translates("aten.amin")
def amin(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False) -> ir.Value:
    """ReduceMin."""
    return reduced(c, "ReduceMin", x, axes, keep)


@translates("aten.max.default")
def max_all(c: Context, x: ir.Value) -> ir.Value:
    """The largest element."""
    return reduced(c, "ReduceMax", x, None, keep=False)


@translates("aten.min.default")
def min_all(c: Context, x: ir.Value) -> ir.Value:
    """The smallest element."""
    return reduced(c, "ReduceMin", x, None, keep=False)


@translates("aten.max.dim")
def max_dim(c: Context, x: ir.Value, axis: int, keep: bool = False) -> tuple[ir.Value, ir.Value]:
    """Largest elements and where they stand."""
    return reduced(c, "ReduceMax", x, axis, keep), c.op("ArgMax", x, axis=c.axis(x, axis), keepdims=int(keep))


@translates("aten.min.dim")
def min_dim(c: Context, x: ir.Value, axis: int, keep: bool = False) -> tuple[ir.Value, ir.Value]:
    """Smallest elements and where they stand."""
    return reduced(c, "ReduceMin", x, axis, keep), c.op("ArgMin", x, axis=c.axis(x, axis), keepdims=int(keep))


@translates("aten.argmax")
def argmax(c: Context, x: ir.Value, axis: int | None = None, keep: bool = False) -> ir.Value:
    """ArgMax; over everything on the flattened tensor."""
    return _arg(c, "ArgMax", x, axis, keep)


@translates("aten.argmin")
def argmin(c: Context, x: ir.Value, axis: int | None = None, keep: bool = False) -> ir.Value:
    """ArgMin."""
    return _arg(c, "ArgMin", x, axis, keep)


def _arg(c: Context, op_type: str, x: ir.Value, axis: int | None, keep: bool) -> ir.Value:
    if axis is None:
        flat = c.op("Reshape", x, [-1])
        found = c.op(op_type, flat, axis=0, keepdims=0)
        return c.op("Reshape", found, [1] * c.rank(x)) if keep else found
    return c.op(op_type, x, axis=c.axis(x, axis), keepdims=int(keep))


@translates("aten.any")
def any_(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False) -> ir.Value:
    """ReduceMax over booleans (as bytes: runtimes do not reduce bool)."""
    return _boolean(c, "ReduceMax", x, axes, keep)


@translates("aten.all")
def all_(c: Context, x: ir.Value, axes: Axes = None, keep: bool = False) -> ir.Value:
    """ReduceMin over booleans."""
    return _boolean(c, "ReduceMin", x, axes, keep)


def _boolean(c: Context, op_type: str, x: ir.Value, axes: Axes, keep: bool) -> ir.Value:
    whole = c.cast(c.cast(x, ir.DataType.BOOL), ir.DataType.INT32)
    c.symbols.remember(whole, c.sizes_of(x))
    return c.cast(reduced(c, op_type, whole, axes, keep), ir.DataType.BOOL)


@translates("aten.logsumexp")
def logsumexp(c: Context, x: ir.Value, axes: Axes, keep: bool = False) -> ir.Value:
    """ReduceLogSumExp."""
    return reduced(c, "ReduceLogSumExp", c.cast(x, c.dtype), axes, keep)


@translates("aten.norm", "aten.linalg_vector_norm")
def norm(c: Context, x: ir.Value, order: Any = 2, axes: Axes = None, keep: bool = False, **_: Any) -> ir.Value:
    """L1 and L2 norms as their own operators; others by their definition."""
    order = 2 if order is None else order
    x = c.cast(x, c.dtype)
    if order == 2:
        return reduced(c, "ReduceL2", x, axes, keep)
    if order == 1:
        return reduced(c, "ReduceL1", x, axes, keep)
    size = c.op("Abs", x)
    c.symbols.remember(size, c.sizes_of(x))
    if order in (float("inf"), float("-inf")):
        return reduced(c, "ReduceMax" if order > 0 else "ReduceMin", size, axes, keep)
    if order == 0:
        counted = c.cast(c.op("Greater", size, 0), c.dtype)
        c.symbols.remember(counted, c.sizes_of(x))
        return reduced(c, "ReduceSum", counted, axes, keep)
    powers = c.op("Pow", size, float(order))
    c.symbols.remember(powers, c.sizes_of(x))
    return c.op("Pow", reduced(c, "ReduceSum", powers, axes, keep), 1.0 / order)


@translates("aten.var.correction", "aten.var.dim", "aten.var.default")
def var(c: Context, x: ir.Value, axes: Any = None, *rest: Any, correction: Any = 1, keepdim: bool = False) -> ir.Value:
    """Mean squared deviation times n / (n - correction); two passes, as torch does it."""
    if isinstance(axes, bool):  # var(unbiased)
        axes, rest = None, (axes, False)
    if rest:  # var(dim, unbiased, keepdim)
        correction = int(rest[0])
        keepdim = bool(rest[1]) if len(rest) > 1 else keepdim
    return variance(c, x, axes, 1 if correction is None else correction, keepdim)


def variance(c: Context, x: ir.Value, axes: Any, correction: float, keep: bool) -> ir.Value:
    """Return the variance over ``axes`` with ``correction`` degrees of freedom taken off."""
    centred = c.op("Sub", x, reduced(c, "ReduceMean", x, axes, keep=True))
    squares = c.op("Mul", centred, centred)
    c.symbols.remember(squares, c.sizes_of(x))
    spread = reduced(c, "ReduceMean", squares, axes, keep)
    if correction == 0:
        return spread
    sizes = [c.sizes_of(x)[axis] for axis in c.axes(x, axes)]
    if any(isinstance(size, Dim) for size in sizes):
        raise NotImplementedError("an unbiased variance over a symbolic extent")
    count = 1
    for size in sizes:
        count *= int(size)  # type: ignore[arg-type]
    return c.op("Mul", spread, count / (count - correction) if count > correction else float("inf"))


@translates("aten.std.correction", "aten.std.dim", "aten.std.default")
def std(c: Context, x: ir.Value, *args: Any, **kwargs: Any) -> ir.Value:
    """Square root of the variance."""
    return c.op("Sqrt", var(c, x, *args, **kwargs))


@translates("aten.var_mean.correction")
def var_mean(c: Context, x: ir.Value, axes: Any = None, *, correction: Any = 1, keepdim: bool = False) -> Any:
    """Variance and mean."""
    spread = variance(c, x, axes, 1 if correction is None else correction, keepdim)
    return spread, reduced(c, "ReduceMean", x, axes, keepdim)
