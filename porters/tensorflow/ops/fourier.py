"""Complex numbers and Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.complex_numbers import ComplexValue
from porters.pytorch.ops import fft
from porters.pytorch.registry import Context as Emitter
from porters.tensorflow import algorithms
from porters.tensorflow.context import Context
from porters.tensorflow.dims import Dim, Expr, Shape
from porters.tensorflow.formula import Formula, elementwise, formula
from porters.tensorflow.node import Node
from porters.tensorflow.ops.linalg import batch_matmul, matmul
from porters.tensorflow.ops.quotients import angle_of
from porters.tensorflow.ops.shape import known, transposed
from porters.tensorflow.registry import Untranslatable, translates_complex
from porters.tensorflow.tensor import Complex, Filled, Order, Tensor

# torch's ways to divide a transform by its length: not at all, and wholly.
_NOT, _WHOLLY = 0, 2


# -- parts -------------------------------------------------------------------------------------------------------------


def parts(ctx: Context, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return both parts of a value; that of a real one is zero."""
    if isinstance(x, Complex):
        return x.parts
    return x, Filled(x.shape, x.dtype, np.zeros((), x.dtype.numpy()))


@translates_complex("Complex")
def complex_of(ctx: Context, node: Node, real: Tensor, imag: Tensor) -> Tensor:
    """Note two parts as one value."""
    shape, order, (a, b) = elementwise(ctx, real, imag)
    if real.shape == imag.shape:
        return Complex.of(real, imag)
    zero = a * 0.0 + b * 0.0
    return Complex.of((a + zero).held(shape, order), (b + zero).held(shape, order))


