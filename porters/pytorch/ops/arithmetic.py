"""Arithmetic: sums, products, quotients with torch's rounding, powers, roots, extrema."""

from __future__ import annotations

import math
from typing import Any

import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.ops.shared import SMALL_INTEGERS, alike, cast, computable, is_number, number, operands
from porters.pytorch.registry import Context, translates


def arithmetic(c: Context, op_type: str, left: ir.Value, right: ir.Value, **attributes: Any) -> ir.Value:
    """Emit a binary operator on operands in the result's dtype."""
    if c.dtype in SMALL_INTEGERS:
        return c.cast(c.op(op_type, computable(c, left), computable(c, right), **attributes), c.dtype)
    return c.op(op_type, left, right, **attributes)


def _scaled(c: Context, value: ir.Value, alpha: Any) -> ir.Value:
    return value if is_number(alpha, 1) else arithmetic(c, "Mul", value, number(c, alpha, c.dtype))


@translates("aten.add")
def add(c: Context, a: Any, b: Any, *, alpha: Any = 1) -> ir.Value:
    """A + alpha * b; adding a plain zero is the identity."""
    if is_number(b, 0) and isinstance(a, ir.Value) and a.dtype == c.dtype:
        return a
    left, right = operands(c, a, b)
    if c.dtype == ir.DataType.BOOL:
        return c.op("Or", left, right) if alpha else left
    return arithmetic(c, "Add", left, _scaled(c, right, alpha))


@translates("aten.sub", "aten.subtract")
def sub(c: Context, a: Any, b: Any, *, alpha: Any = 1) -> ir.Value:
    """A - alpha * b."""
    left, right = operands(c, a, b)
    return arithmetic(c, "Sub", left, _scaled(c, right, alpha))


@translates("aten.rsub")
def rsub(c: Context, a: ir.Value, b: Any, alpha: Any = 1) -> ir.Value:
    """B - alpha * a."""
    left, right = operands(c, a, b)
    return arithmetic(c, "Sub", right, _scaled(c, left, alpha))


@translates("aten.mul", "aten.multiply")
def mul(c: Context, a: Any, b: Any) -> ir.Value:
    """A * b; And for bool."""
    left, right = operands(c, a, b)
    return c.op("And", left, right) if c.dtype == ir.DataType.BOOL else arithmetic(c, "Mul", left, right)


@translates("aten.addcmul")
def addcmul(c: Context, x: ir.Value, a: ir.Value, b: ir.Value, *, value: Any = 1) -> ir.Value:
    """X + value * a * b."""
    base, left, right = operands(c, x, a, b)
    return arithmetic(c, "Add", base, arithmetic(c, "Mul", _scaled(c, left, value), right))


@translates("aten.addcdiv")
def addcdiv(c: Context, x: ir.Value, a: ir.Value, b: ir.Value, *, value: Any = 1) -> ir.Value:
    """X + value * a / b."""
    base, left, right = operands(c, x, a, b)
    return c.op("Add", base, c.op("Div", _scaled(c, left, value), right))


# -- quotients ----------------------------------------------------------------------------------------------------


@translates("aten.div", "aten.divide", "aten.true_divide")
def div(c: Context, a: Any, b: Any, *, rounding_mode: str | None = None) -> ir.Value:
    """A / b, with torch's rounding modes ``trunc`` and ``floor``."""
    left, right = operands(c, a, b)
    if rounding_mode is None:
        return c.op("Div", left, right)
    if rounding_mode == "floor":
        return floored(c, left, right, b)
    quotient = arithmetic(c, "Div", left, right)  # integers: ONNX truncates, as asked
    return truncated(c, quotient) if c.dtype in dtypes.FLOATS else quotient


@translates("aten.floor_divide")
def floor_divide(c: Context, a: Any, b: Any) -> ir.Value:
    """Floor(a / b)."""
    left, right = operands(c, a, b)
    return floored(c, left, right, b)


def truncated(c: Context, x: ir.Value) -> ir.Value:
    """Round towards zero."""
    return c.op("Mul", c.op("Sign", x), c.op("Floor", c.op("Abs", x)))


