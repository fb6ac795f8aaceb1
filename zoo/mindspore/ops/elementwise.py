"""Operators that work element by element."""

from __future__ import annotations

import functools
from collections.abc import Callable

from zoo.mindspore.code import Code, binary, literal, unary
from zoo.mindspore.registry import Call, Operand, translates

# ONNX operator -> function of mindspore.ops with the same meaning.
_UNARY = {
    "Abs": "abs", "Acos": "acos", "Acosh": "acosh", "Asin": "asin", "Asinh": "asinh", "Atan": "atan",
    "Atanh": "atanh", "Ceil": "ceil", "Cos": "cos", "Cosh": "cosh", "Erf": "erf", "Exp": "exp", "Floor": "floor",
    "IsNaN": "isnan", "Log": "log", "Reciprocal": "reciprocal", "Round": "round", "Sigmoid": "sigmoid", "Sign": "sign",
    "Sin": "sin", "Sinh": "sinh", "Softsign": "softsign", "Sqrt": "sqrt", "Tan": "tan", "Tanh": "tanh",
}  # fmt: skip
_OPERATORS = {
    "Add": "+", "Sub": "-", "Mul": "*", "Equal": "==", "Less": "<", "LessOrEqual": "<=", "Greater": ">",
    "GreaterOrEqual": ">=", "And": "&", "Or": "|", "Xor": "^",
}  # fmt: skip


def _named(name: str) -> Callable[[Call, Operand], str]:
    return lambda c, x: f"ops.{name}({x.tensor})"


def _infix(operator: str) -> Callable[[Call, Operand, Operand], Code]:
    def translate(c: Call, left: Operand, right: Operand) -> Code:
        # One side has to be a tensor: two numbers would make a number.
        left_code = left.tensor if right.constant is not None and right.constant.size == 1 else left.code
        return binary(left_code, operator, right.code)

    return translate


for _op_type, _name in _UNARY.items():
    translates(_op_type)(_named(_name))
for _op_type, _operator in _OPERATORS.items():
    translates(_op_type)(_infix(_operator))


@translates("Neg")
def neg(c: Call, x: Operand) -> Code:
    """A minus sign."""
    return unary("-", x.tensor)


@translates("Not")
def logical_not(c: Call, x: Operand) -> str:
    """``ops.logical_not``."""
    return f"ops.logical_not({x.tensor})"


@translates("Div")
def div(c: Call, left: Operand, right: Operand) -> Code | str:
    """Division; of integers towards zero."""
    if left.dtype.is_floating_point():
        return _infix("/")(c, left, right)
    return f'ops.div({left.tensor}, {right.code}, rounding_mode="trunc").astype({c.dtype()})'


@translates("Mod")
def mod(c: Call, left: Operand, right: Operand) -> Code | str:
    """The remainder with the sign of the divisor, or (``fmod``) of the dividend."""
    if c.attribute("fmod", 0):
        return f"ops.fmod({left.tensor}, {right.tensor})"
    return _infix("%")(c, left, right)


translates("Mod")(mod)


@translates("Pow")
def power(c: Call, base: Operand, exponent: Operand) -> str:
    """``ops.pow``; the result has the base's dtype."""
    same = base.dtype == exponent.dtype or exponent.constant is not None
    text = f"ops.pow({base.tensor}, {exponent.code})"
    return text if same and base.dtype.is_floating_point() else f"{text}.astype({c.dtype()})"


@translates("Where")
def where(c: Call, condition: Operand, yes: Operand, no: Operand) -> str:
    """``ops.where``."""
    return f"ops.where({condition.tensor}, {yes.tensor}, {no.tensor})"


@translates("Cast")
def cast(c: Call, x: Operand) -> str:
    """``astype``; a float becomes an integer towards zero, as in ONNX."""
    return f"{x.tensor.atom}.astype({c.dtype()})"


@translates("CastLike")
def cast_like(c: Call, x: Operand, like: Operand) -> str:
    """``astype`` of the other's dtype."""
    return f"{x.tensor.atom}.astype({c.dtype()})"


@translates("Identity")
def identity(c: Call, x: Operand) -> Code:
    """The operand itself."""
    return x.tensor


def _fold(name: str) -> Callable[..., Code]:
    def translate(c: Call, *operands: Operand) -> Code:
        texts = [operand.tensor for operand in operands]
        return functools.reduce(lambda left, right: Code(f"ops.{name}({left}, {right})"), texts)

    return translate


translates("Max")(_fold("maximum"))
translates("Min")(_fold("minimum"))


@translates("Sum")
def sum_of(c: Call, *operands: Operand) -> Code:
    """The operands added up."""
    return functools.reduce(lambda left, right: binary(left, "+", right), [operand.tensor for operand in operands])


@translates("Mean")
def mean_of(c: Call, *operands: Operand) -> Code:
    """The mean of the operands."""
    return binary(sum_of(c, *operands), "/", Code(literal(len(operands))))


@translates("Clip")
def clip(c: Call, x: Operand, low: Operand | None = None, high: Operand | None = None) -> str:
    """``ops.clamp``; limits may be missing."""
    limits = [None if limit is None else limit.code for limit in (low, high)]
    if limits == [None, None]:
        return str(x.tensor)
    text = f"ops.clamp({x.tensor}, {limits[0]}, {limits[1]})"
    return text if x.dtype.is_floating_point() else f"{text}.astype({c.dtype()})"


@translates("IsInf")
def is_inf(c: Call, x: Operand) -> Code | str:
    """Infinite, of either sign or of one."""
    positive, negative = c.attribute("detect_positive", 1), c.attribute("detect_negative", 1)
    if positive and negative:
        return f"ops.isinf({x.tensor})"
    return binary(x.tensor, "==", Code('float("inf")' if positive else 'float("-inf")'))


@translates("BitwiseAnd", "BitwiseOr", "BitwiseXor")
def bitwise(c: Call, left: Operand, right: Operand) -> str:
    """The function of the same name."""
    name = c.node.op_type.removeprefix("Bitwise").lower()
    return f"ops.bitwise_{name}({left.tensor}, {right.tensor})"


@translates("BitwiseNot")
def bitwise_not(c: Call, x: Operand) -> Code:
    """``-1 - x`` in two's complement."""
    return binary(unary("-", x.tensor), "-", Code("1"))