@translates_complex("Real", "Imag")
def part(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Return one part."""
    return parts(ctx, x)[0 if node.op == "Real" else 1]


@translates_complex("Conj")
def conjugate(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the mirror image at the real axis."""
    real, imag = parts(ctx, x)
    return Complex.of(real, (-formula(ctx, imag, imag.order)).held(imag.shape, imag.order))


@translates_complex("ConjugateTranspose")
def conjugate_transpose(ctx: Context, node: Node, x: Tensor, perm: Tensor) -> Tensor:
    """Translate a transposition of mirror images."""
    axes = tuple(int(axis) % x.rank for axis in known(perm, "a permutation"))
    turned = conjugate(ctx, node, x)
    return Complex.of(*(transposed(ctx, item, axes) for item in parts(ctx, turned)))


def _both(ctx: Context, x: Tensor) -> tuple[Shape, Order, Formula, Formula]:
    real, imag = parts(ctx, x)
    shape, order, (a, b) = elementwise(ctx, real, imag)
    return shape, order, a, b


@translates_complex("ComplexAbs")
def magnitude(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the distance from zero, its larger part taken out so that no square overflows."""
    shape, order, a, b = _both(ctx, x)
    high = a.fn("Abs").maximum(b.fn("Abs"))
    flat = high.equals(0.0)
    low = a.fn("Abs").minimum(b.fn("Abs")) / flat.where(1.0, high)
    return (high * (low * low + 1.0).fn("Sqrt")).held(shape, order)


@translates_complex("Angle")
def angle(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the angle of complex numbers."""
    shape, order, a, b = _both(ctx, x)
    wide = angle_of(b.cast(ir.DataType.DOUBLE), a.cast(ir.DataType.DOUBLE))
    return wide.cast(a.dtype).held(shape, order)


@translates_complex("Cast")
def cast(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate a cast to complex numbers, or to real ones, which drops the imaginary part."""
    kind = node.dtypes[0]
    assert kind is not None
    if kind.kind != "c":
        real = parts(ctx, x)[0]
        return formula(ctx, real, real.order, ir.DataType.from_numpy(kind)).held(real.shape, real.order)
    wanted = ir.DataType.DOUBLE if kind.itemsize > np.complex64().itemsize else ir.DataType.FLOAT
    return Complex.of(*(formula(ctx, item, item.order, wanted).held(item.shape, item.order) for item in parts(ctx, x)))


# -- arithmetic --------------------------------------------------------------------------------------------------------


@translates_complex("Mul", "RealDiv", "Div", "Square", "Reciprocal", "Inv", "DivNoNan")
def product(ctx: Context, node: Node, *operands: Tensor) -> Tensor:
    """Translate products, quotients and squares."""
    first = operands[0]
    second = operands[1] if len(operands) > 1 else first
    shape, order, (a, b, c, d) = elementwise(ctx, *parts(ctx, first), *parts(ctx, second))
    if node.op in ("Mul", "Square"):
        found = (a * c - b * d, a * d + b * c)
    else:
        if node.op in ("Reciprocal", "Inv"):
            a, b = a * 0.0 + 1.0, b * 0.0
        size = c * c + d * d
        found = ((a * c + b * d) / size, (b * c - a * d) / size)
        if node.op == "DivNoNan":
            found = tuple(size.equals(0.0).where(0.0, item) for item in found)  # type: ignore[assignment]  # a pair
    return Complex.of(*(item.held(shape, order) for item in found))


@translates_complex("Exp")
def exponential(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the exponential function of complex numbers."""
    shape, order, a, b = _both(ctx, x)
    size = a.fn("Exp")
    return Complex.of((size * b.fn("Cos")).held(shape, order), (size * b.fn("Sin")).held(shape, order))


@translates_complex("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def matrix_product(ctx: Context, node: Node, x: Tensor, y: Tensor) -> Tensor:
    """Translate products of complex matrices as four of real ones; an adjoint is a mirror image as well."""
    real = matmul if node.op == "MatMul" else batch_matmul
    (a, b), (c, d) = parts(ctx, x), parts(ctx, y)
    flips = [False, False] if node.op == "MatMul" else [bool(node.attr("adj_x")), bool(node.attr("adj_y"))]
    p, q, r, s = (formula(ctx, real(ctx, node, left, right)) for left in (a, b) for right in (c, d))
    # p = ac, q = ad, r = bc, s = bd
    q, r = (-q if flips[1] else q), (-r if flips[0] else r)
    shape = real(ctx, node, a, c).shape
    return Complex.of((p + s if flips[0] != flips[1] else p - s).held(shape), (q + r).held(shape))


# -- transforms --------------------------------------------------------------------------------------------------------


def _axes(node: Node, x: Tensor) -> list[int]:
    """Return the axes of a transform: the last ones, as many as its name says."""
    digits = [letter for letter in node.op if letter.isdigit()]
    count = int(digits[0]) if digits else 1
    return list(range(x.rank - count, x.rank))


def _lengths(x: Tensor, extra: Sequence[Tensor], axes: Sequence[int]) -> list[Dim]:
    if not extra:
        return [x.shape[axis] for axis in axes]
    return [int(length) for length in known(extra[0], "the length of a transform").reshape(-1)]


def _fitted(ctx: Context, x: Tensor, axes: Sequence[int], lengths: Sequence[Dim]) -> Tensor:
    """Return ``x`` cut to the lengths of a transform."""
    value, shape = formula(ctx, x), list(x.shape)
    for axis, length in zip(axes, lengths, strict=True):
        have = shape[axis]
        if have == length:
            continue
        if isinstance(have, Expr) or isinstance(length, Expr):
            raise Untranslatable("a transform of a length that is not known")
        value = value.slice(0, length, axis)
        shape[axis] = length
    return x if tuple(shape) == x.shape else value.held(tuple(shape))


def _run(ctx: Context, function: Any, x: Tensor, shape: Shape, **options: Any) -> list[Tensor]:
    """Run one of the PyTorch porter's transforms; complex numbers go in and come out in parts."""
    both = parts(ctx, x) if isinstance(x, Complex) else (x,)

    def split(c: Emitter, *values: ir.Value) -> tuple[ir.Value, ...]:
        found = function(c, ComplexValue(*values) if len(values) > 1 else values[0], **options)
        return (found.real, found.imag) if isinstance(found, ComplexValue) else (found,)

    return algorithms.run(ctx, split, *both, results=[(both[0].dtype, shape)] * 2)


@translates_complex("FFT", "FFT2D", "FFT3D", "IFFT", "IFFT2D", "IFFT3D")
def transform(ctx: Context, node: Node, x: Tensor, *extra: Tensor) -> Tensor:
    """Translate a transform of complex numbers, or its inverse."""
    axes = _axes(node, x)
    real, imag = (_fitted(ctx, item, axes, _lengths(x, extra, axes)) for item in parts(ctx, x))
    forward = node.op.startswith("FFT")
    norm = _NOT if forward else _WHOLLY
    return Complex.of(*_run(ctx, fft.c2c, Complex.of(real, imag), real.shape, axes=axes, norm=norm, forward=forward))


@translates_complex("RFFT", "RFFT2D", "RFFT3D")
def real_transform(ctx: Context, node: Node, x: Tensor, *extra: Tensor) -> Tensor:
    """Translate a transform of real numbers, of which half says everything."""
    axes = _axes(node, x)
    given = _fitted(ctx, x, axes, _lengths(x, extra, axes))
    shape = list(given.shape)
    shape[axes[-1]] = shape[axes[-1]] // 2 + 1
    return Complex.of(*_run(ctx, fft.r2c, given, tuple(shape), axes=axes, norm=_NOT, onesided=True))


@translates_complex("IRFFT", "IRFFT2D", "IRFFT3D")
def inverse_real(ctx: Context, node: Node, x: Tensor, *extra: Tensor) -> Tensor:
    """Translate the inverse of a transform of real numbers."""
    axes = _axes(node, x)
    lengths = _lengths(x, extra, axes)
    halves = [*lengths[:-1], lengths[-1] // 2 + 1]
    real, imag = (_fitted(ctx, item, axes, halves) for item in parts(ctx, x))
    shape = list(real.shape)
    shape[axes[-1]] = lengths[-1]
    options = {"axes": axes, "norm": _WHOLLY, "length": lengths[-1]}
    return _run(ctx, fft.c2r, Complex.of(real, imag), tuple(shape), **options)[0]
