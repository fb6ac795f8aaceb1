"""Elementwise operations with cases of their own: guarded products, angles, neighbours of one, losses by row."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.formula import Formula, elementwise, formula, number
from porters.tensorflow.node import Node
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor

# Up to where expm1 and log1p are computed by the functions that do not cancel there.
_NEAR = 0.5


def expm1(x: Formula) -> Formula:
    """``exp(x) - 1``; near zero ``2 t / (1 - t)`` with ``t = tanh(x / 2)``, where nothing cancels."""
    near = x.fn("Abs") < _NEAR
    t = (near.where(x, 0.0) * 0.5).fn("Tanh")
    return near.where(t * 2.0 / (1.0 - t), x.fn("Exp") - 1.0)


def log1p(x: Formula) -> Formula:
    """``log(1 + x)``; near zero ``2 atanh(x / (2 + x))``, whose series does not cancel."""
    near = x.fn("Abs") < _NEAR
    small = near.where(x, 0.0)
    s = small / (small + 2.0)
    square = s * s
    # atanh by its power series: |s| <= 1/3, so that eleven terms are exact to float64's last bits but one.
    series = s * square.polynomial([2.0 / (2 * place + 1) for place in range(16, -1, -1)])
    return near.where(series, (x + 1.0).fn("Log"))


@translates("Expm1", "Log1p")
def near_zero(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate ``exp(x) - 1`` and ``log(1 + x)``, accurate near zero as well."""
    value = formula(ctx, x, x.order)
    return (expm1(value) if node.op == "Expm1" else log1p(value)).held(x.shape, x.order)


@translates("IsFinite")
def is_finite(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate what is neither infinite nor NaN."""
    value = formula(ctx, x, x.order)
    bad = value.of("IsInf", dtype=ir.DataType.BOOL) | value.of("IsNaN", dtype=ir.DataType.BOOL)
    return (~bad).held(x.shape, x.order)


@translates("MulNoNan", "Xdivy", "Xlogy", "Xlog1py")
def guarded(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate products and quotients that are zero where one operand is zero, whatever the other is."""
    shape, order, (x, y) = elementwise(ctx, a, b)
    zero = y.equals(0.0) if node.op == "MulNoNan" else x.equals(0.0)
    if node.op == "MulNoNan":
        value = x * y
    elif node.op == "Xdivy":
        value = x / y
    else:
        value = x * (y.fn("Log") if node.op == "Xlogy" else log1p(y))
    return zero.where(0.0, value).held(shape, order)


@translates("ApproximateEqual")
def approximate_equal(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate equality up to a tolerance."""
    shape, order, (x, y) = elementwise(ctx, a, b)
    return ((x - y).fn("Abs") < float(node.attr("tolerance"))).held(shape, order)


def angle_of(y: Formula, x: Formula) -> Formula:
    """The angle of the point (x, y), signed zeros and infinities as C's atan2 has them."""
    negative_x = (x < 0.0) | (x.equals(0.0) & ((1.0 / x) < 0.0))
    negative_y = (y < 0.0) | (y.equals(0.0) & ((1.0 / y) < 0.0))
    both = y.fn("IsInf") & x.fn("IsInf")
    up, right = both.where(y.fn("Sign"), y), both.where(x.fn("Sign"), x)
    steep = up.fn("Abs") > right.fn("Abs")
    flat = up.equals(0.0)
    ratio = flat.where(0.0, steep.where(right, up) / steep.where(up, flat.where(1.0, right)))
    # ONNX Runtime has this function in float32 only; from here on nothing cancels.
    angle = ratio.fn("Abs").cast(ir.DataType.FLOAT).fn("Atan").cast(ratio.dtype)
    angle = steep.where(math.pi / 2 - angle, angle)
    angle = negative_x.where(math.pi - angle, angle)
    angle = negative_y.where(-angle, angle)
    undefined = x.fn("IsNaN") | y.fn("IsNaN")
    return undefined.where(float("nan"), angle)


@translates("Atan2")
def atan2(ctx: Context, node: Node, y: Tensor, x: Tensor) -> Tensor:
    """Translate the angle of a point, computed in float64."""
    shape, order, (first, second) = elementwise(ctx, y, x, dtype=ir.DataType.DOUBLE)
    return angle_of(first, second).cast(y.dtype).held(shape, order)


@translates("Cross")
def cross(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate the product of vectors of three: rotated copies, multiplied and subtracted."""
    x, y = formula(ctx, a), formula(ctx, b)
    axis = a.rank - 1
    first, second = np.array([1, 2, 0]), np.array([2, 0, 1])
    value = x.take(first, axis) * y.take(second, axis) - x.take(second, axis) * y.take(first, axis)
    return value.held(a.shape)


@translates("SoftmaxCrossEntropyWithLogits")
def cross_entropy(ctx: Context, node: Node, logits: Tensor, labels: Tensor) -> list[Tensor]:
    """Translate the loss of each row and its gradient."""
    shape, _, _ = ctx.operands(logits, labels)
    x, wanted = formula(ctx, logits), formula(ctx, labels)
    scaled = x.fn("LogSoftmax", axis=-1)
    loss = -(scaled * wanted).reduce("ReduceSum", [1])
    return [loss.held(shape[:1]), (scaled.fn("Exp") - wanted).held(shape)]


@translates("SparseSoftmaxCrossEntropyWithLogits")
def sparse_cross_entropy(ctx: Context, node: Node, logits: Tensor, labels: Tensor) -> list[Tensor]:
    """Translate the loss of each row whose label is a number."""
    scaled = formula(ctx, logits).fn("LogSoftmax", axis=-1)
    classes = logits.shape[-1]
    assert isinstance(classes, int)
    places = formula(ctx, labels, dtype=ir.DataType.INT64).unsqueeze(1)
    one_hot = places.equals(number(ctx, np.arange(classes)))
    loss = -one_hot.where(scaled, 0.0).reduce("ReduceSum", [1])
    gradient = scaled.fn("Exp") - one_hot.cast(logits.dtype)
    return [loss.held(labels.shape), gradient.held(logits.shape)]
