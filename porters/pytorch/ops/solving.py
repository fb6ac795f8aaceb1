"""Systems of equations and inverses: solve, inv, LU and Cholesky as torch returns them, triangular systems."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops import factorizations as fx
from porters.pytorch.ops import matrices as mx
from porters.pytorch.ops.shared import cast, known
from porters.pytorch.registry import Context, translates


def _narrow(c: Context, x: ir.Value, like: ir.Value) -> ir.Value:
    assert like.dtype is not None
    return cast(c, x, like.dtype)


def _pivots(c: Context, factored: fx.Lu) -> ir.Value:
    return c.cast(factored.pivots, ir.DataType.INT32)


def _info(c: Context, packed: ir.Value) -> ir.Value:
    """LAPACK's info: the first zero on the diagonal of U, from one; zero where there is none."""
    values = mx.diagonal(c, packed)
    return _first(c, known(c, c.op("Equal", values, 0.0), c.sizes_of(values)))


def _first(c: Context, found: ir.Value) -> ir.Value:
    """The first true element of each vector, from one; zero where there is none."""
    *batch, count = c.sizes_of(found)
    if count == 0:
        return c.cast(mx.zeros(c, batch, np.int64), ir.DataType.INT32)
    flags = c.cast(found, ir.DataType.INT32)
    first = c.op("Add", c.op("ArgMax", flags, axis=-1, keepdims=0), 1)
    return c.op("Mul", c.cast(first, ir.DataType.INT32), c.op("ReduceMax", flags, [-1], keepdims=0))


# -- LU ------------------------------------------------------------------------------------------------------------


@translates("aten.linalg_lu_factor_ex")
def lu_factor(c: Context, a: ir.Value, *, pivot: bool = True, **_: Any) -> tuple[ir.Value, ...]:
    """The factors in one matrix, LAPACK's pivots, and info."""
    factored = fx.lu(c, a, pivot=pivot)
    return _narrow(c, factored.packed, a), _pivots(c, factored), _info(c, factored.packed)


@translates("aten.linalg_lu")
def lu(c: Context, a: ir.Value, *, pivot: bool = True) -> tuple[ir.Value, ...]:
    """P, L and U."""
    factored = fx.lu(c, a, pivot=pivot)
    lower, upper = _unpacked(c, factored.packed)
    turn = fx.permutation(c, factored.order) if pivot else mx.zeros(c, [0])
    return tuple(_narrow(c, item, a) for item in (turn, lower, upper))


def _unpacked(c: Context, packed: ir.Value) -> tuple[ir.Value, ir.Value]:
    _, rows, columns = mx.shape_of(c, packed)
    count = min(rows, columns)
    lower = mx.triangle(c, mx.part(c, packed, columns=count), upper=False, unit=True)
    return lower, mx.triangle(c, mx.part(c, packed, rows=count), upper=True)


@translates("aten.lu_unpack")
def lu_unpack(
    c: Context, packed: ir.Value, pivots: ir.Value, unpack_data: bool = True, unpack_pivots: bool = True
) -> tuple[ir.Value, ...]:
    """P, L and U out of the factors in one matrix; empty where they are not asked for."""
    empty = mx.zeros(c, [0])
    lower, upper = _unpacked(c, packed) if unpack_data else (empty, empty)
    rows = mx.shape_of(c, packed)[1]
    turn = fx.permutation(c, fx.order_of_pivots(c, pivots, rows)) if unpack_pivots else empty
    return tuple(_narrow(c, item, packed) for item in (turn, lower, upper))


