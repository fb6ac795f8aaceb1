"""Sums, products and normalisations of quantised numbers, exact as TensorFlow's kernels compute them in integers."""

from __future__ import annotations

import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import broadcast
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.node import Node
from porters.tensorflow.ranges import FLOAT, INT, LONG, Range, of_product, wrapped
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor


def range_of(ctx: Context, x: Tensor, low: Tensor, high: Tensor) -> Range:
    """Return the range of a quantised value, whose limits are scalars."""
    return Range.of(x.dtype, formula(ctx, ctx.reshape(low, ())), formula(ctx, ctx.reshape(high, ())))


def ranged(value: Formula, x: Tensor, low: Formula, high: Formula) -> list[Tensor]:
    """Return a quantised result of the shape of ``x``, and its range."""
    return [value.held(x.shape), low.held(()), high.held(())]


def _zero(ctx: Context) -> Formula:
    return number(ctx, 0.0, FLOAT)


def _single(x: Tensor) -> bool:
    return all(dim == 1 for dim in x.shape)


@translates("QuantizedAdd")
def add(ctx: Context, node: Node, x: Tensor, y: Tensor, *limits: Tensor) -> list[Tensor]:
    """Translate a sum in a range wide enough: each operand as multiples of its step there (quantized_add_op.cc)."""
    a, b = range_of(ctx, x, *limits[:2]), range_of(ctx, y, *limits[2:])
    reach = a.low.minimum(b.low).fn("Abs").maximum(a.high.maximum(b.high).fn("Abs"))
    high = reach * float(1 << 14)
    total = Range.of(INT, -high, high)
    lone = _single(x), _single(y) and not _single(x)
    first, second = _in_range(ctx, x, a, total, lone[0]), _in_range(ctx, y, b, total, lone[1])
    shape = broadcast(x.shape, y.shape)
    return [wrapped(first + second, INT).held(shape), total.low.held(()), high.held(())]


def _in_range(ctx: Context, x: Tensor, own: Range, total: Range, lone: bool) -> Formula:
    value = formula(ctx, x, dtype=LONG)
    if lone:
        return total.integer(own.real(value))
    first, second = (total.unclamped(own.real(number(ctx, place, LONG))) for place in (0, 1))
    found = first + value * (second - first)
    return found.maximum(int(total.kind.lowest)).minimum(int(total.kind.highest))


@translates("QuantizedMul")
def multiply(ctx: Context, node: Node, x: Tensor, y: Tensor, *limits: Tensor) -> list[Tensor]:
    """Translate a product of the distances from zero (quantized_mul_op.cc)."""
    a, b = range_of(ctx, x, *limits[:2]), range_of(ctx, y, *limits[2:])
    first, second = (formula(ctx, item, dtype=LONG) - own.unclamped(_zero(ctx)) for item, own in ((x, a), (y, b)))
    low, high = of_product(a, b)
    return [wrapped(first * second, INT).held(broadcast(x.shape, y.shape)), low.held(()), high.held(())]


@translates("QuantizedBiasAdd")
def bias_add(ctx: Context, node: Node, x: Tensor, bias: Tensor, *limits: Tensor) -> list[Tensor]:
    """Translate a sum with one number for each channel (QuantizedAddUsingEigen in quantization_utils.h)."""
    a, b = range_of(ctx, x, *limits[:2]), range_of(ctx, bias, *limits[2:])
    high = a.high.maximum(-a.low).maximum(b.high).maximum(-b.low) * float(1 << 17)
    total = Range.of(INT, -high, high)
    parts = (total.integer_fast(own.real_fast(formula(ctx, item))) for item, own in ((x, a), (bias, b)))
    first, second = parts
    found = first + second + total.integer(_zero(ctx))
    return ranged(wrapped(found, INT), x, total.low, high)


@translates("QuantizedBatchNormWithGlobalNormalization")
def batch_norm(ctx: Context, node: Node, *operands: Tensor) -> list[Tensor]:
    """Translate a normalisation in fixed point, ten bits behind the point (quantized_batch_norm_op.cc)."""
    x = operands[0]
    high = number(ctx, float(1 << 20), FLOAT)
    total = Range.of(INT, -high, high)
    value, mean, variance, beta, gamma = (
        range_of(ctx, *operands[at : at + 3]).real(formula(ctx, operands[at])) for at in range(0, 15, 3)
    )
    scale = 1.0 / (variance + float(node.attr("variance_epsilon"))).fn("Sqrt")
    if node.attr("scale_after_normalization"):
        scale = scale * gamma
    offset = -mean * scale + beta
    one = total.integer(number(ctx, 1.0, FLOAT))
    # The kernel multiplies 32-bit integers, and what does not fit goes round.
    product = wrapped(total.integer(value) * total.integer(scale), INT).cast(LONG)
    found = product / one + total.integer(offset)
    return ranged(wrapped(found, INT), x, total.low, high)


@translates("QuantizedInstanceNorm")
def instance_norm(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor) -> list[Tensor]:
    """Translate a normalisation of each channel of each image, quantised anew (quantized_instance_norm.cc)."""
    own = range_of(ctx, x, low, high)
    step = (own.high - own.low) / 255.0
    value = formula(ctx, x, dtype=FLOAT)
    centred = value - value.reduce("ReduceMean", [1, 2], keep=True)
    scaled = step * centred
    variance = (scaled * scaled).reduce("ReduceMean", [1, 2], keep=True)
    root = 1.0 / (variance + float(node.attr("variance_epsilon"))).fn("Sqrt")
    found = scaled * root
    if node.attr("output_range_given"):
        bottom, top = (number(ctx, float(node.attr(name)), FLOAT) for name in ("given_y_min", "given_y_max"))
    else:
        bottom, top = (found.reduce(name, [0, 1, 2, 3]) for name in ("ReduceMin", "ReduceMax"))
    apart = float(node.attr("min_separation"))
    top = ((top - bottom) < apart).where(bottom + apart, top)
    total = Range.of(ir.DataType.UINT8, bottom, top)
    return ranged(total.integer_fast(found).cast(ir.DataType.UINT8), x, bottom, top)
