"""Numbers read as others by their bits; a float's are computed, because ONNX of this opset has no view of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.node import Node
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor

BOOL, DOUBLE, LONG = ir.DataType.BOOL, ir.DataType.DOUBLE, ir.DataType.INT64
SIGNED = {1: ir.DataType.INT8, 2: ir.DataType.INT16, 4: ir.DataType.INT32, 8: LONG}
UNSIGNED = {1: ir.DataType.UINT8, 2: ir.DataType.UINT16, 4: ir.DataType.UINT32, 8: ir.DataType.UINT64}


def width(dtype: ir.DataType) -> int:
    """Return the number of bytes of a type."""
    return int(dtype.numpy().itemsize)


@dataclass(frozen=True)
class _Layout:
    """How a float is written (IEEE 754).

    Attributes:
        mantissa: Bits behind the leading one.
        lowest: Exponent of the smallest normal number.
        special: The exponent's bits of infinities and NaN.
        bits: Bits in all.
    """

    mantissa: int
    lowest: int
    special: int
    bits: int

    @staticmethod
    def of(dtype: ir.DataType) -> _Layout:
        """Return the layout of a type of floats."""
        info = np.finfo(dtype.numpy())
        return _Layout(int(info.nmant), int(info.minexp), int(info.maxexp - info.minexp + 1), int(info.bits))


@translates("Bitcast")
def bitcast(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate numbers read by their bits; a NaN is read as the one that NumPy and C call so, whichever it is."""
    kind = node.dtypes[0]
    if kind is None:
        raise Untranslatable("the bits of what is no number")
    target = ir.DataType.from_numpy(kind)
    if not all(dtype.is_integer() or dtype in _FLOATS for dtype in (x.dtype, target)):
        raise Untranslatable(f"the bits of {x.dtype.name.lower()} as {target.name.lower()}")
    value, shape = _resized(_bits(formula(ctx, x)), x, width(target))
    return (_floats(value, target) if target in _FLOATS else value.cast(target)).held(shape)


_FLOATS = (ir.DataType.FLOAT16, ir.DataType.FLOAT, DOUBLE)


def _resized(value: Formula, x: Tensor, after: int) -> tuple[Formula, Shape]:
    """Return integers cut into narrower ones along a new axis, or joined to wider ones along the last."""
    before = width(value.dtype)
    wide = UNSIGNED[max(before, after)]
    if before == after:
        return value, x.shape
    if before > after:
        count = before // after
        shifts = number(value.ctx, np.arange(count) * (8 * after), wide)
        parts = value.cast(wide).unsqueeze(x.rank).of("BitShift", shifts, direction="RIGHT")
        return parts.cast(UNSIGNED[after]), (*x.shape, count)
    count = after // before
    parts = value.cast(UNSIGNED[before]).cast(wide)
    total = parts.take(0, x.rank - 1)
    # Not a sum: ONNX Runtime's own goes through floats.
    for place in range(1, count):
        shift = number(value.ctx, 8 * before * place, wide)
        total = total.of("BitwiseOr", parts.take(place, x.rank - 1).of("BitShift", shift, direction="LEFT"))
    return total.cast(SIGNED[after]), x.shape[:-1]


def _bits(x: Formula) -> Formula:
    """Return the bits of numbers as integers of their width."""
    if x.dtype.is_integer():
        return x
    form = _Layout.of(x.dtype)
    value = x.cast(DOUBLE)
    size = value.fn("Abs")
    infinite, none = size.equals(float("inf")), size.of("IsNaN", dtype=BOOL)
    plain = ~(size.equals(0.0) | infinite | none)
    exponent = plain.where(_exponent(plain.where(size, 1.0)), float(form.lowest)).maximum(float(form.lowest))
    two = number(x.ctx, 2.0, DOUBLE)
    # With its leading one, which is the one that the exponent's bits lack; a denormal number has neither.
    digits = plain.where(size, 0.0) / two**exponent * 2.0**form.mantissa
    found = (exponent - float(form.lowest)).cast(LONG) * (1 << form.mantissa) + digits.cast(LONG)
    found = infinite.where(form.special << form.mantissa, found)
    found = none.where((form.special << form.mantissa) + (1 << (form.mantissa - 1)), found)
    # Of the two zeros one is negative as well.
    negative = (value < 0.0) | (size.equals(0.0) & ((1.0 / value) < 0.0))
    return negative.where(found + -(1 << (form.bits - 1)), found).cast(SIGNED[form.bits // 8])


def _exponent(size: Formula) -> Formula:
    """Return the exponent e with size / 2^e in [1, 2)."""
    two = number(size.ctx, 2.0, DOUBLE)
    guess = (size.fn("Log") / float(np.log(2.0))).fn("Floor")
    # The logarithm may be off by one either way next to a power of two.
    guess = (two**guess > size).where(guess - 1.0, guess)
    return (two ** (guess + 1.0) <= size).where(guess + 1.0, guess)


def _floats(x: Formula, dtype: ir.DataType) -> Formula:
    """Return the floats that integers of their width are the bits of."""
    form = _Layout.of(dtype)
    value = x.cast(SIGNED[form.bits // 8]).cast(LONG)
    negative = value < 0
    # Without the bit of the sign; in 64 bits the sum goes round.
    found = negative.where(value - -(1 << (form.bits - 1)), value)
    digits = found.of("Mod", 1 << form.mantissa)
    exponent = found / (1 << form.mantissa)
    normal = exponent > 0
    power = exponent.maximum(1).cast(DOUBLE) + float(form.lowest - 1 - form.mantissa)
    whole = (normal.where(digits + (1 << form.mantissa), digits)).cast(DOUBLE)
    # Of special exponents the power may be too large, and then it is not used.
    size = whole * number(x.ctx, 2.0, DOUBLE) ** power
    special = digits.equals(0).where(number(x.ctx, np.inf, DOUBLE), float("nan"))
    size = exponent.equals(form.special).where(special, size)
    return negative.where(-size, size).cast(dtype)
