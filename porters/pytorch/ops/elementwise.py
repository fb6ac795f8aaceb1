"""Elementwise operators: arithmetic, comparison, logic, activations that are one ONNX operator, casts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.registry import Context, Dim, translates

# ATen name -> ONNX operator, one operand, floating-point result.
_UNARY_FLOAT = {
    "sqrt": "Sqrt", "exp": "Exp", "log": "Log", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin",
    "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh",
    "atanh": "Atanh", "tanh": "Tanh", "sigmoid": "Sigmoid", "erf": "Erf", "special_erf": "Erf",
    "special_expit": "Sigmoid", "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan", "arcsinh": "Asinh",
    "arccosh": "Acosh", "arctanh": "Atanh",
}  # fmt: skip
# The dtype of the operand stays.
_UNARY_SAME = {"neg": "Neg", "negative": "Neg", "abs": "Abs", "absolute": "Abs", "sign": "Sign", "sgn": "Sign"}
_UNARY_ROUNDING = {"ceil": "Ceil", "floor": "Floor", "round": "Round"}
_COMPARISONS = {
    "eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual", "less": "Less",
    "less_equal": "LessOrEqual", "greater": "Greater", "greater_equal": "GreaterOrEqual",
}  # fmt: skip
_LOGIC = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}
_BITWISE = {
    "bitwise_and": ("And", "BitwiseAnd"), "bitwise_or": ("Or", "BitwiseOr"), "bitwise_xor": ("Xor", "BitwiseXor"),
    "__and__": ("And", "BitwiseAnd"), "__or__": ("Or", "BitwiseOr"), "__xor__": ("Xor", "BitwiseXor"),
}  # fmt: skip


def _register_unary() -> None:
    def make(op_type: str, cast: bool) -> Callable[..., ir.Value]:
        def translator(c: Context, x: ir.Value) -> ir.Value:
            return c.op(op_type, c.cast(x, c.dtype) if cast else x)

        return translator

    for name, op_type in _UNARY_FLOAT.items():
        translates(f"aten.{name}")(make(op_type, cast=True))
    for name, op_type in _UNARY_SAME.items():
        translates(f"aten.{name}.default")(make(op_type, cast=False))


def _register_rounding() -> None:
    def make(op_type: str) -> Callable[..., ir.Value]:
        def translator(c: Context, x: ir.Value) -> ir.Value:
            return c.op(op_type, x) if x.dtype in dtypes.FLOATS else x

        return translator

    for name, op_type in _UNARY_ROUNDING.items():
        translates(f"aten.{name}.default")(make(op_type))


def _register_comparisons() -> None:
    def make(op_type: str) -> Callable[..., ir.Value]:
        def translator(c: Context, a: ir.Value, b: Any) -> ir.Value:
            left, right = c.promote(a, b)
            if left.dtype == ir.DataType.BOOL and op_type != "Equal":
                left, right = c.cast(left, ir.DataType.INT32), c.cast(right, ir.DataType.INT32)
            return c.op(op_type, left, right)

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


_register_unary()
_register_rounding()
_register_comparisons()
_register_logic()


@translates("aten.ne", "aten.not_equal")
def ne(c: Context, a: ir.Value, b: Any) -> ir.Value:
    """Not(Equal): ONNX has no NotEqual."""
    left, right = c.promote(a, b)
    return c.op("Not", c.op("Equal", left, right))


@translates("aten.logical_not", "aten.bitwise_not")
def invert(c: Context, x: ir.Value) -> ir.Value:
    """Not for bool, BitwiseNot for integers."""
    if c.dtype == ir.DataType.BOOL:
        return c.op("Not", c.cast(x, ir.DataType.BOOL))
    return c.op("BitwiseNot", x)


def _operands(c: Context, a: Any, b: Any) -> tuple[ir.Value, ir.Value]:
    """Both operands in the dtype of the result, which torch has worked out."""
    return tuple(c.cast(x, c.dtype) if isinstance(x, ir.Value) else c.scalar(x, c.dtype) for x in (a, b))  # type: ignore[return-value]


def _scaled(c: Context, value: ir.Value, alpha: Any) -> ir.Value:
    return value if alpha == 1 else c.op("Mul", value, c.scalar(alpha, c.dtype))


def _is_number(item: Any, number: float) -> bool:
    return isinstance(item, (int, float)) and not isinstance(item, bool) and item == number


@translates("aten.add")
def add(c: Context, a: Any, b: Any, *, alpha: Any = 1) -> ir.Value:
    """A + alpha * b; adding a plain zero is the identity."""
    if _is_number(b, 0) and isinstance(a, ir.Value) and a.dtype == c.dtype:
        return a
    left, right = _operands(c, a, b)
    if c.dtype == ir.DataType.BOOL:
        return c.op("Or", left, right)
    return c.op("Add", left, _scaled(c, right, alpha))


@translates("aten.sub", "aten.subtract")
def sub(c: Context, a: Any, b: Any, *, alpha: Any = 1) -> ir.Value:
    """A - alpha * b."""
    left, right = _operands(c, a, b)
    return c.op("Sub", left, _scaled(c, right, alpha))


@translates("aten.rsub")
def rsub(c: Context, a: ir.Value, b: Any, alpha: Any = 1) -> ir.Value:
    """B - alpha * a."""
    left, right = _operands(c, a, b)
    return c.op("Sub", right, _scaled(c, left, alpha))


@translates("aten.mul", "aten.multiply")
def mul(c: Context, a: Any, b: Any) -> ir.Value:
    """A * b; And for bool."""
    left, right = _operands(c, a, b)
    return c.op("And" if c.dtype == ir.DataType.BOOL else "Mul", left, right)


@translates("aten.div", "aten.divide", "aten.true_divide")
def div(c: Context, a: Any, b: Any, *, rounding_mode: str | None = None) -> ir.Value:
    """A / b, with torch's rounding modes ``trunc`` and ``floor``."""
    left, right = _operands(c, a, b)
    if rounding_mode is None:
        return c.op("Div", left, right)
    if rounding_mode == "floor":
        return _floor_div(c, left, right)
    quotient = c.op("Div", left, right)  # integers: ONNX truncates, as asked
    if c.dtype not in dtypes.FLOATS:
        return quotient
    return c.op("Mul", c.op("Sign", quotient), c.op("Floor", c.op("Abs", quotient)))


