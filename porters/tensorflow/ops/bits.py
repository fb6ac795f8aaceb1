"""Shifts, flips and counts of bits."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.formula import Formula, elementwise, formula, number
from porters.tensorflow.node import Node
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor

LONG = ir.DataType.INT64
UNSIGNED = {1: ir.DataType.UINT8, 2: ir.DataType.UINT16, 4: ir.DataType.UINT32, 8: ir.DataType.UINT64}


def _width(dtype: ir.DataType) -> int:
    return int(dtype.numpy().itemsize)


def _is_signed(dtype: ir.DataType) -> bool:
    return np.issubdtype(dtype.numpy(), np.signedinteger)


@translates("Invert")
def invert(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the flip of every bit."""
    return formula(ctx, x, x.order).fn("BitwiseNot").held(x.shape, x.order)


@translates("LeftShift")
def left_shift(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate a shift to the left on the same bits without a sign: ONNX shifts such integers only."""
    shape, order, (x, y) = elementwise(ctx, a, b)
    wide = UNSIGNED[_width(a.dtype)]
    return x.cast(wide).of("BitShift", y.cast(wide), direction="LEFT").cast(a.dtype).held(shape, order)


@translates("RightShift")
def right_shift(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate a shift to the right; of a negative number the complement is shifted, so that its sign stays."""
    shape, order, (x, y) = elementwise(ctx, a, b)
    wide = UNSIGNED[_width(a.dtype)]

    def shifted(value: Formula) -> Formula:
        return value.cast(wide).of("BitShift", y.cast(wide), direction="RIGHT").cast(a.dtype)

    if not _is_signed(a.dtype):
        return shifted(x).held(shape, order)
    flipped = x.fn("BitwiseNot")
    large = x.cast(LONG)
    value = (large < 0).where(shifted(flipped).fn("BitwiseNot").cast(LONG), shifted(x).cast(LONG))
    return value.cast(a.dtype).held(shape, order)


@translates("PopulationCount")
def population_count(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the number of bits that are set, one bit after the other."""
    wide = UNSIGNED[_width(x.dtype)]
    value = formula(ctx, x, x.order).cast(wide).cast(ir.DataType.UINT64)
    one = number(ctx, 1, ir.DataType.UINT64)
    total: Formula | None = None
    for place in range(8 * _width(x.dtype)):
        shifted = value.of("BitShift", number(ctx, place, ir.DataType.UINT64), direction="RIGHT")
        bit = shifted.of("BitwiseAnd", one)
        total = bit if total is None else total + bit
    assert total is not None
    return total.cast(ir.DataType.UINT8).held(x.shape, x.order)
