"""The gamma function's relatives: lgamma, digamma, polygamma, zeta, incomplete gamma functions."""

from __future__ import annotations

import math
from typing import Any

import onnx_ir as ir

from porters.pytorch.ops.expression import INFINITY, NAN, Real, coefficients, largest, real, spread
from porters.pytorch.ops.loops import repeat
from porters.pytorch.registry import Context, translates

# Lanczos' approximation with g = 7 and nine terms (Godfrey's coefficients), good to 1e-15.
_LANCZOS_G = 7.0
_LANCZOS = (
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
)  # fmt: skip
# Digamma's asymptotic series, highest order first (Cephes).
_DIGAMMA = (
    8.33333333333333333333e-2, -2.10927960927960927961e-2, 7.57575757575757575758e-3, -4.16666666666666666667e-3,
    3.96825396825396825397e-3, -8.33333333333333333333e-3, 8.33333333333333333333e-2,
)  # fmt: skip
# The argument from which the asymptotic series of digamma and zeta are good to float64's last bits.
_FAR = 10
# Rounds that the incomplete gamma functions and zeta of a negative argument are given at most.
_MOST_ROUNDS = 20_000
_LAST_BIT = 2.0**-53


def lgamma(x: Real) -> Real:
    """Log |gamma|, by reflection on the left of 1/2; infinite at the poles."""
    left = x < 0.5
    z = left.where(1.0 - x, x) - 1.0
    total = z * 0.0 + _LANCZOS[0]
    for place, coefficient in enumerate(_LANCZOS[1:], 1):
        total = total + coefficient / (z + float(place))
    t = z + _LANCZOS_G + 0.5
    right = 0.5 * math.log(2 * math.pi) + (z + 0.5) * t.fn("Log") - t + total.fn("Log")
    # sin(pi x) from the distance to the next integer: pi x itself would lose digits.
    wave = ((x - x.fn("Round")) * math.pi).fn("Sin").fn("Abs")
    value = left.where(math.log(math.pi) - wave.fn("Log") - right, right)
    pole = (x <= 0.0) & x.equals(x.fn("Floor"))
    return (pole | x.is_infinite()).where(INFINITY, value)


def digamma(x: Real) -> Real:
    """The asymptotic series behind a recurrence; by reflection on the left of zero."""
    left = x < 0.0
    z = left.where(1.0 - x, x)
    result = left.where(0.0, 0.0)
    for _ in range(_FAR):
        small = z < float(_FAR)
        result = result - small.where(1.0 / z, 0.0)
        z = small.where(z + 1.0, z)
    square = 1.0 / (z * z)
    result = result + z.fn("Log") - 0.5 / z - square * square.polynomial(_DIGAMMA)
    # The fraction keeps the sign of x.
    fraction = x - left.where(x.fn("Ceil"), x.fn("Floor"))
    angle = fraction * math.pi
    turned = result - math.pi * angle.fn("Cos") / angle.fn("Sin")
    whole = left & x.equals(x.fn("Floor"))
    value = whole.where(NAN, left.where(turned, result))
    return x.equals(0.0).where(-1.0 / x, value)


@translates("aten.lgamma", "aten.special_gammaln")
def lgamma_(c: Context, x: ir.Value) -> ir.Value:
    """See :func:`lgamma`."""
    return lgamma(real(c, x)).result()


@translates("aten.digamma", "aten.special_digamma", "aten.special_psi")
def digamma_(c: Context, x: ir.Value) -> ir.Value:
    """See :func:`digamma`."""
    return digamma(real(c, x)).result()


@translates("aten.polygamma", "aten.special_polygamma")
def polygamma(c: Context, order: int, x: ir.Value) -> ir.Value:
    """Digamma, or (-1)^(n + 1) n! zeta(n + 1, x)."""
    if order == 0:
        return digamma(real(c, x)).result()
    sign = 1.0 if order % 2 else -1.0
    return (hurwitz_zeta(c, real(c, order + 1), real(c, x)) * sign * float(math.factorial(order))).result()


@translates("aten.special_zeta")
def zeta(c: Context, x: Any, q: Any) -> ir.Value:
    """Hurwitz' zeta function."""
    return hurwitz_zeta(c, real(c, x), real(c, q)).result()


