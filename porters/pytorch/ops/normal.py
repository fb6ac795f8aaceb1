"""Relatives of the error function: erfcx, the normal distribution's logarithm and inverse."""

from __future__ import annotations

import math

import onnx_ir as ir

from porters.pytorch.ops.expression import INFINITY, NAN, Real, coefficients, real
from porters.pytorch.registry import Context, translates

# Where the fit of erfcx ends and its expansion begins.
_FAR = 50.0


def scaled_erfc(x: Real) -> Real:
    """exp(x^2) erfc(x) for x >= 0: a Chebyshev fit in 4 / (4 + x), an expansion beyond 50 (Johnson's Faddeeva)."""
    low = 4.0 / (4.0 + _FAR)
    y = 4.0 / (x.minimum(_FAR) + 4.0)
    scaled = (y * 2.0 - (1.0 + low)) / (1.0 - low)
    near = _chebyshev(scaled, coefficients("erfcx")["A"])
    z = x.maximum(_FAR).minimum(1e60)
    square = z * z
    far = 1 / math.sqrt(math.pi) * (square * (square + 4.5) + 2.0) / (z * (square * (square + 5.0) + 3.75))
    return x.is_infinite().where(0.0, (x > _FAR).where(far, near))


def _chebyshev(x: Real, table: tuple[float, ...]) -> Real:
    """Clenshaw's rule with a whole first coefficient, the highest one first."""
    last: Real = x * 0.0
    now = last
    for coefficient in table[:-1]:
        last, now = now, 2.0 * x * now - last + coefficient
    return x * now - last + table[-1]


@translates("aten.special_erfcx")
def erfcx(c: Context, argument: ir.Value) -> ir.Value:
    """exp(x^2) erfc(x); 2 exp(x^2) less its mirror image on the left."""
    x = real(c, argument)
    right = scaled_erfc(x.fn("Abs"))
    left = 2.0 * (x * x).fn("Exp") - right
    return x.is_nan().where(NAN, (x < 0.0).where(left, right)).result()


@translates("aten.special_log_ndtr")
def log_ndtr(c: Context, argument: ir.Value) -> ir.Value:
    """The logarithm of the normal distribution, without its underflow on the left."""
    t = real(c, argument) * math.sqrt(0.5)
    scaled = scaled_erfc(t.fn("Abs"))
    left = (scaled * 0.5).fn("Log") - t * t
    tail = (-(t * t)).fn("Exp") * scaled * 0.5
    right = _log1p(-(t < 0.0).where(1.0 - tail, tail))
    return t.is_nan().where(NAN, (t < -math.sqrt(0.5)).where(left, right)).result()


def _log1p(x: Real) -> Real:
    small = x * (1.0 - x * (0.5 - x / 3.0))
    return (x.fn("Abs") < 1e-5).where(small, (1.0 + x).fn("Log"))


@translates("aten.special_ndtri")
def ndtri(c: Context, argument: ir.Value) -> ir.Value:
    """The inverse of the normal distribution: rational functions, three ranges (Cephes)."""
    table = coefficients("ndtri")
    y0 = real(c, argument)
    tail = math.exp(-2.0)
    upper = y0 > 1.0 - tail
    y = upper.where(1.0 - y0, y0)
    inside = (y > 0.0) & (y < 1.0)
    safe = inside.where(y, 0.25)
    middle = safe - 0.5
    square = middle * middle
    centre = middle + middle * (square * square.polynomial(table["P0"]) / square.polynomial(table["Q0"]))
    x = (-2.0 * safe.fn("Log")).fn("Sqrt")
    z = 1.0 / x
    near = z * z.polynomial(table["P1"]) / z.polynomial(table["Q1"])
    far = z * z.polynomial(table["P2"]) / z.polynomial(table["Q2"])
    end = x - x.fn("Log") / x - (x < 8.0).where(near, far)
    value = (y > tail).where(centre * math.sqrt(2 * math.pi), upper.where(end, -end))
    value = y0.equals(0.0).where(-INFINITY, y0.equals(1.0).where(INFINITY, value))
    return ((y0 < 0.0) | (y0 > 1.0) | y0.is_nan()).where(NAN, value).result()
