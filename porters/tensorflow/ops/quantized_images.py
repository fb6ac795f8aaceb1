"""Quantised numbers rectified, reshaped, joined, pooled and resized in their own range."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import from_array
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.node import Node
from porters.tensorflow.ops.pooling import pooled
from porters.tensorflow.ops.quantized_arithmetic import range_of
from porters.tensorflow.ops.shape import concatenated, known, reshape
from porters.tensorflow.ranges import DOUBLE, FLOAT, LONG, Range
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor
from porters.tensorflow.window import static_sizes

# Bits behind the point of the weights of an interpolation (quantized_resize_bilinear_op.cc).
_BITS = {ir.DataType.UINT8: 7, ir.DataType.INT32: 30}


@translates("QuantizedRelu", "QuantizedRelu6")
def rectified(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor) -> list[Tensor]:
    """Translate a rectifier: nothing below the number that stands for zero (quantized_activation_ops.cc)."""
    own = range_of(ctx, x, low, high)
    found = formula(ctx, x, dtype=LONG).maximum(own.integer(number(ctx, 0.0, FLOAT)))
    if node.op == "QuantizedRelu6":
        found = found.minimum(own.integer(number(ctx, 6.0, FLOAT)))
    return [found.cast(x.dtype).held(x.shape), low, high]


@translates("QuantizedReshape")
def reshaped(ctx: Context, node: Node, x: Tensor, target: Tensor, low: Tensor, high: Tensor) -> list[Tensor]:
    """Translate a reshape."""
    return [reshape(ctx, node, x, target), low, high]


@translates("QuantizedConcat")
def joined(ctx: Context, node: Node, axis: Tensor, *operands: Tensor) -> list[Tensor]:
    """Translate a concatenation in the range that holds all (quantized_concat_op.cc)."""
    count = len(operands) // 3
    parts = operands[:count]
    ranges = [range_of(ctx, operands[at], operands[count + at], operands[2 * count + at]) for at in range(count)]
    low, high = ranges[0].low, ranges[0].high
    for item in ranges[1:]:
        low, high = low.minimum(item.low), high.maximum(item.high)
    if parts[0].dtype != ir.DataType.UINT8:
        high = low.fn("Abs").maximum(high.fn("Abs"))
        low = -high
    total = Range.of(parts[0].dtype, low, high)
    moved = [_moved(formula(ctx, x), own, total).held(x.shape) for x, own in zip(parts, ranges, strict=True)]
    place = int(known(axis, "an axis").reshape(()))
    return [concatenated(ctx, moved, place), low.held(()), high.held(())]


def _moved(x: Formula, own: Range, total: Range) -> Formula:
    same = own.low.equals(total.low) & own.high.equals(total.high)
    return same.where(x.cast(LONG), total.integer_fast(own.real_fast(x))).cast(x.dtype)


@translates("QuantizedMaxPool")
def largest(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor) -> list[Tensor]:
    """Translate the largest number of each window."""
    return [pooled(ctx, node, x, "MaxPool"), low, high]


@translates("QuantizedAvgPool")
def mean(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor) -> list[Tensor]:
    """Translate the mean of each window, rounded towards zero as integers are divided."""
    value = formula(ctx, x, x.order, dtype=FLOAT).held(x.shape, x.order)
    found = pooled(ctx, node, value, "AveragePool")
    size = int(np.prod([int(item) for item in node.attr("ksize")]))
    # Two means are a whole number of parts of a window's size apart: half of one part makes up for what a runtime
    # that multiplies by an inverse loses.
    exact = formula(ctx, found, found.order, dtype=DOUBLE)
    whole = exact.fn("Sign") * (exact.fn("Abs") + 0.5 / size).fn("Floor")
    return [whole.cast(x.dtype).held(found.shape, found.order), low, high]


@translates("QuantizedResizeBilinear")
def resized(ctx: Context, node: Node, x: Tensor, size: Tensor, low: Tensor, high: Tensor) -> list[Tensor]:
    """Translate an interpolation with weights in fixed point (quantized_resize_bilinear_op.cc)."""
    height, width = (int(item) for item in known(size, "the size of the image").reshape(-1))
    shape = (x.shape[0], *from_array(np.array([height, width])), x.shape[3])
    before = static_sizes(x.shape[1:3])
    if before is None:
        raise Untranslatable("a resize of images whose size is not known")
    if before == [height, width]:
        return [x, low, high]
    fixed = x.dtype in _BITS
    # TensorFlow's own 32-bit type becomes a float on its way to any other.
    value = formula(ctx, x, dtype=FLOAT)
    value = value.cast(LONG) if fixed else value
    align, half = bool(node.attr("align_corners")), bool(node.attr("half_pixel_centers"))
    above, below, down = _places(before[0], height, align=align, half=half)
    left, right, across = _places(before[1], width, align=align, half=half)
    rows = [value.take(above, 1), value.take(below, 1)]
    corners = [row.take(columns, 2) for row in rows for columns in (left, right)]
    if not fixed:
        weights = number(ctx, across.reshape(-1, 1)), number(ctx, down.reshape(-1, 1, 1))
        top, bottom = (a + (b - a) * weights[0] for a, b in (corners[:2], corners[2:]))
        return [(top + (bottom - top) * weights[1]).held(shape), low, high]
    one = 1 << _BITS[x.dtype]
    shares = [number(ctx, np.trunc(item * np.float32(one)), LONG) for item in (across, down)]
    top, bottom = (a * one + (b - a) * shares[0].reshape([-1, 1]) for a, b in (corners[:2], corners[2:]))
    found = top + (bottom - top) / one * shares[1].reshape([-1, 1, 1])
    return [((found + one // 2) / one).cast(x.dtype).held(shape), low, high]


def _places(before: int, after: int, *, align: bool, half: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each new pixel its neighbours on both sides and the weight of the second, in float32."""
    step = np.float32(before - 1) / np.float32(after - 1) if align and after > 1 else np.float32(before / after)
    line = np.arange(after, dtype=np.float32)
    place = (line + np.float32(0.5)) * step - np.float32(0.5) if half else line * step
    floor = np.floor(place)
    last = np.minimum(np.ceil(place).astype(np.int64), before - 1)
    first = np.minimum(np.maximum(floor.astype(np.int64), 0), last)
    return first, last, place - floor