@translates("aten.linalg_lu_solve")
def lu_solve(
    c: Context, packed: ir.Value, pivots: ir.Value, b: ir.Value, *, left: bool = True, adjoint: bool = False
) -> ir.Value:
    """Two triangular systems."""
    rows = mx.shape_of(c, packed)[1]
    order = fx.order_of_pivots(c, pivots, rows)
    batch = c.shape[:-2]
    factors = mx.expanded(c, mx.wide(c, packed), [*batch, rows, rows])
    order = mx.expanded(c, order, [*batch, rows])
    right = mx.wide(c, b)
    if not left:  # X A = B is A' X' = B'
        right = mx.turned(c, right)
    right = mx.expanded(c, right, [*batch, *c.sizes_of(right)[-2:]])
    solved = _solved(c, factors, order, right, transposed=adjoint == left)
    return _narrow(c, solved if left else mx.turned(c, solved), b)


def _solved(c: Context, packed: ir.Value, order: ir.Value, b: ir.Value, *, transposed: bool) -> ir.Value:
    """Return X with A X = B, or A' X = B, for a factorized A; all in float64 with the same batch."""
    if not transposed:
        middle = fx.substituted(c, packed, fx.in_order(c, b, order), upper=False, unit=True)
        return fx.substituted(c, packed, middle, upper=True)
    flipped = mx.turned(c, packed)
    middle = fx.substituted(c, flipped, b, upper=False)
    middle = fx.substituted(c, flipped, middle, upper=True, unit=True)
    return mx.product(c, fx.permutation(c, order), middle)


# -- solve and inverse ---------------------------------------------------------------------------------------------


@translates("aten._linalg_solve_ex")
def solve(c: Context, a: ir.Value, b: ir.Value, *, left: bool = True, **_: Any) -> tuple[ir.Value, ...]:
    """Solve by LU."""
    vector = c.rank(b) == 1 or (c.rank(a) - 1 == c.rank(b) and c.sizes_of(b) == c.sizes_of(a)[:-1])
    factored = fx.lu(c, a)
    right = mx.wide(c, b)
    right = mx.lifted(c, right, -1) if vector else right
    rows = mx.shape_of(c, a)[1]
    batch = c.shape[:-1] if vector else c.shape[:-2]
    right = right if left else mx.turned(c, right)
    right = mx.expanded(c, right, [*batch, *c.sizes_of(right)[-2:]])
    packed = mx.expanded(c, factored.packed, [*batch, rows, rows])
    order = mx.expanded(c, factored.order, [*batch, rows])
    result = _solved(c, packed, order, right, transposed=not left)
    result = result if left else mx.turned(c, result)
    result = c.op("Squeeze", result, [-1]) if vector else result
    return c.cast(result, c.dtype), _narrow(c, factored.packed, a), _pivots(c, factored), _info(c, factored.packed)


@translates("aten.linalg_inv_ex")
def inverse(c: Context, a: ir.Value, **_: Any) -> tuple[ir.Value, ir.Value]:
    """The solution for the unit matrix, and info."""
    batch, rows, _columns = mx.shape_of(c, a)
    factored = fx.lu(c, a)
    eye = mx.identity(c, batch, rows)
    result = _solved(c, factored.packed, factored.order, eye, transposed=False)
    return _narrow(c, result, a), _info(c, factored.packed)


@translates("aten._linalg_slogdet", "aten.linalg_slogdet", "aten.slogdet")
def slogdet(c: Context, a: ir.Value) -> tuple[ir.Value, ...]:
    """Sign and logarithm of the determinant, from the diagonal of U: no product that overflows."""
    factored = fx.lu(c, a)
    count = mx.shape_of(c, a)[1]
    values = mx.diagonal(c, factored.packed)
    moved = c.op("Not", c.op("Equal", factored.pivots, c.const(np.arange(1, count + 1), mx.INT)))
    flips = c.op("Where", moved, c.const(-1, mx.WIDE), c.const(1, mx.WIDE))
    sign = c.op("ReduceProd", c.op("Mul", c.op("Sign", values), flips), [-1], keepdims=0)
    size = c.op("ReduceSum", c.op("Log", c.op("Abs", values)), [-1], keepdims=0)
    packed = _narrow(c, factored.packed, a)
    return _narrow(c, sign, a), _narrow(c, size, a), packed, _pivots(c, factored)


