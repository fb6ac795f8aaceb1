"""Special functions: most of them as the PyTorch porter computes them, the others by their series and fractions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops import bessel, gamma, normal, unary
from porters.pytorch.ops.expression import INFINITY, NAN, Real, real, spread
from porters.pytorch.ops.floats import nextafter
from porters.pytorch.ops.loops import repeat
from porters.pytorch.registry import Context as Emitter
from porters.tensorflow import algorithms
from porters.tensorflow.context import Context
from porters.tensorflow.node import Node
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor

# Rybicki's step for Dawson's integral, and how many odd multiples of it reach beyond float64's last bit.
_DAWSON_STEP, _DAWSON_TERMS = 0.2, 32
# Where the expansion of Fresnel's integrals begins, and the nodes of the quadrature below it.
_FRESNEL_FAR, _FRESNEL_NODES = 6.0, 96
# Bernoulli's numbers B2, B4 ... divided by the factorials (2k + 1)!: the dilogarithm's series in -ln(1 - z).
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)
_DILOGARITHM = tuple(number / math.factorial(2 * place + 3) for place, number in enumerate(_BERNOULLI))
# Up to where the exponential integral's series is summed, in how many terms, and the terms of its expansion beyond.
_EXPINT_FAR, _EXPINT_TERMS, _EXPINT_FAR_TERMS = 40.0, 160, 24
# Rounds of the continued fraction of the incomplete beta function.
_BETA_ROUNDS = 300


def dawson(x: Real) -> Real:
    """Rybicki's sum of Gaussians around the even multiple of the step next to ``x`` (Numerical Recipes 6.10)."""
    centre = (x * (0.5 / _DAWSON_STEP)).fn("Round") * 2.0
    rest = x - centre * _DAWSON_STEP
    total = x * 0.0
    for place in range(-_DAWSON_TERMS, _DAWSON_TERMS):
        odd = float(2 * place + 1)
        gap = rest - odd * _DAWSON_STEP
        total = total + (-(gap * gap)).fn("Exp") / (centre + odd)
    # Beyond 1e6 the expansion 1 / (2 x) is exact to the last bit, and the multiples lose their digits.
    return (x.fn("Abs") > 1e6).where(0.5 / x, total / math.sqrt(math.pi))


def fresnel(x: Real, wave: str) -> Real:
    """Gauss' quadrature of the sine or cosine of pi t^2 / 2; beyond 6 the asymptotic expansion (DLMF 7.12)."""
    size = x.fn("Abs")
    near = size.minimum(_FRESNEL_FAR)
    nodes, weights = np.polynomial.legendre.leggauss(_FRESNEL_NODES)
    total = x * 0.0
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        t = near * (0.5 * (node + 1.0))
        total = total + (t * t * (math.pi / 2)).fn(wave) * weight
    far = size.maximum(_FRESNEL_FAR)
    inverse = 1.0 / (far * far * math.pi)
    square = inverse * inverse
    f = square.polynomial([2027025.0, -10395.0, 105.0, -3.0, 1.0]) / (far * math.pi)
    g = square.polynomial([34459425.0, -135135.0, 945.0, -15.0, 1.0]) * inverse / (far * math.pi)
    # The angle from the distance to the next multiple of the period: it would lose its digits otherwise.
    turns = far * far * 0.25
    angle = (turns - turns.fn("Round")) * (2 * math.pi)
    sine, cosine = angle.fn("Sin"), angle.fn("Cos")
    beyond = 0.5 + f * sine - g * cosine if wave == "Cos" else 0.5 - f * cosine - g * sine
    value = (size > _FRESNEL_FAR).where(beyond, total * near * 0.5)
    return (x < 0.0).where(-value, value)


def spence(x: Real) -> Real:
    """The dilogarithm of 1 - x by Bernoulli's numbers, the argument brought to [1/2, 1] by its two reflections."""
    large = x > 1.0
    folded = large.where(1.0 / x, x)
    low = folded < 0.5
    y = low.where(1.0 - folded, folded)
    u = -(y.fn("Log"))
    square = u * u
    series = u - square * 0.25 + u * square * square.polynomial(_DILOGARITHM[::-1])
    logs = folded.maximum(1e-300).fn("Log") * (1.0 - folded).maximum(1e-300).fn("Log")
    value = low.where(math.pi**2 / 6 - logs - series, series)
    value = x.equals(0.0).where(math.pi**2 / 6, value)
    logarithm = x.maximum(1.0).fn("Log")
    value = large.where(-0.5 * logarithm * logarithm - value, value)
    return (x < 0.0).where(NAN, value)


def expint(x: Real) -> Real:
    """The exponential integral of positive numbers: its power series, beyond 40 its asymptotic one (DLMF 6.6, 6.12)."""
    near = x.minimum(_EXPINT_FAR)
    total = near * 0.0
    for term in range(_EXPINT_TERMS, 0, -1):
        # Horner's rule for the sum of x^k / (k k!).
        total = (total + 1.0 / term) * near / float(term)
    series = near.fn("Log") + 0.57721566490153286061 + total
    far = x.maximum(_EXPINT_FAR)
    expansion = far * 0.0 + 1.0
    for term in range(_EXPINT_FAR_TERMS, 0, -1):
        expansion = 1.0 + expansion * float(term) / far
    value = (x > _EXPINT_FAR).where(far.fn("Exp") / far * expansion, series)
    return x.equals(0.0).where(-INFINITY, (x < 0.0).where(NAN, value))


