"""Products of 8-bit integers that count from a zero of their own, summed up in 32 bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.formula import Formula, number
from porters.tensorflow.ranges import INT, LONG, wrapped

BYTE = ir.DataType.UINT8
# A zero is a number known now, or values that broadcast against the result.
Zero = int | Formula


def from_unsigned(x: Formula, zero: Zero) -> tuple[Formula, Zero]:
    """Return signed 8-bit integers and their zero moved to begin at zero: operators take such on their left side."""
    if x.dtype == BYTE:
        return x, zero
    return (x.cast(INT) + 128).cast(BYTE), zero + 128


def _held(zero: Zero, dtype: ir.DataType) -> bool:
    limits = np.iinfo(dtype.numpy())
    return isinstance(zero, int) and limits.min <= zero <= limits.max


def matmul(ctx: Context, a: Formula, b: Formula, zeros: tuple[Zero, Zero]) -> Formula:
    """Return the product of two matrices (or stacks of them) as INT32; see :func:`convolve`."""

    def product(x: Formula, y: Formula, first: Any, second: Any) -> Formula:
        return x.of("MatMulInteger", y, first, second, dtype=INT)

    def ones(x: Formula) -> Formula:
        return (x.cast(INT) * 0 + 1).cast(x.dtype)

    return _from_zeros(ctx, a, b, zeros, product, lambda: ones(a), lambda: ones(b))


def convolve(
    ctx: Context,
    x: Formula,
    kernel: Formula,
    zeros: tuple[Zero, Zero],
    extent: Sequence[int],
    attributes: Mapping[str, Any],
) -> Formula:
    """Return a convolution as INT32: what lies around the image is zero, whatever number stands for that.

    Args:
        ctx: Emits.
        x: The images, channels first, without a sign.
        kernel: The kernel as ONNX has it, with or without a sign.
        zeros: The numbers that stand for zero in both. Where one is not known, or not of the type, its share of the
            sums is subtracted: the same convolution of ones.
        extent: The kernel's shape.
        attributes: Those of ONNX's operator.
    """

    def product(images: Formula, weights: Formula, first: Any, second: Any) -> Formula:
        return images.of("ConvInteger", weights, first, second, dtype=INT, **attributes)

    def image() -> Formula:
        sizes = number(ctx, [1], LONG).of("Concat", x.of("Shape", start=1, dtype=LONG), axis=0)
        return number(ctx, 1, BYTE).of("Expand", sizes)

    def window() -> Formula:
        return number(ctx, np.ones(tuple(extent)), kernel.dtype)

    return _from_zeros(ctx, x, kernel, zeros, product, image, window)


def _from_zeros(
    ctx: Context,
    x: Formula,
    y: Formula,
    zeros: tuple[Zero, Zero],
    product: Callable[..., Formula],
    left: Callable[[], Formula],
    right: Callable[[], Formula],
) -> Formula:
    """Return a product whose operands count from ``zeros``; ``left`` and ``right`` make ones in their place."""
    held = [_held(zero, item.dtype) for zero, item in zip(zeros, (x, y), strict=True)]
    ends = [
        number(ctx, zero, item.dtype).value if inside and zero != 0 else None
        for zero, item, inside in zip(zeros, (x, y), held, strict=True)
    ]
    total = product(x, y, *ends)
    if all(held):
        return total
    total = total.cast(LONG)
    if not held[0]:
        total = total - product(left(), y, None, ends[1]).cast(LONG) * _long(ctx, zeros[0])
    if not held[1]:
        share = product(x, right(), ends[0], None).cast(LONG)
        if not held[0]:
            share = share - product(left(), right(), None, None).cast(LONG) * _long(ctx, zeros[0])
        total = total - share * _long(ctx, zeros[1])
    return wrapped(total, INT)


def _long(ctx: Context, zero: Zero) -> Formula:
    return number(ctx, zero, LONG) if isinstance(zero, int) else zero.cast(LONG)