def hurwitz_zeta(c: Context, x: Real, q: Real) -> Real:
    """Terms up to an argument of ten, then Euler and Maclaurin's formula (Cephes)."""
    rounds = largest(c, float(_FAR) - q.fn("Floor"), _FAR, _MOST_ROUNDS)

    def step(b: Context, k: ir.Value, *states: ir.Value) -> tuple[ir.Value, ...]:
        total, a, last = (Real(b, state) for state in states)
        early = Real(b, b.op("Less", k, 9))
        more = early | (a <= 9.0)
        after = a + 1.0
        term = after ** (-Real(b, x.value))
        return more.where(total + term, total).value, more.where(after, a).value, more.where(term, last).value

    first = q ** (-x)
    states = repeat(c, rounds, [spread(c, first), spread(c, q), spread(c, 0.0)], step)
    total, w, last = (Real(c, state) for state in states)
    result = total + last * w / (x - 1.0) - 0.5 * last
    factor, b, done = last * 0.0 + 1.0, last, last.equals(last + 1.0)
    for place, divisor in enumerate(coefficients("zeta")["A"]):
        factor, b = factor * (x + float(2 * place)), b / w
        term = factor * b / divisor
        result = done.where(result, result + term)
        done = done | ((term / result).fn("Abs") < _LAST_BIT)
        factor, b = factor * (x + float(2 * place + 1)), b / w
    whole = q.equals(q.fn("Floor"))
    undefined = (q <= 0.0) & ~whole & ~x.equals(x.fn("Floor"))
    result = undefined.where(NAN, result)
    result = ((q <= 0.0) & whole).where(INFINITY, result)
    result = (x < 1.0).where(NAN, result)
    return x.equals(1.0).where(INFINITY, result)


# -- incomplete gamma functions ------------------------------------------------------------------------------------


@translates("aten.igamma", "aten.special_gammainc")
def igamma(c: Context, a: ir.Value, x: ir.Value) -> ir.Value:
    """The lower one, regularized."""
    return _incomplete(c, real(c, a), real(c, x), upper=False)


@translates("aten.igammac", "aten.special_gammaincc")
def igammac(c: Context, a: ir.Value, x: ir.Value) -> ir.Value:
    """The upper one, regularized."""
    return _incomplete(c, real(c, a), real(c, x), upper=True)


def _incomplete(c: Context, a: Real, x: Real, *, upper: bool) -> ir.Value:
    """The power series below a + 1, the continued fraction above; both need about the root of ``a`` rounds."""
    ordinary = (a > 0.0) & (x > 0.0) & ~a.is_infinite() & ~x.is_infinite()
    p, z = ordinary.where(a, 1.0), ordinary.where(x, 1.0)
    rounds = largest(c, p.fn("Sqrt") * 12.0 + 200.0, 200, _MOST_ROUNDS)
    front = (p * z.fn("Log") - z - lgamma(p)).fn("Exp")
    low = z < p + 1.0
    series = front * _series(c, rounds, p, low.where(z, 1.0))
    fraction = front * _fraction(c, rounds, p, low.where(p + 1.0, z))
    lower = low.where(series, 1.0 - fraction)
    value = low.where(1.0 - series, fraction) if upper else lower
    zero, one = (1.0, 0.0) if upper else (0.0, 1.0)
    value = x.equals(0.0).where(zero, value)
    value = (x.is_infinite() | (a.equals(0.0) & (x > 0.0))).where(one, value)
    value = a.is_infinite().where(x.is_infinite().where(NAN, zero), value)
    undefined = (a < 0.0) | (x < 0.0) | (a.equals(0.0) & x.equals(0.0)) | a.is_nan() | x.is_nan()
    return undefined.where(NAN, value).result()


def _series(c: Context, rounds: ir.Value, a: Real, x: Real) -> Real:
    """Return the sum of x^n / (a (a + 1) ... (a + n))."""

    def step(b: Context, k: ir.Value, term: ir.Value, total: ir.Value) -> tuple[ir.Value, ir.Value]:
        place = Real(b, b.cast(k, ir.DataType.DOUBLE)) + 1.0
        after = Real(b, term) * Real(b, x.value) / (Real(b, a.value) + place)
        return after.value, (Real(b, total) + after).value

    start = spread(c, 1.0 / a)
    return Real(c, repeat(c, rounds, [start, start], step)[1])


def _fraction(c: Context, rounds: ir.Value, a: Real, x: Real) -> Real:
    """Return Legendre's continued fraction by Lentz' method."""

    def step(b: Context, k: ir.Value, *states: ir.Value) -> tuple[ir.Value, ...]:
        low, high, result = (Real(b, state) for state in states)
        place = Real(b, b.cast(k, ir.DataType.DOUBLE)) + 1.0
        an = place * (Real(b, a.value) - place)
        bn = Real(b, x.value) + 2.0 * place + 1.0 - Real(b, a.value)
        high = 1.0 / _off_zero(an * high + bn)
        low = _off_zero(bn + an / low)
        return low.value, high.value, (result * low * high).value

    first = _off_zero(x + 1.0 - a)
    states = [spread(c, 1e300), spread(c, 1.0 / first), spread(c, 1.0 / first)]
    return Real(c, repeat(c, rounds, states, step)[2])


def _off_zero(x: Real) -> Real:
    return (x.fn("Abs") < 1e-300).where(1e-300, x)
