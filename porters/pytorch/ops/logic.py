"""Comparisons, logic, bits, selection by masks, tests for NaN and infinity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.ops.arithmetic import arithmetic, floored
from porters.pytorch.ops.shared import chosen, computable, number, operands
from porters.pytorch.registry import Context, translates

_COMPARISONS = {
    "eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual", "less": "Less",
    "less_equal": "LessOrEqual", "greater": "Greater", "greater_equal": "GreaterOrEqual",
}  # fmt: skip
_LOGIC = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}
_BITWISE = {
    "bitwise_and": ("And", "BitwiseAnd"), "bitwise_or": ("Or", "BitwiseOr"), "bitwise_xor": ("Xor", "BitwiseXor"),
    "__and__": ("And", "BitwiseAnd"), "__or__": ("Or", "BitwiseOr"), "__xor__": ("Xor", "BitwiseXor"),
}  # fmt: skip


def _compared(c: Context, op_type: str, a: Any, b: Any) -> ir.Value:
    left, right = c.promote(a, b)
    if left.dtype == ir.DataType.BOOL and op_type == "Equal":
        return c.op(op_type, left, right)
    wide = [
        c.cast(item, ir.DataType.INT32)
        if item.dtype in (ir.DataType.BOOL, ir.DataType.INT8, ir.DataType.INT16, ir.DataType.UINT8)
        else item
        for item in (left, right)
    ]
    return c.op(op_type, *wide)


def _register_comparisons() -> None:
    def make(op_type: str) -> Callable[..., ir.Value]:
        def translator(c: Context, a: Any, b: Any) -> ir.Value:
            return _compared(c, op_type, a, b)

        return translator

    for name, op_type in _COMPARISONS.items():
        translates(f"aten.{name}")(make(op_type))


def _register_logic() -> None:
    def logical(op_type: str) -> Callable[..., ir.Value]:
        def translator(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
            return c.op(op_type, c.cast(a, ir.DataType.BOOL), c.cast(b, ir.DataType.BOOL))

        return translator

    def bitwise(on_bool: str, on_int: str) -> Callable[..., ir.Value]:
        def translator(c: Context, a: Any, b: Any) -> ir.Value:
            left, right = c.promote(a, b)
            return c.op(on_bool if left.dtype == ir.DataType.BOOL else on_int, left, right)

        return translator

    for name, op_type in _LOGIC.items():
        translates(f"aten.{name}")(logical(op_type))
    for name, (on_bool, on_int) in _BITWISE.items():
        translates(f"aten.{name}")(bitwise(on_bool, on_int))


_register_comparisons()
_register_logic()


@translates("aten.ne", "aten.not_equal")
def ne(c: Context, a: ir.Value, b: Any) -> ir.Value:
    """Not(Equal): ONNX has no NotEqual."""
    return c.op("Not", _compared(c, "Equal", a, b))


@translates("aten.logical_not", "aten.bitwise_not")
def invert(c: Context, x: ir.Value) -> ir.Value:
    """Not for bool, BitwiseNot for integers."""
    if c.dtype == ir.DataType.BOOL:
        return c.op("Not", c.cast(x, ir.DataType.BOOL))
    return c.op("BitwiseNot", x)


@translates("aten.bitwise_left_shift", "aten.__lshift__")
def left_shift(c: Context, a: Any, b: Any) -> ir.Value:
    """A * 2 ** b: ONNX shifts unsigned integers only."""
    left, right = operands(c, a, b)
    return arithmetic(c, "Mul", left, arithmetic(c, "Pow", c.const(2, c.dtype), right))


@translates("aten.bitwise_right_shift", "aten.__rshift__")
def right_shift(c: Context, a: Any, b: Any) -> ir.Value:
    """Floor(a / 2 ** b), which is the arithmetic shift of a signed integer."""
    left, right = operands(c, a, b)
    return floored(c, left, arithmetic(c, "Pow", c.const(2, c.dtype), right), None)


@translates("aten.where.self", "aten.where.ScalarOther", "aten.where.ScalarSelf", "aten.where.Scalar")
def where(c: Context, condition: ir.Value, a: Any, b: Any) -> ir.Value:
    """Where."""
    yes, no = operands(c, a, b)
    return chosen(c, c.cast(condition, ir.DataType.BOOL), yes, no)


@translates("aten.masked_fill")
def masked_fill(c: Context, x: ir.Value, mask: ir.Value, value: Any) -> ir.Value:
    """Where(mask, value, x)."""
    return chosen(c, c.cast(mask, ir.DataType.BOOL), number(c, value, c.dtype), c.cast(x, c.dtype))


@translates("aten.isnan")
def isnan(c: Context, x: ir.Value) -> ir.Value:
    """IsNaN; integers are never NaN."""
    return c.op("IsNaN", x if x.dtype in dtypes.FLOATS else c.cast(x, ir.DataType.FLOAT))


@translates("aten.isinf")
def isinf(c: Context, x: ir.Value) -> ir.Value:
    """IsInf; integers are never infinite."""
    return c.op("IsInf", x if x.dtype in dtypes.FLOATS else c.cast(x, ir.DataType.FLOAT))


@translates("aten.isposinf")
def isposinf(c: Context, x: ir.Value) -> ir.Value:
    """IsInf of positive sign."""
    return c.op("IsInf", x if x.dtype in dtypes.FLOATS else c.cast(x, ir.DataType.FLOAT), detect_negative=0)


@translates("aten.isneginf")
def isneginf(c: Context, x: ir.Value) -> ir.Value:
    """IsInf of negative sign."""
    return c.op("IsInf", x if x.dtype in dtypes.FLOATS else c.cast(x, ir.DataType.FLOAT), detect_positive=0)


@translates("aten.isfinite")
def isfinite(c: Context, x: ir.Value) -> ir.Value:
    """Neither infinite nor NaN."""
    data = x if x.dtype in dtypes.FLOATS else c.cast(x, ir.DataType.FLOAT)
    return c.op("Not", c.op("Or", c.op("IsNaN", data), c.op("IsInf", data)))


def negative(c: Context, x: ir.Value) -> ir.Value:
    """Say where ``x`` carries a minus sign, -0.0 included (its reciprocal is minus infinity)."""
    if x.dtype == ir.DataType.BOOL:
        return c.op("And", x, c.op("Not", x))
    below = c.op("Less", computable(c, x), 0)
    return c.op("Or", below, c.op("Less", c.op("Reciprocal", x), 0)) if x.dtype in dtypes.FLOATS else below


@translates("aten.signbit")
def signbit(c: Context, x: ir.Value) -> ir.Value:
    """Whether the number carries a minus sign."""
    return negative(c, x)


@translates("aten.copysign")
def copysign(c: Context, a: ir.Value, b: Any) -> ir.Value:
    """The size of ``a`` with the sign of ``b``."""
    size, sign = operands(c, a, b)
    size = c.op("Abs", size)
    return c.op("Where", negative(c, sign), c.op("Neg", size), size)
