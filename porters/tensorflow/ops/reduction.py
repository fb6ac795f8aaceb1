"""Reductions, along the axes where the graph holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context, held_channels_first, physical
from porters.tensorflow.dims import Shape
from porters.tensorflow.node import Node
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Order, Tensor

REDUCTIONS = {
    "Mean": "ReduceMean", "Sum": "ReduceSum", "Max": "ReduceMax", "Min": "ReduceMin", "Prod": "ReduceProd",
    "EuclideanNorm": "ReduceL2",
}  # fmt: skip


def reduced(shape: Shape, order: Order, axes: Sequence[int], keep: bool) -> tuple[Shape, Order]:
    """Return the shape and the order after a reduction over the logical ``axes``."""
    if keep:
        return tuple(1 if axis in axes else dim for axis, dim in enumerate(shape)), order
    left = [axis for axis in range(len(shape)) if axis not in axes]
    return tuple(shape[axis] for axis in left), tuple(left.index(axis) for axis in order if axis in left)


def axes_of(tensor: Tensor, rank: int) -> list[int]:
    """Return a constant operand that names axes, as axes counted from the front."""
    if tensor.array is None:
        raise Untranslatable("the axes are computed from data")
    return sorted({int(axis) % rank for axis in np.asarray(tensor.array).reshape(-1)}) if rank else []


@translates(*REDUCTIONS)
def reduce(ctx: Context, node: Node, x: Tensor, axes: Tensor) -> Tensor:
    """Translate a reduction; the mean over all spatial axes is a global pooling."""
    where, keep = axes_of(axes, x.rank), bool(node.attr("keep_dims"))
    if not where:
        return x if node.op != "EuclideanNorm" else ctx.op("Abs", ctx.value(x, x.order), shape=x.shape, order=x.order)
    shape, order = reduced(x.shape, x.order, where, keep)
    value = ctx.value(x, x.order)
    places = physical(x.order, where)
    if node.op == "Mean" and held_channels_first(x) and sorted(places) == list(range(2, x.rank)):
        pooled_shape, pooled_order = reduced(x.shape, x.order, where, keep=True)
        # The axes of size one go lazily: what often follows puts them back.
        return ctx.reshape(ctx.op("GlobalAveragePool", value, shape=pooled_shape, order=pooled_order), shape)
    return ctx.op(REDUCTIONS[node.op], value, sorted(places), keepdims=int(keep), shape=shape, order=order)


@translates("All", "Any")
def logical_reduce(ctx: Context, node: Node, x: Tensor, axes: Tensor) -> Tensor:
    """Translate a conjunction or disjunction as the minimum or maximum of zeros and ones."""
    where, keep = axes_of(axes, x.rank), bool(node.attr("keep_dims"))
    shape, order = reduced(x.shape, x.order, where, keep)
    numbers = ctx.step("Cast", ctx.value(x, x.order), to=ir.DataType.INT32.value)
    op_type = "ReduceMin" if node.op == "All" else "ReduceMax"
    result = ctx.step(op_type, numbers, physical(x.order, where), keepdims=int(keep))
    return ctx.op("Cast", result, to=ir.DataType.BOOL.value, shape=shape, order=order)


@translates("ArgMax", "ArgMin")
def arg(ctx: Context, node: Node, x: Tensor, axis: Tensor) -> Tensor:
    """Translate the position of an extreme; the first of equals, as in TensorFlow."""
    where = axes_of(axis, x.rank)
    shape, order = reduced(x.shape, x.order, where, keep=False)
    dtype = ir.DataType.from_numpy(np.dtype(node.dtypes[0]))
    (place,) = physical(x.order, where)
    value = ctx.value(x, x.order)
    if dtype == ir.DataType.INT64:
        return ctx.op(node.op, value, axis=place, keepdims=0, shape=shape, order=order)
    found = ctx.step(node.op, value, axis=place, keepdims=0)
    return ctx.op("Cast", found, to=dtype.value, dtype=dtype, shape=shape, order=order)


@translates("Cumsum")
def cumsum(ctx: Context, node: Node, x: Tensor, axis: Tensor) -> Tensor:
    """Translate a running sum."""
    (place,) = physical(x.order, axes_of(axis, x.rank))
    flags: dict[str, Any] = {name: int(node.attr(name)) for name in ("exclusive", "reverse")}
    operand = ctx.builder.const(np.array(place, np.int64))
    return ctx.op("CumSum", ctx.value(x, x.order), operand, shape=x.shape, order=x.order, **flags)


@translates("L2Loss")
def l2_loss(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate half the sum of squares."""
    total = ctx.step("ReduceSumSquare", ctx.value(x, x.order), keepdims=0)
    return ctx.op("Mul", total, 0.5, shape=())