# -- triangular ----------------------------------------------------------------------------------------------------


@translates("aten.linalg_solve_triangular")
def solve_triangular(
    c: Context, a: ir.Value, b: ir.Value, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> ir.Value:
    """Substitution, row by row."""
    result = _triangular(c, a, b, upper=upper, left=left, unit=unitriangular)
    return c.cast(result, c.dtype)


@translates("aten.triangular_solve")
def triangular_solve(
    c: Context, b: ir.Value, a: ir.Value, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple[ir.Value, ir.Value]:
    """The older form; the second result is the matrix itself."""
    _, rows, columns = mx.shape_of(c, a)
    copied = mx.expanded(c, a, [*c.shape[:-2], rows, columns])
    turned = mx.turned(c, a) if transpose else a
    result = _triangular(c, turned, b, upper=upper != transpose, left=True, unit=unitriangular)
    return c.cast(result, c.dtype), copied


def _triangular(c: Context, a: ir.Value, b: ir.Value, *, upper: bool, left: bool, unit: bool) -> ir.Value:
    matrix, right = mx.wide(c, a), mx.wide(c, b)
    if not left:
        matrix, right, upper = mx.turned(c, matrix), mx.turned(c, right), not upper
    batch = c.shape[:-2]
    matrix = mx.expanded(c, matrix, [*batch, *c.sizes_of(matrix)[-2:]])
    right = mx.expanded(c, right, [*batch, *c.sizes_of(right)[-2:]])
    result = fx.substituted(c, matrix, right, upper=upper, unit=unit)
    return result if left else mx.turned(c, result)


# -- Cholesky ------------------------------------------------------------------------------------------------------


@translates("aten.cholesky")
def cholesky(c: Context, a: ir.Value, upper: bool = False) -> ir.Value:
    """The factor; of the upper triangle where that one is asked for."""
    factor = fx.cholesky(c, mx.turned(c, a) if upper else a)
    return _narrow(c, mx.turned(c, factor) if upper else factor, a)


@translates("aten.linalg_cholesky_ex")
def cholesky_ex(c: Context, a: ir.Value, *, upper: bool = False, **_: Any) -> tuple[ir.Value, ir.Value]:
    """The factor, and info: the first column (from one) that has no root, zero where all have."""
    factor = fx.cholesky(c, mx.turned(c, a) if upper else a)
    failed = c.op("IsNaN", mx.diagonal(c, factor))
    info = _first(c, known(c, failed, c.sizes_of(a)[:-1]))
    return _narrow(c, mx.turned(c, factor) if upper else factor, a), info


@translates("aten.cholesky_solve")
def cholesky_solve(c: Context, b: ir.Value, factor: ir.Value, upper: bool = False) -> ir.Value:
    """Two triangular systems."""
    lower = mx.wide(c, mx.turned(c, factor) if upper else factor)
    batch = c.shape[:-2]
    lower = mx.expanded(c, lower, [*batch, *c.sizes_of(lower)[-2:]])
    right = mx.wide(c, b)
    right = mx.expanded(c, right, [*batch, *c.sizes_of(right)[-2:]])
    return c.cast(_twice(c, lower, right), c.dtype)


@translates("aten.cholesky_inverse")
def cholesky_inverse(c: Context, factor: ir.Value, upper: bool = False) -> ir.Value:
    """The inverse of L L'."""
    lower = mx.wide(c, mx.turned(c, factor) if upper else factor)
    batch, rows, _ = mx.shape_of(c, factor)
    return c.cast(_twice(c, lower, mx.identity(c, batch, rows)), c.dtype)


def _twice(c: Context, lower: ir.Value, right: ir.Value) -> ir.Value:
    middle = fx.substituted(c, lower, right, upper=False)
    return fx.substituted(c, mx.turned(c, lower), middle, upper=True)
