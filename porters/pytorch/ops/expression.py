"""Formulas over float64 values: Python's operators for ONNX's, so that a formula reads as in its source."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import yaml

from porters.pytorch.ops.matrices import WIDE
from porters.pytorch.ops.shared import known
from porters.pytorch.registry import Context


class Real:
    """A float64 value, or a condition over such values."""

    def __init__(self, c: Context, value: ir.Value) -> None:
        self.c = c
        self.value = value

    def _of(self, op_type: str, *operands: Any) -> Real:
        values = [item.value if isinstance(item, Real) else self.c.const(float(item), WIDE) for item in operands]
        return Real(self.c, self.c.op(op_type, *values))

    def __add__(self, other: Real | float) -> Real:
        return self._of("Add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Real | float) -> Real:
        return self._of("Sub", self, other)

    def __rsub__(self, other: float) -> Real:
        return self._of("Sub", other, self)

    def __mul__(self, other: Real | float) -> Real:
        return self._of("Mul", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Real | float) -> Real:
        return self._of("Div", self, other)

    def __rtruediv__(self, other: float) -> Real:
        return self._of("Div", other, self)

    def __neg__(self) -> Real:
        return self._of("Neg", self)

    def __pow__(self, other: Real | float) -> Real:
        return self._of("Pow", self, other)

    def __lt__(self, other: Real | float) -> Real:
        return self._of("Less", self, other)

    def __le__(self, other: Real | float) -> Real:
        return self._of("LessOrEqual", self, other)

    def __gt__(self, other: Real | float) -> Real:
        return self._of("Greater", self, other)

    def __ge__(self, other: Real | float) -> Real:
        return self._of("GreaterOrEqual", self, other)

    def __and__(self, other: Real) -> Real:
        return self._of("And", self, other)

    def __or__(self, other: Real) -> Real:
        return self._of("Or", self, other)

    def __invert__(self) -> Real:
        return self._of("Not", self)

    def equals(self, other: Real | float) -> Real:
        """Compare."""
        return self._of("Equal", self, other)

    def is_nan(self) -> Real:
        """Say where it is no number."""
        return self._of("IsNaN", self)

    def is_infinite(self) -> Real:
        """Say where it is infinite."""
        return self._of("IsInf", self)

    def fn(self, op_type: str) -> Real:
        """Apply an ONNX operator of one operand."""
        return self._of(op_type, self)

    def maximum(self, other: float) -> Real:
        """The larger one."""
        return self._of("Max", self, other)

    def minimum(self, other: float) -> Real:
        """The smaller one."""
        return self._of("Min", self, other)

    def where(self, yes: Real | float, no: Real | float) -> Real:
        """Choose by this condition."""
        return self._of("Where", self, yes, no)

    def polynomial(self, coefficients: Sequence[float]) -> Real:
        """Horner's rule, the highest coefficient first."""
        result = self * coefficients[0] + coefficients[1]
        for coefficient in coefficients[2:]:
            result = result * self + coefficient
        return result

    def chebyshev(self, coefficients: Sequence[float]) -> Real:
        """Clenshaw's rule as Cephes has it: the argument is doubled already, the highest coefficient comes first."""
        last: Real = self * 0.0
        now = last + coefficients[0]
        before = last
        for coefficient in coefficients[1:]:
            before, last, now = last, now, self * now - last + coefficient
        return (now - before) * 0.5

    def result(self) -> ir.Value:
        """Return it in the dtype that the context wants."""
        return self.c.cast(self.value, self.c.dtype)


def real(c: Context, x: Any) -> Real:
    """Return a value or number as a formula's operand."""
    if isinstance(x, Real):
        return x
    if not isinstance(x, ir.Value):
        return Real(c, c.const(float(x), WIDE))
    wide = c.cast(x, WIDE)
    return Real(c, wide if wide is x or x.shape is None else known(c, wide, c.sizes_of(x)))


def spread(c: Context, x: Real | float) -> ir.Value:
    """Return ``x`` broadcast to the shape of the result, as the state of a loop must be."""
    value = real(c, x).value
    if c.shape:
        value = c.op("Expand", value, c.vector(c.shape))
    return known(c, value, c.shape)


def largest(c: Context, x: Real, low: int, high: int) -> ir.Value:
    """Return the largest element within limits as an INT64 scalar; NaN and nothing count as the lower limit."""
    kept = x.is_nan().where(float(low), x).maximum(float(low)).minimum(float(high))
    flat = c.op("Concat", c.op("Reshape", kept.value, [-1]), c.const([float(low)], WIDE), axis=0)
    return c.cast(c.op("ReduceMax", flat, keepdims=0), ir.DataType.INT64)


@functools.cache
def coefficients(function: str) -> dict[str, tuple[float, ...]]:
    """Return the coefficients of a special function by Cephes' names."""
    tables = yaml.safe_load(Path(__file__).with_name("special.yaml").read_text())
    return {name: tuple(float(item) for item in row) for name, row in tables[function].items()}


INFINITY = float("inf")
NAN = float(np.nan)
