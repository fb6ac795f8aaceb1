"""Symbolic dimensions: integer polynomials over named sizes, so that shape arithmetic is done while translating."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np


@dataclass(frozen=True, order=True)
class Symbol:
    """A size that is known only when the model runs.

    Attributes:
        name: Name in the graph's shapes.
        definition: ``(operator, left, right)`` where the size is a quotient or the like of other sizes.
    """

    name: str
    definition: tuple[str, Dim, Dim] | None = field(default=None, compare=False, hash=False)


@dataclass(frozen=True)
class Expr:
    """A polynomial: ``terms`` maps products of symbols (sorted) to integer coefficients; never a plain integer."""

    terms: tuple[tuple[tuple[Symbol, ...], int], ...]

    def __add__(self, other: Any) -> Dim:
        total = dict(self.terms)
        for product, factor in _terms(other):
            total[product] = total.get(product, 0) + factor
        return _collect(total)

    def __mul__(self, other: Any) -> Dim:
        total: dict[tuple[Symbol, ...], int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                product = tuple(sorted(left + right))
                total[product] = total.get(product, 0) + a * b
        return _collect(total)

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Any) -> Dim:
        return self + (-1 * as_dim(other))

    def __rsub__(self, other: Any) -> Dim:
        return as_dim(other) + self * -1

    __radd__, __rmul__ = __add__, __mul__

    def __floordiv__(self, other: Any) -> Dim:
        exact = _exact_quotient(self, as_dim(other))
        return exact if exact is not None else derived("//", self, other)

    def __rfloordiv__(self, other: Any) -> Dim:
        return derived("//", other, self)

    def __mod__(self, other: Any) -> Dim:
        return 0 if _exact_quotient(self, as_dim(other)) is not None else derived("%", self, other)

    def __str__(self) -> str:
        parts = []
        for product, factor in self.terms:
            names = "*".join(symbol.name for symbol in product)
            scale = {1: "", -1: "-"}.get(factor, f"{factor}*")
            parts.append(f"{scale}{names}" if product else str(factor))
        return " + ".join(parts).replace("+ -", "- ")


Dim: TypeAlias = int | Expr
Shape: TypeAlias = tuple[Dim, ...]


def symbol(name: str) -> Expr:
    """Return the size called ``name``."""
    return Expr((((Symbol(name),), 1),))


def derived(operator: str, left: Any, right: Any) -> Dim:
    """Return ``left operator right`` (``//``, ``%``, ``max``, ``min``) as a symbol of its own."""
    first, second = as_dim(left), as_dim(right)
    if first == second and operator in ("max", "min"):
        return first
    text = f"{operator}({first}, {second})" if operator.isalpha() else f"({first}){operator}({second})"
    return Expr((((Symbol(text, (operator, first, second)),), 1),))


def as_dim(value: Any) -> Dim:
    """Return ``value`` as a dimension; NumPy integers become Python's."""
    return value if isinstance(value, Expr) else int(value)


def product(dims: Iterable[Dim]) -> Dim:
    """Return the product of ``dims``."""
    return as_dim(math.prod(dims))


def is_static(dims: Iterable[Any]) -> bool:
    """Say whether every dimension is an integer."""
    return not any(isinstance(dim, Expr) for dim in dims)


def ceil_div(dim: Dim, divisor: int) -> Dim:
    """Return ``dim / divisor`` rounded up."""
    return dim if divisor == 1 else (dim + (divisor - 1)) // divisor


def onnx_shape(dims: Sequence[Dim]) -> list[int | str]:
    """Return the shape as ONNX holds it: integers, and text for symbolic dimensions."""
    return [dim if isinstance(dim, int) else str(dim) for dim in dims]


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that NumPy's rule gives; of two unequal symbolic sizes the first is taken."""
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Dim] = [1] * rank
    for shape in shapes:
        for axis, dim in enumerate(shape, rank - len(shape)):
            have = result[axis]
            if have == 1 or (isinstance(have, Expr) and isinstance(dim, int) and dim != 1):
                result[axis] = dim
    return tuple(result)


def from_array(array: np.ndarray) -> Shape:
    """Return a vector of sizes (integers or expressions) as a shape."""
    return tuple(as_dim(item) for item in array.reshape(-1).tolist())


def _terms(value: Any) -> tuple[tuple[tuple[Symbol, ...], int], ...]:
    return value.terms if isinstance(value, Expr) else (((), int(value)),)


def _collect(total: dict[tuple[Symbol, ...], int]) -> Dim:
    terms = tuple(sorted((product, factor) for product, factor in total.items() if factor))
    if not terms:
        return 0
    if len(terms) == 1 and not terms[0][0]:
        return terms[0][1]
    return Expr(terms)


def _exact_quotient(dividend: Expr, divisor: Dim) -> Dim | None:
    if isinstance(divisor, int):
        if divisor == 0 or any(factor % divisor for _, factor in dividend.terms):
            return None
        return _collect({product: factor // divisor for product, factor in dividend.terms})
    if len(divisor.terms) != 1:
        return 1 if dividend == divisor else None
    (symbols, scale), total = divisor.terms[0], {}
    for product_, factor in dividend.terms:
        rest = list(product_)
        if factor % scale or any(rest.count(item) < symbols.count(item) for item in symbols):
            return None
        for item in symbols:
            rest.remove(item)
        total[tuple(rest)] = factor // scale
    return _collect(total)
