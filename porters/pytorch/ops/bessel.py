"""Bessel and Airy functions: Cephes' rational and Chebyshev approximations, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx_ir as ir

from porters.pytorch.ops.expression import INFINITY, NAN, Real, coefficients, real, spread
from porters.pytorch.ops.loops import repeat
from porters.pytorch.registry import Context, translates

_ROOT = math.sqrt(2 / math.pi)
# Rounds of the Airy series: it serves |x| < 2.09, where its terms fall below float64's last bit after about 15.
_AIRY_TERMS = 24
_AIRY_LIMIT = 2.09


def _register(names: tuple[str, ...], formula: Callable[[Real], Real]) -> None:
    def translator(c: Context, x: ir.Value) -> ir.Value:
        return formula(real(c, x)).result()

    translates(*names)(translator)


def _ratio(x: Real, table: dict[str, tuple[float, ...]], above: str, below: str) -> Real:
    """A quotient of polynomials, evaluated as torch does: a leading one that Cephes implies is not there."""
    return x.polynomial(table[above]) / x.polynomial(table[below])


def _far(x: Real, table: dict[str, tuple[float, ...]], phase: float) -> tuple[Real, Real, Real]:
    """The parts of the expansion beyond 5: the modulus' two halves and the angle."""
    z = 25.0 / (x * x)
    return _ratio(z, table, "PP", "PQ"), _ratio(z, table, "QP", "QQ") * 5.0 / x, x - phase


def j0(x: Real) -> Real:
    """J0."""
    table, x = coefficients("bessel_j0"), x.fn("Abs")
    square = x * x
    near = (square - 5.78318596294678452118) * (square - 30.4712623436620863991) * _ratio(square, table, "RP", "RQ")
    p, q, angle = _far(x.maximum(5.0), table, math.pi / 4)
    far = (p * angle.fn("Cos") - q * angle.fn("Sin")) * _ROOT / x.fn("Sqrt")
    return (x <= 5.0).where(near, far)


def j1(x: Real) -> Real:
    """J1, an odd function."""
    table, size = coefficients("bessel_j1"), x.fn("Abs")
    square = size * size
    near = (
        _ratio(square, table, "RP", "RQ") * size * (square - 14.6819706421238932572) * (square - 49.2184563216946036703)
    )
    p, q, angle = _far(size.maximum(5.0), table, 3 * math.pi / 4)
    far = (p * angle.fn("Cos") - q * angle.fn("Sin")) * _ROOT / size.fn("Sqrt")
    value = (size <= 5.0).where(near, far)
    return (x < 0.0).where(-value, value)


def y0(x: Real) -> Real:
    """Y0."""
    table = {**coefficients("bessel_j0"), **coefficients("bessel_y0")}
    square = x * x
    near = _ratio(square, table, "YP", "YQ") + 2 / math.pi * x.fn("Log") * j0(x)
    p, q, angle = _far(x.maximum(5.0), table, math.pi / 4)
    far = (p * angle.fn("Sin") + q * angle.fn("Cos")) * _ROOT / x.fn("Sqrt")
    return _defined(x, (x <= 5.0).where(near, far), -INFINITY)


def y1(x: Real) -> Real:
    """Y1."""
    table = {**coefficients("bessel_j1"), **coefficients("bessel_y1")}
    square = x * x
    near = x * _ratio(square, table, "YP", "YQ") + 2 / math.pi * (j1(x) * x.fn("Log") - 1.0 / x)
    p, q, angle = _far(x.maximum(5.0), table, 3 * math.pi / 4)
    far = (p * angle.fn("Sin") + q * angle.fn("Cos")) * _ROOT / x.fn("Sqrt")
    return _defined(x, (x <= 5.0).where(near, far), -INFINITY)


def _defined(x: Real, value: Real, at_zero: float) -> Real:
    """A function of positive numbers."""
    return x.equals(0.0).where(at_zero, (x < 0.0).where(NAN, value))


def _first_kind(x: Real, order: int) -> Real:
    """exp(-|x|) I0 or I1, the latter of |x|."""
    table, size = coefficients(f"modified_bessel_i{order}"), x.fn("Abs")
    near = (size * 0.5 - 2.0).chebyshev(table["A"])
    bound = size.maximum(8.0)
    far = (32.0 / bound - 2.0).chebyshev(table["B"]) / bound.fn("Sqrt")
    return (size <= 8.0).where(near * size if order else near, far)


def i0e(x: Real) -> Real:
    """exp(-|x|) I0."""
    return _first_kind(x, 0)


def i0(x: Real) -> Real:
    """I0; exp comes first, as it overflows first."""
    return x.fn("Abs").fn("Exp") * i0e(x)


