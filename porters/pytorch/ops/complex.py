"""Arithmetic of complex numbers, and the ways between them and real ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir

from porters.pytorch.complex_numbers import ComplexContext, ComplexValue, pair, split
from porters.pytorch.ops.shared import cast, known
from porters.pytorch.ops.unary import atan2
from porters.pytorch.registry import Context, translates_complex

Operand = Any


def parts(c: Context, item: Operand) -> tuple[ir.Value, ir.Value | None]:
    """Return an operand's parts in the dtype of the result; a real one has no imaginary part (None)."""
    if isinstance(item, ComplexValue):
        return cast(c, item.real, c.dtype), cast(c, item.imag, c.dtype)
    if isinstance(item, complex):
        return c.const(item.real, c.dtype), c.const(item.imag, c.dtype) if item.imag else None
    if isinstance(item, ir.Value):
        return cast(c, item, c.dtype), None
    return c.scalar(item, c.dtype), None


def _sized(c: Context, real: ir.Value, imag: ir.Value | None) -> ComplexValue:
    """Return a result; a part that lacks axes (a constant, a zero) is broadcast."""
    if imag is None:
        imag = c.const(0, c.dtype)
    whole = []
    for item in (real, imag):
        short = item.shape is not None and c.sizes_of(item) != c.shape
        whole.append(known(c, c.op("Expand", item, c.vector(c.shape)) if short else item, c.shape))
    return ComplexValue(*whole)


def times(c: Context, a: tuple[Any, Any], b: tuple[Any, Any], multiply: Callable[..., ir.Value]) -> tuple[Any, Any]:
    """Return the parts of a product, for any bilinear ``multiply``; absent parts are zero."""
    (x, y), (u, v) = a, b
    real, imag = multiply(x, u), None
    if y is not None and v is not None:
        real = c.op("Sub", real, multiply(y, v))
    for one, other in ((x, v), (y, u)):
        if one is not None and other is not None:
            term = multiply(one, other)
            imag = term if imag is None else c.op("Add", imag, term)
    return real, imag


