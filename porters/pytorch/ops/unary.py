"""Functions of one number: roots, exponentials, logarithms, trigonometry, rounding, the error function."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.ops.arithmetic import arithmetic, truncated
from porters.pytorch.ops.logic import negative
from porters.pytorch.ops.shared import cast, computable, operands
from porters.pytorch.registry import Context, translates

# ATen name -> ONNX operator, one operand, floating-point result.
_FLOAT = {
    "sqrt": "Sqrt", "exp": "Exp", "log": "Log", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin",
    "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh",
    "atanh": "Atanh", "tanh": "Tanh", "sigmoid": "Sigmoid", "erf": "Erf", "special_erf": "Erf",
    "special_expit": "Sigmoid", "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan", "arcsinh": "Asinh",
    "arccosh": "Acosh", "arctanh": "Atanh",
}  # fmt: skip
# The dtype of the operand stays.
_SAME = {"neg": "Neg", "negative": "Neg", "abs": "Abs", "absolute": "Abs", "sign": "Sign", "sgn": "Sign"}
_ROUNDING = {"ceil": "Ceil", "floor": "Floor", "round": "Round"}


def _register() -> None:
    def floating(op_type: str) -> Callable[..., ir.Value]:
        def translator(c: Context, x: ir.Value) -> ir.Value:
            return c.op(op_type, c.cast(x, c.dtype))

        return translator

    def same(op_type: str) -> Callable[..., ir.Value]:
        def translator(c: Context, x: ir.Value) -> ir.Value:
            return x if x.dtype == ir.DataType.BOOL else c.cast(c.op(op_type, computable(c, x)), c.dtype)

        return translator

    def rounding(op_type: str) -> Callable[..., ir.Value]:
        def translator(c: Context, x: ir.Value) -> ir.Value:
            return c.op(op_type, x) if x.dtype in dtypes.FLOATS else x

        return translator

    for table, make, suffix in ((_FLOAT, floating, ""), (_SAME, same, ".default"), (_ROUNDING, rounding, ".default")):
        for name, op_type in table.items():
            translates(f"aten.{name}{suffix}")(make(op_type))


_register()


@translates("aten.round.decimals")
def round_decimals(c: Context, x: ir.Value, *, decimals: int = 0) -> ir.Value:
    """Round to a number of decimals; negative ones round to tens, hundreds ..."""
    if x.dtype not in dtypes.FLOATS:
        raise NotImplementedError("decimals of integers")
    scale = c.const(10.0 ** abs(decimals), c.dtype)
    there, back = ("Mul", "Div") if decimals > 0 else ("Div", "Mul")
    return c.op(back, c.op("Round", c.op(there, x, scale)), scale)


@translates("aten.trunc", "aten.fix")
def trunc(c: Context, x: ir.Value) -> ir.Value:
    """Towards zero."""
    return truncated(c, x) if x.dtype in dtypes.FLOATS else x


@translates("aten.frac")
def frac(c: Context, x: ir.Value) -> ir.Value:
    """What is behind the point, with the number's sign."""
    return c.op("Sub", x, truncated(c, x))


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


@translates("aten.log1p", "aten.special_log1p")
def log1p(c: Context, x: ir.Value) -> ir.Value:
    """log(1 + x), Kahan's way: the error of 1 + x is made good by the quotient."""
    x = cast(c, x, c.dtype)
    shifted = c.op("Add", x, 1)
    rest = c.op("Sub", shifted, 1)
    plain = c.op("Or", c.op("Equal", rest, 0), c.op("IsInf", shifted))
    quotient = c.op("Div", c.op("Mul", c.op("Log", shifted), x), c.op("Where", plain, c.const(1, c.dtype), rest))
    return c.op("Where", plain, x, quotient)


@translates("aten.expm1", "aten.special_expm1")
def expm1(c: Context, x: ir.Value) -> ir.Value:
    """exp(x) - 1 as tanh(x / 2) * (exp(x) + 1), which loses no digits near zero."""
    x = cast(c, x, c.dtype)
    return c.op("Mul", c.op("Tanh", c.op("Mul", x, 0.5)), c.op("Add", c.op("Exp", x), 1))


# Chebyshev's fit of log(erfc(z) * exp(z^2) / t), t = 1 / (1 + z / 2): Numerical Recipes, erfcc; relative error 1.2e-7.
_ERFC = (
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
)  # fmt: skip


@translates("aten.erfc", "aten.special_erfc")
def erfc(c: Context, x: ir.Value) -> ir.Value:
    """1 - erf(x), and a fit of its own for the tail that 1 - erf(x) rounds to zero."""
    if c.dtype == ir.DataType.DOUBLE:
        raise NotImplementedError("erfc in float64")
    x = cast(c, x, c.dtype)
    double = ir.DataType.DOUBLE  # exp(-z^2) would multiply a float32 rounding error by z^2
    z = c.op("Max", c.cast(x, double), 0.0)
    t = c.op("Reciprocal", c.op("Add", c.op("Mul", z, 0.5), 1))
    fit = _polynomial(c, _ERFC[::-1], t)
    tail = c.op("Mul", t, c.op("Exp", c.op("Sub", fit, c.op("Mul", z, z))))
    near = c.op("Sub", c.const(1, c.dtype), c.op("Erf", x))
    return c.op("Where", c.op("Less", x, 0.5), near, c.cast(tail, c.dtype))