def digamma(x: Real) -> Real:
    """Undefined at zero and at negative integers, which is where Eigen answers NaN and torch does not everywhere."""
    return ((x <= 0.0) & x.equals(x.fn("Floor"))).where(NAN, gamma.digamma(x))


FORMULAS: dict[str, Callable[[Real], Real]] = {
    "Lgamma": gamma.lgamma,
    "Digamma": digamma,
    "BesselI0": bessel.i0,
    "BesselI0e": bessel.i0e,
    "BesselI1": bessel.i1,
    "BesselI1e": bessel.i1e,
    "BesselJ0": bessel.j0,
    "BesselJ1": bessel.j1,
    "BesselY0": bessel.y0,
    "BesselY1": bessel.y1,
    "BesselK0": lambda x: bessel.second_kind(x, 0, scaled=False),
    "BesselK0e": lambda x: bessel.second_kind(x, 0, scaled=True),
    "BesselK1": lambda x: bessel.second_kind(x, 1, scaled=False),
    "BesselK1e": lambda x: bessel.second_kind(x, 1, scaled=True),
    "Dawsn": dawson,
    "FresnelSin": lambda x: fresnel(x, "Sin"),
    "FresnelCos": lambda x: fresnel(x, "Cos"),
    "Spence": spence,
    "Expint": expint,
}


@translates(*FORMULAS)
def special(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate a function of one number by its formula in float64."""
    return algorithms.elementwise(ctx, lambda c, value: FORMULAS[node.op](real(c, value)).result(), x)


@translates("Ndtri", "Erfinv")
def inverse(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the inverse of the normal distribution, or of the error function."""
    return algorithms.elementwise(ctx, normal.ndtri if node.op == "Ndtri" else unary.erfinv, x)


@translates("Igamma", "Igammac")
def incomplete_gamma(ctx: Context, node: Node, a: Tensor, x: Tensor) -> Tensor:
    """Translate the regularized incomplete gamma functions."""
    return algorithms.elementwise(ctx, gamma.igamma if node.op == "Igamma" else gamma.igammac, a, x)


@translates("Zeta")
def zeta(ctx: Context, node: Node, x: Tensor, q: Tensor) -> Tensor:
    """Translate Hurwitz' zeta function."""
    return algorithms.elementwise(ctx, gamma.zeta, x, q)


@translates("Polygamma")
def polygamma(ctx: Context, node: Node, order: Tensor, x: Tensor) -> Tensor:
    """Translate a derivative of digamma whose order is known."""
    orders = set(order.array.reshape(-1).tolist()) if order.array is not None else set()
    if len(orders) != 1 or not float(next(iter(orders))).is_integer():
        raise Untranslatable("a derivative of digamma whose order is computed from data")
    return algorithms.elementwise(ctx, lambda c, value: gamma.polygamma(c, int(next(iter(orders))), value), x)


@translates("NextAfter")
def next_after(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate the next number that the type has."""
    return algorithms.elementwise(ctx, nextafter, a, b)


@translates("Betainc")
def incomplete_beta(ctx: Context, node: Node, a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """Translate the regularized incomplete beta function."""
    return algorithms.elementwise(ctx, _betainc, a, b, x)


def _betainc(c: Emitter, a_: ir.Value, b_: ir.Value, x_: ir.Value) -> ir.Value:
    """Lentz' continued fraction on the side of the mean where it converges fast (DLMF 8.17.22)."""
    a, b, x = (real(c, item) for item in (a_, b_, x_))
    turned = x > (a + 1.0) / (a + b + 2.0)
    p, q, z = turned.where(b, a), turned.where(a, b), turned.where(1.0 - x, x)
    inside = (z > 0.0) & (z < 1.0)
    safe = inside.where(z, 0.5)
    front = p * safe.fn("Log") + q * (1.0 - safe).fn("Log")
    front = (front + gamma.lgamma(p + q) - gamma.lgamma(p) - gamma.lgamma(q)).fn("Exp") / p
    value = inside.where(front * _fraction(c, p, q, safe), 0.0)
    return turned.where(1.0 - value, value).result()


def _fraction(c: Emitter, a: Real, b: Real, x: Real) -> Real:
    def step(inner: Emitter, k: ir.Value, *states: ir.Value) -> tuple[ir.Value, ...]:
        low, high, result = (Real(inner, state) for state in states)
        p, q, z = (Real(inner, item.value) for item in (a, b, x))
        m = Real(inner, inner.cast(k, ir.DataType.DOUBLE)) + 1.0
        even = m * (q - m) * z / ((p + 2.0 * m - 1.0) * (p + 2.0 * m))
        odd = -(p + m) * (p + q + m) * z / ((p + 2.0 * m) * (p + 2.0 * m + 1.0))
        for term in (even, odd):
            high = 1.0 / _off_zero(1.0 + term * high)
            low = _off_zero(1.0 + term / low)
            result = result * low * high
        return low.value, high.value, result.value

    first = 1.0 / _off_zero(1.0 - (a + b) * x / (a + 1.0))
    states = [spread(c, 1.0), spread(c, first), spread(c, first)]
    return Real(c, repeat(c, _BETA_ROUNDS, states, step)[2])


def _off_zero(x: Real) -> Real:
    return (x.fn("Abs") < 1e-300).where(1e-300, x)