def i1e(x: Real) -> Real:
    """exp(-|x|) I1, an odd function."""
    value = _first_kind(x, 1)
    return (x < 0.0).where(-value, value)


def i1(x: Real) -> Real:
    """I1."""
    return x.fn("Abs").fn("Exp") * i1e(x)


def second_kind(x: Real, order: int, *, scaled: bool) -> Real:
    """K0 or K1; ``scaled`` by exp(x)."""
    table = coefficients(f"modified_bessel_k{order}")
    series = (x * x - 2.0).chebyshev(table["A"])
    logarithm = (x * 0.5).fn("Log")
    near = logarithm * i1(x) + series / x if order else series - logarithm * i0(x)
    bound = x.maximum(2.0)
    far = (8.0 / bound - 2.0).chebyshev(table["B"]) / bound.fn("Sqrt")
    if scaled:
        near = near * x.fn("Exp")
    else:
        far = (-x).fn("Exp") * far
    return _defined(x, (x <= 2.0).where(near, far), INFINITY)


def spherical_j0(x: Real) -> Real:
    """sin(x) / x, one at zero."""
    safe = x.equals(0.0).where(1.0, x)
    value = x.equals(0.0).where(1.0, safe.fn("Sin") / safe)
    return x.is_infinite().where(0.0, value)


_register(("aten.i0", "aten.special_i0", "aten.special_modified_bessel_i0"), i0)
_register(("aten.special_i0e",), i0e)
_register(("aten.special_i1", "aten.special_modified_bessel_i1"), i1)
_register(("aten.special_i1e",), i1e)
_register(("aten.special_bessel_j0",), j0)
_register(("aten.special_bessel_j1",), j1)
_register(("aten.special_bessel_y0",), y0)
_register(("aten.special_bessel_y1",), y1)
_register(("aten.special_modified_bessel_k0",), lambda x: second_kind(x, 0, scaled=False))
_register(("aten.special_modified_bessel_k1",), lambda x: second_kind(x, 1, scaled=False))
_register(("aten.special_scaled_modified_bessel_k0",), lambda x: second_kind(x, 0, scaled=True))
_register(("aten.special_scaled_modified_bessel_k1",), lambda x: second_kind(x, 1, scaled=True))
_register(("aten.special_spherical_bessel_j0",), spherical_j0)


@translates("aten.special_airy_ai")
def airy_ai(c: Context, argument: ir.Value) -> ir.Value:
    """Ai: a series around zero, expansions on either side."""
    x = real(c, argument)
    series = _airy_series(c, (x.fn("Abs") > _AIRY_LIMIT).where(0.0, x))
    value = (x < -_AIRY_LIMIT).where(_airy_left(x.minimum(-1.0)), series)
    value = (x >= _AIRY_LIMIT).where(_airy_right(x.maximum(1.0)), value)
    value = (x > 103.892).where(0.0, value)
    return x.is_infinite().where(NAN, value).result()


def _airy_left(x: Real) -> Real:
    table = coefficients("airy_ai")
    zeta = -2.0 * x * (-x).fn("Sqrt") / 3.0
    z = 1.0 / zeta
    square = z * z
    even = 1.0 + square * _ratio(square, table, "AFN", "AFD")
    odd = z * _ratio(square, table, "AGN", "AGD")
    angle = zeta + math.pi / 4
    return 1 / math.sqrt(math.pi) / (-x).fn("Sqrt").fn("Sqrt") * (angle.fn("Sin") * even - angle.fn("Cos") * odd)


def _airy_right(x: Real) -> Real:
    zeta = 2.0 * x * x.fn("Sqrt") / 3.0
    ratio = _ratio(1.0 / zeta, coefficients("airy_ai"), "AN", "AD")
    return 1 / math.sqrt(math.pi) * ratio / (2.0 * x.fn("Sqrt").fn("Sqrt") * zeta.fn("Exp"))


def _airy_series(c: Context, x: Real) -> Real:
    cube = x * x * x

    def step(b: Context, k: ir.Value, *states: ir.Value) -> tuple[ir.Value, ...]:
        f, g, m, n = (Real(b, state) for state in states)
        place = 3.0 * Real(b, b.cast(k, ir.DataType.DOUBLE))
        z = Real(b, cube.value)
        m = m * z / ((place + 2.0) * (place + 3.0))
        n = n * z / ((place + 3.0) * (place + 4.0))
        return (f + m).value, (g + n).value, m.value, n.value

    start, first = spread(c, 1.0), spread(c, x)
    f, g, _, _ = repeat(c, _AIRY_TERMS, [start, first, start, first], step)
    return 0.355028053887817239260 * Real(c, f) - 0.258819403792806798405 * Real(c, g)