def floored(c: Context, left: ir.Value, right: ir.Value, divisor: Any) -> ir.Value:
    """Return floor(left / right); ``divisor`` is the right side as torch has it."""
    if c.dtype not in dtypes.FLOATS:
        # ONNX divides integers towards zero: (a - mod(a, b)) / b is exact and rounds down, for every sign.
        left, right = computable(c, left), computable(c, right)
        return c.cast(c.op("Div", c.op("Sub", left, c.op("Mod", left, right)), right), c.dtype)
    if isinstance(divisor, (int, float)) and divisor and abs(math.frexp(divisor)[0]) == 0.5:
        return c.op("Floor", c.op("Div", left, right))  # a power of two: the quotient is exact
    return _floored_exactly(c, left, right)


def _floored_exactly(c: Context, left: ir.Value, right: ir.Value) -> ir.Value:
    # torch's algorithm (and Python's): floor(1.0 / 0.1) would be 10, where 1.0 // 0.1 is 9.
    rest = c.op("Mod", left, right, fmod=1)
    whole = c.op("Div", c.op("Sub", left, rest), right)
    lower = c.op("Sub", whole, c.cast(_signs_differ(c, rest, right), c.dtype))
    down = c.op("Floor", lower)
    nearest = c.op("Add", down, c.cast(c.op("Greater", c.op("Sub", lower, down), 0.5), c.dtype))
    return c.op("Where", c.op("Equal", right, 0), c.op("Div", left, right), nearest)


def _signs_differ(c: Context, rest: ir.Value, divisor: ir.Value) -> ir.Value:
    return c.op("Less", c.op("Mul", c.op("Sign", rest), c.op("Sign", divisor)), 0)


@translates("aten.remainder")
def remainder(c: Context, a: Any, b: Any) -> ir.Value:
    """Python's modulo: the sign of the divisor."""
    left, right = operands(c, a, b)
    if c.dtype not in dtypes.FLOATS:
        return arithmetic(c, "Mod", left, right)
    # a - floor(a / b) * b would lose the digits that make up the rest; fmod is exact.
    rest = c.op("Mod", left, right, fmod=1)
    return c.op("Where", _signs_differ(c, rest, right), c.op("Add", rest, right), rest)


@translates("aten.fmod")
def fmod(c: Context, a: Any, b: Any) -> ir.Value:
    """C's fmod: the sign of the dividend."""
    left, right = operands(c, a, b)
    return arithmetic(c, "Mod", left, right, fmod=1)


# -- powers -------------------------------------------------------------------------------------------------------


@translates("aten.pow", "aten.float_power")
def pow_(c: Context, a: Any, b: Any) -> ir.Value:
    """A ** b; squares, cubes and roots as the cheaper operators they are."""
    left, right = operands(c, a, b)
    if is_number(b, 2):
        return arithmetic(c, "Mul", left, left)
    if is_number(b, 3):
        return arithmetic(c, "Mul", arithmetic(c, "Mul", left, left), left)
    if is_number(b, 0.5):
        return c.op("Sqrt", left)
    if is_number(b, -1) and c.dtype in dtypes.FLOATS:
        return c.op("Reciprocal", left)
    if is_number(b, 1):
        return left
    if c.dtype not in dtypes.FLOATS and not (isinstance(a, int) and a > 0 and a & (a - 1) == 0):
        raise NotImplementedError("a power of integers: runtimes compute it in floating point")
    return arithmetic(c, "Pow", left, right)


@translates("aten.square")
def square(c: Context, x: ir.Value) -> ir.Value:
    """X * x."""
    return arithmetic(c, "Mul", *operands(c, x, x))


@translates("aten.rsqrt")
def rsqrt(c: Context, x: ir.Value) -> ir.Value:
    """1 / sqrt(x)."""
    return c.op("Reciprocal", c.op("Sqrt", cast(c, x, c.dtype)))


@translates("aten.reciprocal")
def reciprocal(c: Context, x: ir.Value) -> ir.Value:
    """1 / x."""
    return c.op("Reciprocal", cast(c, x, c.dtype))


