"""Orthogonal polynomials whose degrees are data: a Loop up to the largest, each element stopping at its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from porters.pytorch.ops.expression import NAN, Real, largest, real, spread
from porters.pytorch.ops.loops import repeat
from porters.pytorch.registry import Context, translates

# Higher degrees are answered by NaN: no float32 is meaningful there.
_MOST = 10_000
# From this degree on torch's Hermite polynomials are no numbers in float32, and in float64.
_HERMITE_LIMIT = {ir.DataType.FLOAT: 128.0, ir.DataType.DOUBLE: 512.0}


@dataclass(frozen=True)
class Family:
    """A three-term recurrence.

    Attributes:
        first: The polynomial of degree one.
        following: Degree k + 1 from x, k and the polynomials of degrees k and k - 1.
        limited: Whether large degrees are no numbers.
    """

    first: Callable[[Real], Real]
    following: Callable[[Real, Real, Real, Real], Real]
    limited: bool = False


def _chebyshev(first: Callable[[Real], Real]) -> Family:
    return Family(first, lambda x, k, q, p: 2.0 * x * q - p)


_FAMILIES = {
    "chebyshev_polynomial_t": _chebyshev(lambda x: x),
    "chebyshev_polynomial_u": _chebyshev(lambda x: 2.0 * x),
    "chebyshev_polynomial_v": _chebyshev(lambda x: 2.0 * x - 1.0),
    "chebyshev_polynomial_w": _chebyshev(lambda x: 2.0 * x + 1.0),
    "hermite_polynomial_h": Family(lambda x: 2.0 * x, lambda x, k, q, p: 2.0 * x * q - 2.0 * k * p, limited=True),
    "hermite_polynomial_he": Family(lambda x: x, lambda x, k, q, p: x * q - k * p, limited=True),
    "laguerre_polynomial_l": Family(
        lambda x: 1.0 - x, lambda x, k, q, p: ((2.0 * k + 1.0 - x) * q - k * p) / (k + 1.0)
    ),
    "legendre_polynomial_p": Family(lambda x: x, lambda x, k, q, p: ((2.0 * k + 1.0) * x * q - k * p) / (k + 1.0)),
}


def _evaluated(c: Context, family: Family, x: Real, degree: Real) -> ir.Value:
    limit = _HERMITE_LIMIT[c.dtype] if family.limited else float(_MOST)
    # A degree is cut off behind the point, as the C++ cast does.
    whole = (degree < 0.0).where(degree.fn("Ceil"), degree.fn("Floor"))

    def step(b: Context, index: ir.Value, *states: ir.Value) -> tuple[ir.Value, ...]:
        before, now = (Real(b, state) for state in states)
        k = Real(b, b.cast(index, ir.DataType.DOUBLE)) + 1.0
        after = family.following(Real(b, x.value), k, now, before)
        more = k < Real(b, whole.value)
        return more.where(now, before).value, more.where(after, now).value

    rounds = largest(c, whole, 0, int(limit))
    _, now = repeat(c, rounds, [spread(c, 1.0), spread(c, family.first(x))], step)
    value = whole.equals(0.0).where(1.0, Real(c, now))
    value = (whole < 0.0).where(0.0, value)
    return (whole > limit).where(NAN, value).result()


def _register() -> None:
    def made(family: Family, shifted: bool) -> Callable[..., ir.Value]:
        def translator(c: Context, x: Any, degree: Any) -> ir.Value:
            operand = real(c, x)
            return _evaluated(c, family, 2.0 * operand - 1.0 if shifted else operand, real(c, degree))

        return translator

    for name, family in _FAMILIES.items():
        translates(f"aten.special_{name}")(made(family, shifted=False))
        if name.startswith("chebyshev"):
            translates(f"aten.special_shifted_{name}")(made(family, shifted=True))


_register()
