"""Arithmetic, comparison, logic and casts: operators that keep the order of axes of what they read."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.node import Node
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Constant, Converted, Tensor, Weight
from porters.tensorflow.window import Window

UNARY = {
    "Abs": "Abs", "Neg": "Neg", "Exp": "Exp", "Log": "Log", "Sqrt": "Sqrt", "Floor": "Floor", "Ceil": "Ceil",
    "Round": "Round", "Rint": "Round", "Sign": "Sign", "Reciprocal": "Reciprocal", "Inv": "Reciprocal",
    "Sin": "Sin", "Cos": "Cos", "Tan": "Tan", "Asin": "Asin", "Acos": "Acos", "Atan": "Atan", "Sinh": "Sinh",
    "Cosh": "Cosh", "Asinh": "Asinh", "Acosh": "Acosh", "Atanh": "Atanh", "Erf": "Erf", "LogicalNot": "Not",
    "IsNan": "IsNaN", "IsInf": "IsInf",
}  # fmt: skip
BINARY = {
    "Add": "Add", "AddV2": "Add", "Sub": "Sub", "Mul": "Mul", "RealDiv": "Div", "Div": "Div", "Pow": "Pow",
    "Maximum": "Max", "Minimum": "Min", "Equal": "Equal", "Less": "Less", "LessEqual": "LessOrEqual",
    "Greater": "Greater", "GreaterEqual": "GreaterOrEqual", "LogicalAnd": "And", "LogicalOr": "Or",
    "BitwiseAnd": "BitwiseAnd", "BitwiseOr": "BitwiseOr", "BitwiseXor": "BitwiseXor", "TruncateDiv": "Div",
}  # fmt: skip


def unary(ctx: Context, op_type: str, x: Tensor, dtype: ir.DataType | None = None, **attributes: Any) -> Tensor:
    """Emit an operator of one operand in the order in which the operand is held."""
    return ctx.op(op_type, ctx.value(x, x.order), shape=x.shape, order=x.order, dtype=dtype, **attributes)


def nary(ctx: Context, op_type: str, *tensors: Tensor, dtype: ir.DataType | None = None) -> Tensor:
    """Emit a broadcasting operator in the order of its weightiest operand."""
    shape, order, values = ctx.operands(*tensors)
    return ctx.op(op_type, *values, shape=shape, order=order, dtype=dtype)


@translates(*UNARY)
def translate_unary(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate an operation that ONNX has under some name."""
    return unary(ctx, UNARY[node.op], x)


@translates(*BINARY)
def translate_binary(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate a broadcasting operation that ONNX has under some name; a product with one is its other factor."""
    if node.op == "Mul" and (_is_one(a) or _is_one(b)):
        other = b if _is_one(a) else a
        if other.rank >= max(a.rank, b.rank):
            return other
    return nary(ctx, BINARY[node.op], a, b)


def _is_one(tensor: Tensor) -> bool:
    if not isinstance(tensor, Constant) or tensor.symbolic or tensor.contents.size != 1:
        return False
    return bool((tensor.contents == 1).all())


@translates("AddN", "AccumulateNV2")
def add_n(ctx: Context, node: Node, *tensors: Tensor) -> Tensor:
    """Translate a sum of equal shapes."""
    return nary(ctx, "Sum", *tensors) if len(tensors) > 2 else nary(ctx, "Add", *tensors)


@translates("BiasAdd", "BiasAddV1")
def bias_add(ctx: Context, node: Node, x: Tensor, bias: Tensor) -> Tensor:
    """Translate a vector added along the channels."""
    if not Window.is_channels_last(node):
        bias = ctx.reshape(bias, (*bias.shape, *(1,) * (x.rank - 2)))
    return nary(ctx, "Add", x, bias)


@translates("NotEqual")
def not_equal(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate an inequality."""
    shape, order, values = ctx.operands(a, b)
    return ctx.op("Not", ctx.step("Equal", *values), shape=shape, order=order)


@translates("LogicalXor")
def logical_xor(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate an exclusive or."""
    return nary(ctx, "Xor", a, b)


@translates("Square")
def square(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate a square as a product."""
    value = ctx.value(x, x.order)
    return ctx.op("Mul", value, value, shape=x.shape, order=x.order)


@translates("SquaredDifference")
def squared_difference(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate the square of a difference as a product."""
    shape, order, values = ctx.operands(a, b)
    difference = ctx.step("Sub", *values)
    return ctx.op("Mul", difference, difference, shape=shape, order=order)


@translates("Rsqrt")
def rsqrt(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate one over the square root."""
    root = ctx.step("Sqrt", ctx.value(x, x.order))
    return ctx.op("Reciprocal", root, shape=x.shape, order=x.order)


@translates("Erfc")
def erfc(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate ``1 - erf(x)``."""
    value = ctx.step("Erf", ctx.value(x, x.order))
    return ctx.op("Sub", ctx.builder.const(1.0, x.dtype), value, shape=x.shape, order=x.order)


@translates("FloorDiv")
def floor_div(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate a division that rounds down; ONNX's integer division rounds towards zero."""
    shape, order, (left, right) = ctx.operands(a, b)
    if not a.dtype.is_integer():
        return ctx.op("Floor", ctx.step("Div", left, right), shape=shape, order=order)
    rest = ctx.step("Mod", left, right)
    return ctx.op("Div", ctx.step("Sub", left, rest), right, shape=shape, order=order)


@translates("FloorMod", "Mod", "TruncateMod")
def modulo(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate a remainder: with the divisor's sign (floor) or the dividend's (the others)."""
    shape, order, (left, right) = ctx.operands(a, b)
    if node.op == "FloorMod" and not a.dtype.is_integer():
        whole = ctx.step("Floor", ctx.step("Div", left, right))
        return ctx.op("Sub", left, ctx.step("Mul", whole, right), shape=shape, order=order)
    truncate = 1 if node.op != "FloorMod" or not a.dtype.is_integer() else None
    return ctx.op("Mod", left, right, fmod=truncate, shape=shape, order=order)


@translates("DivNoNan")
def div_no_nan(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate a division that yields zero where the divisor is zero."""
    shape, order, (left, right) = ctx.operands(a, b)
    zero = ctx.builder.const(0.0, a.dtype)
    empty = ctx.step("Equal", right, zero)
    return ctx.op("Where", empty, zero, ctx.step("Div", left, right), shape=shape, order=order)


@translates("Cast")
def cast(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate a cast; to the same type it is nothing."""
    kind = node.dtypes[0]
    if kind is None:
        raise Untranslatable("a cast to a type without numbers")
    dtype = ir.DataType.from_numpy(kind)
    if dtype == x.dtype:
        return x
    if isinstance(x, Weight):
        return Converted(x.shape, dtype, x)
    return unary(ctx, "Cast", x, dtype=dtype, to=dtype.value)


@translates("SelectV2", "Select")
def select(ctx: Context, node: Node, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Translate a choice by element; the first version takes a vector condition over rows."""
    if node.op == "Select" and condition.rank == 1 and a.rank > 1:
        condition = ctx.reshape(condition, condition.shape + (1,) * (a.rank - 1))
    return nary(ctx, "Where", condition, a, b, dtype=a.dtype)


@translates("ClipByValue")
def clip(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Translate a clamp to two numbers."""
    return ctx.op("Clip", ctx.value(x, x.order), ctx.value(low), ctx.value(high), shape=x.shape, order=x.order)