@translates("aten.floor_divide")
def floor_divide(c: Context, a: Any, b: Any) -> ir.Value:
    """Floor(a / b)."""
    left, right = _operands(c, a, b)
    return _floor_div(c, left, right)


def _floor_div(c: Context, left: ir.Value, right: ir.Value) -> ir.Value:
    if c.dtype in dtypes.FLOATS:
        return c.op("Floor", c.op("Div", left, right))
    # ONNX divides integers towards zero: (a - mod(a, b)) / b is exact and rounds down, for every sign.
    return c.op("Div", c.op("Sub", left, c.op("Mod", left, right)), right)


@translates("aten.remainder")
def remainder(c: Context, a: Any, b: Any) -> ir.Value:
    """Python's modulo: the sign of the divisor."""
    left, right = _operands(c, a, b)
    if c.dtype in dtypes.FLOATS:
        return c.op("Sub", left, c.op("Mul", c.op("Floor", c.op("Div", left, right)), right))
    return c.op("Mod", left, right)


@translates("aten.fmod")
def fmod(c: Context, a: Any, b: Any) -> ir.Value:
    """C's fmod: the sign of the dividend."""
    left, right = _operands(c, a, b)
    return c.op("Mod", left, right, fmod=1)


@translates("aten.pow")
def pow_(c: Context, a: Any, b: Any) -> ir.Value:
    """A ** b; squares and roots as the cheaper operators they are."""
    if _is_number(b, 2) and isinstance(a, ir.Value):
        base = c.cast(a, c.dtype)
        return c.op("Mul", base, base)
    if _is_number(b, 0.5) and isinstance(a, ir.Value):
        return c.op("Sqrt", c.cast(a, c.dtype))
    if _is_number(b, 1) and isinstance(a, ir.Value):
        return c.cast(a, c.dtype)
    left, right = _operands(c, a, b)
    return c.op("Pow", left, right)


@translates("aten.square")
def square(c: Context, x: ir.Value) -> ir.Value:
    """X * x."""
    return c.op("Mul", x, x)


@translates("aten.rsqrt")
def rsqrt(c: Context, x: ir.Value) -> ir.Value:
    """1 / sqrt(x)."""
    return c.op("Reciprocal", c.op("Sqrt", c.cast(x, c.dtype)))


@translates("aten.reciprocal")
def reciprocal(c: Context, x: ir.Value) -> ir.Value:
    """1 / x."""
    return c.op("Reciprocal", c.cast(x, c.dtype))


@translates("aten.exp2", "aten.special_exp2")
def exp2(c: Context, x: ir.Value) -> ir.Value:
    """2 ** x."""
    return c.op("Pow", c.const(2.0, c.dtype), c.cast(x, c.dtype))


@translates("aten.log2")
def log2(c: Context, x: ir.Value) -> ir.Value:
    """log(x) / log(2)."""
    return c.op("Div", c.op("Log", c.cast(x, c.dtype)), c.const(math.log(2), c.dtype))


@translates("aten.log10")
def log10(c: Context, x: ir.Value) -> ir.Value:
    """log(x) / log(10)."""
    return c.op("Div", c.op("Log", c.cast(x, c.dtype)), c.const(math.log(10), c.dtype))