# Starting values of erfinv, in the middle (|x| <= 0.7) and towards the ends; torch's own (calc_erfinv).
_ERFINV_MIDDLE = ((-0.140543331, 0.914624893, -1.645349621, 0.886226899),
                  (0.012229801, -0.329097515, 1.442710462, -2.118377725, 1.0))  # fmt: skip
_ERFINV_ENDS = ((1.641345311, 3.429567803, -1.624906493, -1.970840454), (1.637067800, 3.543889200, 1.0))


@translates("aten.erfinv", "aten.special_erfinv")
def erfinv(c: Context, x: ir.Value) -> ir.Value:
    """A quotient of polynomials and two of Newton's steps, as torch does it."""
    if c.dtype != ir.DataType.FLOAT:
        raise NotImplementedError("erfinv in another dtype than float32")
    x = cast(c, x, c.dtype)
    size, square = c.op("Abs", x), c.op("Mul", x, x)
    middle = c.op("Mul", x, c.op("Div", *(_polynomial(c, row, square) for row in _ERFINV_MIDDLE)))
    half = c.op("Mul", c.op("Sub", c.const(1, c.dtype), size), 0.5)
    depth = c.op("Sqrt", c.op("Neg", c.op("Log", half)))
    ends = c.op("Mul", c.op("Sign", x), c.op("Div", *(_polynomial(c, row, depth) for row in _ERFINV_ENDS)))
    y = c.op("Where", c.op("LessOrEqual", size, 0.7), middle, ends)
    for _ in range(2):
        slope = c.op("Mul", c.op("Exp", c.op("Neg", c.op("Mul", y, y))), 2 / math.sqrt(math.pi))
        y = c.op("Sub", y, c.op("Div", c.op("Sub", c.op("Erf", y), x), slope))
    infinite = c.op("Mul", x, c.const(float("inf"), c.dtype))
    return c.op("Where", c.op("Equal", size, 1.0), infinite, y)


def _polynomial(c: Context, coefficients: Sequence[float], x: ir.Value) -> ir.Value:
    """Return the polynomial with the highest coefficient first."""
    dtype = x.dtype or c.dtype
    result = c.const(coefficients[0], dtype)
    for coefficient in coefficients[1:]:
        result = c.op("Add", c.op("Mul", result, x), c.const(coefficient, dtype))
    return result


@translates("aten.atan2", "aten.arctan2")
def atan2(c: Context, y: ir.Value, x: ir.Value) -> ir.Value:
    """The angle of (x, y): atan(y / x), turned by pi where x is negative."""
    y, x = operands(c, y, x)
    origin = c.op("And", c.op("Equal", x, 0), c.op("Equal", y, 0))
    angle = c.op("Where", origin, c.const(0, c.dtype), c.op("Atan", c.op("Div", y, x)))
    half_turn = c.op("Where", negative(c, y), c.const(-math.pi, c.dtype), c.const(math.pi, c.dtype))
    return c.op("Where", negative(c, x), c.op("Add", angle, half_turn), angle)


@translates("aten.angle")
def angle_(c: Context, x: ir.Value) -> ir.Value:
    """Pi for negative numbers, zero for others; NaN stays."""
    data = cast(c, x, c.dtype)
    turned = c.op("Where", c.op("Less", data, 0), c.const(math.pi, c.dtype), c.const(0, c.dtype))
    return c.op("Where", c.op("IsNaN", data), data, turned)


@translates("aten.logit", "aten.special_logit")
def logit(c: Context, x: ir.Value, eps: float | None = None) -> ir.Value:
    """log(x / (1 - x)), x kept off 0 and 1 by ``eps``."""
    x = cast(c, x, c.dtype)
    if eps is not None:
        x = c.op("Clip", x, c.const(eps, c.dtype), c.const(1 - eps, c.dtype))
    return c.op("Log", c.op("Div", x, c.op("Sub", c.const(1, c.dtype), x)))


@translates("aten.nan_to_num")
def nan_to_num(
    c: Context, x: ir.Value, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> ir.Value:
    """Numbers in place of NaN and infinities: zero and the dtype's limits unless told."""
    import torch

    if x.dtype not in dtypes.FLOATS:
        return x
    limits = torch.finfo(dtypes.to_torch(c.dtype))
    high = c.const(limits.max if posinf is None else posinf, c.dtype)
    low = c.const(limits.min if neginf is None else neginf, c.dtype)
    finite = c.op("Where", c.op("IsNaN", x), c.const(0.0 if nan is None else nan, c.dtype), x)
    finite = c.op("Where", c.op("IsInf", x, detect_negative=0), high, finite)
    return c.op("Where", c.op("IsInf", x, detect_positive=0), low, finite)


@translates("aten.deg2rad")
def deg2rad(c: Context, x: ir.Value) -> ir.Value:
    """X * pi / 180."""
    return arithmetic(c, "Mul", cast(c, x, c.dtype), c.const(math.pi / 180, c.dtype))