def mul_parts(c: Context, a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the parts of an elementwise product."""
    return times(c, a, b, lambda x, y: c.op("Mul", x, y))


@translates_complex("aten.mul", "aten.multiply")
def mul(c: Context, a: Operand, b: Operand) -> ComplexValue:
    """(x + iy)(u + iv)."""
    return _sized(c, *mul_parts(c, parts(c, a), parts(c, b)))


@translates_complex("aten.div.Tensor", "aten.div.Scalar", "aten.true_divide", "aten.divide.Tensor")
def div(c: Context, a: Operand, b: Operand) -> ComplexValue:
    """By the conjugate over the squared modulus; parts first divided by the larger one, so that nothing overflows."""
    x, (u, v) = parts(c, a), parts(c, b)
    if v is None:
        real, imag = (None if item is None else c.op("Div", item, u) for item in x)
        assert real is not None
        return _sized(c, real, imag)
    scale = c.op("Max", c.op("Abs", u), c.op("Abs", v))
    p, q = c.op("Div", u, scale), c.op("Div", v, scale)
    length = c.op("Mul", c.op("Add", c.op("Mul", p, p), c.op("Mul", q, q)), scale)
    real, imag = mul_parts(c, x, (p, c.op("Neg", q)))
    return _sized(c, c.op("Div", real, length), c.op("Div", imag, length))


@translates_complex("aten.reciprocal")
def reciprocal(c: Context, x: ComplexValue) -> ComplexValue:
    """One divided by it."""
    result: ComplexValue = div(c, 1.0, x)
    return result


@translates_complex("aten.add.Tensor", "aten.add.Scalar")
def add(c: Context, a: Operand, b: Operand, *, alpha: Any = 1) -> ComplexValue:
    """Part by part."""
    return _sum(c, "Add", a, b, alpha)


@translates_complex("aten.sub.Tensor", "aten.sub.Scalar", "aten.subtract")
def sub(c: Context, a: Operand, b: Operand, *, alpha: Any = 1) -> ComplexValue:
    """Part by part."""
    return _sum(c, "Sub", a, b, alpha)


@translates_complex("aten.rsub")
def rsub(c: Context, a: Operand, b: Operand, *, alpha: Any = 1) -> ComplexValue:
    """The other way round."""
    if alpha != 1:
        a = _sized(c, *mul_parts(c, parts(c, a), parts(c, alpha)))
    return _sum(c, "Sub", b, a, 1)


def _sum(c: Context, op_type: str, a: Operand, b: Operand, alpha: Any) -> ComplexValue:
    (x, y), other = parts(c, a), parts(c, b)
    u, v = other if alpha == 1 else mul_parts(c, other, parts(c, alpha))
    if v is not None:
        v = c.op(op_type, c.const(0, c.dtype) if y is None else y, v)
    return _sized(c, c.op(op_type, x, u), y if v is None else v)


@translates_complex("aten.matmul", "aten.mm", "aten.bmm", "aten.mv", "aten.dot")
def matmul(c: Context, a: Operand, b: Operand) -> ComplexValue:
    """Four products of parts."""
    return _sized(c, *times(c, parts(c, a), parts(c, b), lambda x, y: c.op("MatMul", x, y)))


@translates_complex("aten.linear")
def linear(c: Context, x: Operand, weight: Operand, bias: Operand = None) -> ComplexValue:
    """Four products with the transposed weight."""
    turned = tuple(None if item is None else c.op("Transpose", item, perm=[1, 0]) for item in parts(c, weight))
    assert len(turned) == 2
    result = _sized(c, *times(c, parts(c, x), turned, lambda one, other: c.op("MatMul", one, other)))
    return result if bias is None else _sum(c, "Add", result, bias, 1)


# -- between real and complex --------------------------------------------------------------------------------------


@translates_complex("aten.complex")
def complex_(c: Context, real: ir.Value, imag: ir.Value) -> ComplexValue:
    """Out of its parts."""
    return _sized(c, cast(c, real, c.dtype), cast(c, imag, c.dtype))


@translates_complex("aten.polar")
def polar(c: Context, size: ir.Value, angle: ir.Value) -> ComplexValue:
    """Out of modulus and angle."""
    return _sized(c, c.op("Mul", size, c.op("Cos", angle)), c.op("Mul", size, c.op("Sin", angle)))


@translates_complex("aten.view_as_complex", "aten.view_as_complex_copy")
def view_as_complex(c: Context, x: ir.Value) -> ComplexValue:
    """Pairs become numbers."""
    return split(c, x)


@translates_complex("aten.view_as_real", "aten.view_as_real_copy")
def view_as_real(c: Context, x: ComplexValue) -> ir.Value:
    """Numbers become pairs."""
    return pair(c, x)


@translates_complex("aten.real")
def real(c: Context, x: ComplexValue) -> ir.Value:
    """The real part."""
    return x.real


@translates_complex("aten.imag")
def imag(c: Context, x: ComplexValue) -> ir.Value:
    """The imaginary part."""
    return x.imag


@translates_complex("aten._to_copy", "aten.to", "prims.convert_element_type", "aten.type_as")
def to(c: ComplexContext, x: Operand, *_: Any, **__: Any) -> Any:
    """Casts of the parts; a complex number that becomes real loses its imaginary part."""
    real, imag = parts(c, x)
    return _sized(c, real, imag) if c.is_complex else real


@translates_complex("aten.copy")
def copy(c: ComplexContext, _: Operand, source: Operand, *__: Any) -> Any:
    """The source, broadcast; of a complex one the real part where the target is real."""
    real, imag = parts(c, source)
    return _sized(c, real, imag) if c.is_complex else c.op("Expand", real, c.vector(c.shape))


@translates_complex("aten.conj", "aten._conj", "aten.conj_physical", "aten._conj_physical", "aten._conj_copy")
def conj(c: Context, x: ComplexValue) -> ComplexValue:
    """The imaginary part turned round."""
    return ComplexValue(x.real, known(c, c.op("Neg", x.imag), c.shape))


@translates_complex("aten.resolve_conj", "aten.resolve_neg")
def resolved(c: Context, x: ComplexValue) -> ComplexValue:
    """Nothing: conjugates are computed where they stand."""
    return x


@translates_complex("aten.abs")
def modulus(c: Context, x: ComplexValue) -> ir.Value:
    """Hypotenuse of the parts, scaled by the larger one so that the squares stay in range."""
    a, b = c.op("Abs", x.real), c.op("Abs", x.imag)
    high, low = c.op("Max", a, b), c.op("Min", a, b)
    ratio = c.op("Div", low, c.op("Where", c.op("Equal", high, 0.0), c.const(1, c.dtype), high))
    length = c.op("Mul", high, c.op("Sqrt", c.op("Add", c.op("Mul", ratio, ratio), c.const(1, c.dtype))))
    infinite = c.op("Or", c.op("IsInf", a), c.op("IsInf", b))
    return c.op("Where", infinite, c.const(float("inf"), c.dtype), length)


@translates_complex("aten.angle")
def angle(c: Context, x: ComplexValue) -> ir.Value:
    """The angle of the point."""
    result: ir.Value = atan2(c, x.imag, x.real)
    return result


# -- functions -----------------------------------------------------------------------------------------------------


@translates_complex("aten.exp")
def exp(c: Context, x: ComplexValue) -> ComplexValue:
    """The modulus is exp of the real part, the angle the imaginary part."""
    result: ComplexValue = polar(c, c.op("Exp", x.real), x.imag)
    return result


@translates_complex("aten.log")
def log(c: Context, x: ComplexValue) -> ComplexValue:
    """Logarithm of the modulus, and the angle."""
    return _sized(c, c.op("Log", modulus(c, x)), angle(c, x))


@translates_complex("aten.square")
def square(c: Context, x: ComplexValue) -> ComplexValue:
    """The product with itself."""
    result: ComplexValue = mul(c, x, x)
    return result


@translates_complex("aten.pow.Tensor_Scalar")
def power(c: Context, x: ComplexValue, exponent: Any) -> ComplexValue:
    """Repeated products for small whole exponents; others are not translated."""
    if isinstance(exponent, complex) or exponent != int(exponent) or not 1 <= exponent <= 8:
        raise NotImplementedError(f"a complex number to the power of {exponent}")
    result = x
    for _ in range(int(exponent) - 1):
        result = mul(c, result, x)
    return result


@translates_complex("aten.zeros_like", "aten.new_zeros", "aten.zeros", "aten.empty_like", "aten.new_empty")
def zeros(c: Context, *_: Any, **__: Any) -> ComplexValue:
    """Zeros; uninitialised memory is zeros too."""
    return _sized(c, c.const(0, c.dtype), None)
