"""The parts of floating-point numbers: frexp, nextafter. ONNX's opset has no view of their bits: powers of two do."""

from __future__ import annotations

import math

import onnx_ir as ir

from porters.pytorch.ops.expression import NAN, Real, real
from porters.pytorch.registry import Context, translates

# Exponent of float32's smallest normal number, bits behind its leading one.
_LOWEST, _BITS = -126.0, 23.0


def _exponent(x: Real) -> Real:
    """Return the exponent e with |x| / 2^e in [1, 2); of zero and infinities any."""
    size = x.fn("Abs")
    safe = (size.equals(0.0) | x.is_infinite() | x.is_nan()).where(1.0, size)
    guess = (safe.fn("Log") / math.log(2.0)).fn("Floor")
    # The logarithm may be off by one either way next to a power of two.
    power = Real(x.c, x.c.const(2.0, ir.DataType.DOUBLE))
    guess = (power**guess > safe).where(guess - 1.0, guess)
    return (power ** (guess + 1.0) <= safe).where(guess + 1.0, guess)


@translates("aten.frexp")
def frexp(c: Context, argument: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Mantissa in [1/2, 1) and exponent; zero, infinities and NaN are their own mantissa."""
    x = real(c, argument)
    exponent = _exponent(x) + 1.0
    plain = x.equals(0.0) | x.is_infinite() | x.is_nan()
    exponent = plain.where(0.0, exponent)
    power = Real(c, c.const(2.0, ir.DataType.DOUBLE)) ** (-exponent)
    return (x * power).result(), c.cast(exponent.value, ir.DataType.INT32)


@translates("aten.nextafter")
def nextafter(c: Context, start: ir.Value, towards: ir.Value) -> ir.Value:
    """One unit in the last place further; half of it below a power of two."""
    if c.dtype != ir.DataType.FLOAT:
        raise NotImplementedError("nextafter of anything but float32")
    x, y = real(c, start), real(c, towards)
    exponent = _exponent(x)
    two = Real(c, c.const(2.0, ir.DataType.DOUBLE))
    inwards = ((x > 0.0) & (y < x)) | ((x < 0.0) & (y > x))
    edge = inwards & x.fn("Abs").equals(two**exponent) & (exponent > _LOWEST)
    exponent = edge.where(exponent - 1.0, exponent).maximum(_LOWEST)
    exponent = x.equals(0.0).where(_LOWEST, exponent)
    step = two ** (exponent - _BITS)
    after = (y > x).where(x + step, x - step)
    biggest = two**127.0 * (2.0 - 2.0**-_BITS)
    after = (x.is_infinite() & inwards).where(x.fn("Sign") * biggest, after)
    after = x.equals(y).where(y, after)
    return (x.is_nan() | y.is_nan()).where(NAN, after).result()