@translates("aten.hypot")
def hypot(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """Sqrt(a^2 + b^2), scaled by the larger one so that the squares neither overflow nor vanish."""
    left, right = (c.op("Abs", item) for item in operands(c, a, b))
    large, small = c.op("Max", left, right), c.op("Min", left, right)
    plain = c.op("Or", c.op("Equal", large, 0), c.op("IsInf", large))
    ratio = c.op("Div", small, c.op("Where", plain, c.const(1, c.dtype), large))
    length = c.op("Mul", large, c.op("Sqrt", c.op("Add", c.op("Mul", ratio, ratio), 1)))
    return c.op("Where", plain, large, length)


@translates("aten.ldexp")
def ldexp(c: Context, x: ir.Value, exponent: Any) -> ir.Value:
    """X * 2 ** exponent."""
    left, right = operands(c, x, exponent)
    return c.op("Mul", left, c.op("Pow", c.const(2, c.dtype), right))


# -- extrema ------------------------------------------------------------------------------------------------------


@translates("aten.minimum", "aten.min.other")
def minimum(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """Elementwise minimum."""
    return extremum(c, "Min", *operands(c, a, b))


@translates("aten.maximum", "aten.max.other")
def maximum(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """Elementwise maximum."""
    return extremum(c, "Max", *operands(c, a, b))


def extremum(c: Context, op_type: str, left: ir.Value, right: ir.Value) -> ir.Value:
    """Emit Min or Max; Boolean operands as integers."""
    if c.dtype == ir.DataType.BOOL:
        return c.op("And" if op_type == "Min" else "Or", left, right)
    return arithmetic(c, op_type, left, right)


@translates("aten.fmin")
def fmin(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """Elementwise minimum that passes over NaN."""
    return _ignoring_nan(c, "Min", a, b)


@translates("aten.fmax")
def fmax(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """Elementwise maximum that passes over NaN."""
    return _ignoring_nan(c, "Max", a, b)


def _ignoring_nan(c: Context, op_type: str, a: ir.Value, b: ir.Value) -> ir.Value:
    left, right = operands(c, a, b)
    best = extremum(c, op_type, left, right)
    if c.dtype not in dtypes.FLOATS:
        return best
    return c.op("Where", c.op("IsNaN", left), right, c.op("Where", c.op("IsNaN", right), left, best))


@translates("aten.clamp", "aten.clip")
def clamp(c: Context, x: ir.Value, low: Any = None, high: Any = None, *, min: Any = None, max: Any = None) -> ir.Value:  # noqa: A002
    """Clip by scalars; Max and Min where a bound is a tensor."""
    return clamped(c, x, min if low is None else low, max if high is None else high)


def clamped(c: Context, x: ir.Value, low: Any, high: Any) -> ir.Value:
    """Return ``x`` between two bounds, each a number, a tensor or absent."""
    x = cast(c, x, c.dtype)
    tensors = any(isinstance(bound, ir.Value) and c.rank(bound) > 0 for bound in (low, high))
    bounds = [None if bound is None else number(c, bound, c.dtype) for bound in (low, high)]
    if not tensors and c.dtype not in (*SMALL_INTEGERS, ir.DataType.BOOL):
        return c.op("Clip", x, *bounds)
    raised = x if bounds[0] is None else extremum(c, "Max", x, bounds[0])
    return raised if bounds[1] is None else extremum(c, "Min", raised, bounds[1])


@translates("aten.clamp_min")
def clamp_min(c: Context, x: ir.Value, low: Any) -> ir.Value:
    """Clip from below."""
    return clamped(c, x, low, None)


@translates("aten.clamp_max")
def clamp_max(c: Context, x: ir.Value, high: Any) -> ir.Value:
    """Clip from above."""
    return clamped(c, x, None, high)


@translates("aten.lerp")
def lerp(c: Context, start: ir.Value, end: ir.Value, weight: Any) -> ir.Value:
    """Start + weight * (end - start), taken from the nearer end as torch does."""
    first, last, share = operands(c, start, end, weight)
    span = c.op("Sub", last, first)
    near = c.op("Add", first, c.op("Mul", share, span))
    far = c.op("Sub", last, c.op("Mul", span, c.op("Sub", c.const(1, c.dtype), share)))
    if isinstance(weight, (int, float)):
        return near if abs(weight) < 0.5 else far
    return c.op("Where", c.op("Less", alike(c, "Abs", share), 0.5), near, far)