@translates("aten.minimum", "aten.min.other", "aten.fmin")
def minimum(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """Elementwise minimum."""
    return c.op("Min", *_operands(c, a, b))


@translates("aten.maximum", "aten.max.other", "aten.fmax")
def maximum(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """Elementwise maximum."""
    return c.op("Max", *_operands(c, a, b))


@translates("aten.clamp", "aten.clip")
def clamp(c: Context, x: ir.Value, low: Any = None, high: Any = None, *, min: Any = None, max: Any = None) -> ir.Value:  # noqa: A002
    """Clip by scalars; Max and Min where a bound is a tensor."""
    low, high = (min if low is None else low), (max if high is None else high)
    x = c.cast(x, c.dtype)
    tensors = any(isinstance(bound, ir.Value) and c.rank(bound) > 0 for bound in (low, high))
    bounds = [
        None if bound is None else c.cast(bound, c.dtype) if isinstance(bound, ir.Value) else c.scalar(bound, c.dtype)
        for bound in (low, high)
    ]
    if not tensors:
        return c.op("Clip", x, *bounds)
    raised = x if bounds[0] is None else c.op("Max", x, bounds[0])
    return raised if bounds[1] is None else c.op("Min", raised, bounds[1])


@translates("aten.hardtanh")
def hardtanh(c: Context, x: ir.Value, low: float = -1.0, high: float = 1.0) -> ir.Value:
    """Clip to [low, high]; relu6 is this with 0 and 6."""
    return c.op("Clip", x, c.scalar(low, c.dtype), c.scalar(high, c.dtype))


@translates("aten.relu6")
def relu6(c: Context, x: ir.Value) -> ir.Value:
    """Clip to [0, 6]."""
    return c.op("Clip", x, c.scalar(0, c.dtype), c.scalar(6, c.dtype))


@translates("aten.clamp_min")
def clamp_min(c: Context, x: ir.Value, low: Any) -> ir.Value:
    """Clip from below."""
    return clamp(c, x, low, None)


@translates("aten.clamp_max")
def clamp_max(c: Context, x: ir.Value, high: Any) -> ir.Value:
    """Clip from above."""
    return clamp(c, x, None, high)


@translates("aten.where.self", "aten.where.ScalarOther", "aten.where.ScalarSelf", "aten.where.Scalar")
def where(c: Context, condition: ir.Value, a: Any, b: Any) -> ir.Value:
    """Where."""
    return c.op("Where", c.cast(condition, ir.DataType.BOOL), *_operands(c, a, b))


@translates("aten.masked_fill")
def masked_fill(c: Context, x: ir.Value, mask: ir.Value, value: Any) -> ir.Value:
    """Where(mask, value, x)."""
    filler = c.cast(value, c.dtype) if isinstance(value, ir.Value) else c.scalar(value, c.dtype)
    return c.op("Where", mask, filler, c.cast(x, c.dtype))


@translates("aten.isnan")
def isnan(c: Context, x: ir.Value) -> ir.Value:
    """IsNaN; integers are never NaN."""
    return c.op("IsNaN", x if x.dtype in dtypes.FLOATS else c.cast(x, ir.DataType.FLOAT))


@translates("aten.isinf")
def isinf(c: Context, x: ir.Value) -> ir.Value:
    """IsInf."""
    return c.op("IsInf", c.cast(x, ir.DataType.FLOAT) if x.dtype != ir.DataType.DOUBLE else x)


@translates("aten._to_copy", "aten.to", "aten.type_as", "aten.contiguous", "aten.clone", "aten.detach", "aten.alias",
            "aten.lift_fresh_copy", "aten.lift", "aten.positive", "aten.dropout", "aten.alpha_dropout",
            "aten.feature_dropout", "aten.detach_copy", "aten.lift_fresh", "aten.resolve_conj", "aten.resolve_neg",
            "aten.float", "aten.pin_memory", "aten.cpu", "aten.native_dropout_eval")  # fmt: skip
def identity(c: Context, x: ir.Value, *_: Any, **__: Any) -> ir.Value:
    """What changes memory, device or dtype only: a Cast, or nothing. Dropout in inference is nothing."""
    return c.cast(x, c.dtype)


@translates("aten.copy", "aten.copy_")
def copy(c: Context, x: ir.Value, source: ir.Value, *_: Any) -> ir.Value:
    """The source, broadcast to the shape of ``x``."""
    value = c.cast(source, c.dtype)
    if c.sizes_of(source) == c.shape:
        return value
    return c.op("Expand", value, c.vector(c.shape))


@translates("aten.fill", "aten.fill_")
def fill(c: Context, x: ir.Value, value: Any) -> Any:
    """A constant of the shape of ``x``."""
    filler = c.cast(value, c.dtype) if isinstance(value, ir.Value) else c.scalar(value, c.dtype)
    return c.op("Expand", filler, c.vector(c.shape))


@translates("aten.item", "aten._local_scalar_dense")
def item(c: Context, x: ir.Value) -> ir.Value:
    """The one element as a scalar."""
    return c.cast(c.op("Reshape", x, c.const([], ir.DataType.INT64), shape=[]), ir.DataType.INT64)


@translates("aten.relu")
def relu(c: Context, x: ir.Value) -> ir.Value:
    """Relu."""
    return c.op("Relu", x)


@translates("aten.scalar_tensor")
def scalar_tensor(c: Context, number: Any, **_: Any) -> ir.Value:
    """A size as a tensor."""
    return c.scalar(number, c.dtype) if not isinstance(number, Dim) else c.cast(number.value, c.dtype)
