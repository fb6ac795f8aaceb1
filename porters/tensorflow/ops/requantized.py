"""Quantised numbers in another range or type, and the range that they really use."""

from __future__ import annotations

import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.formula import Formula, formula
from porters.tensorflow.node import Node
from porters.tensorflow.ops.quantized_arithmetic import range_of, ranged
from porters.tensorflow.ops.sorting import result_dtype
from porters.tensorflow.ranges import DOUBLE, FLOAT, LONG, Integers, Range, floored
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor

# Bits behind the point in the kernel's fixed-point arithmetic.
_SHIFT = 16


def down(value: Formula, own: Range, low: Formula, high: Formula) -> Formula:
    """Return 32-bit numbers as 8-bit ones without a sign: RequantizeManyInNewRangeUsingEigen<qint32, quint8>."""
    spread, target = own.high - own.low, high - low
    flat = target.equals(0.0)
    safe = flat.where(1.0, target)
    recip = flat.where(0.0, (255.0 / safe.cast(DOUBLE)).cast(FLOAT))
    factor = 255.0 * float(1 << _SHIFT)
    scale = flat.where(0.0, spread.cast(DOUBLE) * factor / safe.cast(DOUBLE)).cast(LONG)
    rezero = ((own.low + own.high).cast(DOUBLE) / 2.0).cast(FLOAT)
    offset = (rezero * recip * float(1 << _SHIFT)).cast(LONG)
    start = flat.where(0.0, low.cast(DOUBLE) * 255.0 * float(1 << _SHIFT) / safe.cast(DOUBLE)).cast(LONG)
    total = floored(value.cast(LONG) * scale, 32) + (offset - start + (1 << (_SHIFT - 1)))
    return floored(total, _SHIFT).maximum(0).minimum(255)


@translates("Requantize")
def requantize(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor, *wanted: Tensor) -> list[Tensor]:
    """Translate 32-bit numbers to 8-bit ones in a range that is asked for (requantize.cc)."""
    own, dtype = range_of(ctx, x, low, high), result_dtype(node)
    first, last = (formula(ctx, ctx.reshape(item, ())) for item in wanted)
    value = formula(ctx, x)
    if dtype == ir.DataType.UINT8:
        return ranged(down(value, own, first, last).cast(dtype), x, first, last)
    found = Range.of(dtype, first, last).integer_fast(own.real_fast(value))
    return ranged(found.cast(dtype), x, first, last)


def _used(ctx: Context, x: Tensor, own: Range) -> tuple[Formula, Formula]:
    """Return the range that numbers use; its lower end is zero at most."""
    axes = list(range(x.rank))
    least, most = (formula(ctx, x).reduce(name, axes) for name in ("ReduceMin", "ReduceMax"))
    return own.real(least).minimum(0.0), own.real(most)


@translates("RequantizationRange")
def used_range(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor) -> list[Tensor]:
    """Translate the range that 32-bit numbers use (requantization_range_op.cc)."""
    first, last = _used(ctx, x, range_of(ctx, x, low, high))
    return [first.held(()), last.held(())]


@translates("QuantizeDownAndShrinkRange")
def shrink(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor) -> list[Tensor]:
    """Translate 32-bit numbers to 8-bit ones in the range that they use (quantize_down_and_shrink_range.cc)."""
    own = range_of(ctx, x, low, high)
    first, last = _used(ctx, x, own)
    return ranged(down(formula(ctx, x), own, first, last).cast(result_dtype(node)), x, first, last)


def _reach(low: Formula, high: Formula) -> Formula:
    return low.fn("Abs").maximum(high.fn("Abs"))


@translates("RequantizePerChannel")
def requantize_channels(ctx: Context, node: Node, x: Tensor, *limits: Tensor) -> list[Tensor]:
    """Translate 32-bit numbers, each channel with a range of its own (mkl_requantize_per_channel_op.cc)."""
    low, high, first, last = (formula(ctx, item) for item in limits)
    dtype = result_dtype(node)
    kind = Integers.of(dtype)
    scale = (_reach(low, high) / _reach(first, last) / 2.0**31) * kind.highest
    found = (formula(ctx, x, dtype=FLOAT) * scale).fn("Round").maximum(kind.lowest).minimum(kind.highest)
    return [found.cast(dtype).held(x.shape), first.held(limits[2].shape), last.held(limits[3].shape)]


@translates("RequantizationRangePerChannel")
def used_range_channels(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor) -> list[Tensor]:
    """Translate the range that all channels use together (mkl_requantization_range_per_channel_op.cc)."""
    axes = list(range(x.rank - 1))
    value = formula(ctx, x)
    least, most = (value.reduce(name, axes) for name in ("ReduceMin", "ReduceMax"))
    largest = least.fn("Abs").maximum(most.fn("Abs")).cast(FLOAT)
    reach = _reach(formula(ctx, low), formula(ctx, high)) * largest / 2.0**31
    top = reach.reduce("ReduceMax", [0]).maximum(1.17549435e-38).minimum(float(node.attr("clip_value_max")))
    none_below = least.reduce("ReduceMin", [0]) >= 0
    return [none_below.where(0.0, -top).held(()), top.held(())]
