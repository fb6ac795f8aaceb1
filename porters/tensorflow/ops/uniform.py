"""Numbers quantised by a scale and a zero point, for the whole tensor or for each entry of an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import broadcast
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.node import Node
from porters.tensorflow.ops.shape import known
from porters.tensorflow.ops.sorting import result_dtype
from porters.tensorflow.ranges import FLOAT, INT, LONG, Integers, wrapped
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor


def spread(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """Return one number for each entry of ``axis`` so that it broadcasts; -1 stands for one number for all."""
    return values.reshape(()) if axis < 0 else values.reshape([-1 if item == axis else 1 for item in range(rank)])


def parameters(axis: int, rank: int, scales: Tensor, zeros: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 scales and INT64 zero points, which must be known, so that they broadcast."""
    scale = known(scales, "a scale of quantised numbers").astype(np.float32)
    zero = known(zeros, "a zero point of quantised numbers").astype(np.int64)
    return spread(scale, axis, rank), spread(zero, axis, rank)


def multiplier(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 factors as 31-bit integers and shifts to the left (QuantizeMultiplier in math_utils.cc)."""
    found = [_fixed(float(factor)) for factor in factors.reshape(-1)]
    fixed, shifts = (np.array(part, np.int64).reshape(factors.shape) for part in zip(*found, strict=True))
    return fixed, shifts


def _fixed(factor: float) -> tuple[int, int]:
    fraction, shift = math.frexp(factor)
    fixed = math.floor(fraction * 2.0**31 + 0.5)
    if fixed == 1 << 31:
        fixed, shift = fixed // 2, shift + 1
    if shift < -31:
        return 0, 0
    return ((1 << 31) - 1, 30) if shift > 30 else (fixed, shift)


def rescaled(ctx: Context, x: Formula, factors: np.ndarray) -> Formula:
    """Return INT64 numbers times float64 factors, in fixed point with one rounding, within 32 bits."""
    fixed, shifts = multiplier(factors)
    power = np.int64(1) << (31 - shifts)
    total = x.cast(LONG) * number(ctx, fixed) + number(ctx, power // 2)
    size = number(ctx, power)
    limits = np.iinfo(np.int32)
    return ((total - total.of("Mod", size)) / size).maximum(int(limits.min)).minimum(int(limits.max))


def clamped(node: Node, x: Formula, prefix: str = "") -> Formula:
    """Return INT64 numbers, which are 32-bit ones in the kernels, between the limits that an operation states."""
    low, high = (int(node.attr(f"{prefix}quantization_{end}_val")) for end in ("min", "max"))
    return wrapped(x, INT).cast(LONG).maximum(low).minimum(high)


def affine(ctx: Context, x: Formula, inverse: np.ndarray | Formula, zero: np.ndarray | Formula) -> Formula:
    """Return floats as INT64, the halves rounded up (AffineQuantize in math_utils.h)."""
    scale = inverse if isinstance(inverse, Formula) else number(ctx, inverse.astype(np.float32))
    start = zero if isinstance(zero, Formula) else number(ctx, zero, LONG)
    limits = np.iinfo(np.int32)
    floor = (x * scale + 0.5).fn("Floor").maximum(float(limits.min)).minimum(float(np.float32(2147483520.0)))
    return floor.cast(LONG) + start


@translates("UniformQuantize")
def quantize(ctx: Context, node: Node, x: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    """Translate floats to integers (uniform_quantize_op.cc)."""
    scale, zero = parameters(int(node.attr("quantization_axis")), x.rank, scales, zeros)
    found = affine(ctx, formula(ctx, x), np.float32(1.0) / scale, zero)
    return clamped(node, found).cast(result_dtype(node)).held(x.shape)


@translates("UniformDequantize")
def dequantize(ctx: Context, node: Node, x: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    """Translate integers to floats (uniform_dequantize_op.cc)."""
    scale, zero = parameters(int(node.attr("quantization_axis")), x.rank, scales, zeros)
    return ((formula(ctx, x, dtype=LONG) - number(ctx, zero)).cast(FLOAT) * number(ctx, scale)).held(x.shape)


@translates("UniformRequantize")
def requantize(ctx: Context, node: Node, x: Tensor, *given: Tensor) -> Tensor:
    """Translate integers to those of another scale (uniform_requantize_op.cc)."""
    before = parameters(int(node.attr("input_quantization_axis")), x.rank, *given[:2])
    after = parameters(int(node.attr("output_quantization_axis")), x.rank, *given[2:])
    found = _requantized(ctx, x, before, after[0]) + number(ctx, after[1])
    return clamped(node, found, "output_").cast(result_dtype(node)).held(x.shape)


def _requantized(ctx: Context, x: Tensor, before: Sequence[np.ndarray], scale: np.ndarray) -> Formula:
    factors = before[0].astype(np.float64) / scale
    distance = _single(formula(ctx, x)) - number(ctx, before[1])
    return rescaled(ctx, wrapped(distance, INT), factors)


def _single(x: Formula) -> Formula:
    """Return integers as INT64; TensorFlow's own 32-bit type becomes a float on its way to any other."""
    return wrapped(x.cast(FLOAT).cast(LONG), INT).cast(LONG) if x.dtype == INT else x.cast(LONG)


@translates("UniformQuantizedAdd")
def add(ctx: Context, node: Node, x: Tensor, y: Tensor, *given: Tensor) -> Tensor:
    """Translate a sum: both operands in the scale of the result, then added (uniform_quantized_add_op.cc)."""
    shape = broadcast(x.shape, y.shape)
    scale, zero = parameters(int(node.attr("output_quantization_axis")), len(shape), *given[4:])
    parts = []
    for place, (item, name) in enumerate(((x, "lhs"), (y, "rhs"))):
        own = parameters(int(node.attr(f"{name}_quantization_axis")), item.rank, *given[2 * place : 2 * place + 2])
        parts.append(_requantized(ctx, item, own, scale))
    # What was brought to the scale is of that type again.
    found = _single(parts[0].cast(INT)) + _single(parts[1].cast(INT)) + number(ctx, zero)
    return clamped(node, found, "output_").cast(INT).held(shape)


@translates("UniformQuantizedClipByValue")
def clip(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor, *_: Tensor) -> Tensor:
    """Translate limits, one pair for all or for each entry of an axis (uniform_quantized_clip_by_value_op.cc)."""
    axis = int(node.attr("quantization_axis"))
    extent = [-1 if item == axis else 1 for item in range(x.rank)] if axis >= 0 else []
    first, last = (formula(ctx, item).reshape(extent) if extent else formula(ctx, item) for item in (low, high))
    return formula(ctx, x).maximum(first).minimum(last).held(x.shape)


def dynamic(ctx: Context, x: Formula, axes: Sequence[int]) -> tuple[Formula, Formula, Formula]:
    """Return floats as INT64 of 8 bits with the scale and zero point of each batch (AsymmetricQuantize).

    Args:
        ctx: Emits.
        x: The floats.
        axes: The axes of one batch.
    """
    kind, double = Integers.of(ir.DataType.INT8), ir.DataType.DOUBLE
    low = x.reduce("ReduceMin", axes, keep=True).minimum(0.0).cast(double)
    high = x.reduce("ReduceMax", axes, keep=True).maximum(0.0).cast(double)
    spread_, steps = high - low, kind.highest - kind.lowest
    flat = spread_.equals(0.0)
    inverse = flat.where(0.0, (steps / flat.where(1.0, spread_)).cast(FLOAT))
    scale = flat.where(1.0, (spread_ / steps).cast(FLOAT))
    wide = scale.cast(double)
    below, above = low / wide, high / wide
    nearer = (below.fn("Abs") + abs(kind.lowest)) < (above.fn("Abs") + abs(kind.highest))
    zero = nearer.where(kind.lowest - below, kind.highest - above)
    whole = (zero.fn("Sign") * (zero.fn("Abs") + 0.5).fn("Floor")).maximum(kind.lowest).minimum(kind.highest)
    start = flat.where(0.0, whole).cast(LONG)
    found = affine(ctx, x, inverse, start).maximum(int(kind.lowest)).minimum(int(kind.highest))
    return found, scale, start
