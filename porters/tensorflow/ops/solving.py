"""Linear algebra: factorizations, systems of equations, eigenvalues; the algorithms are the PyTorch porter's."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops import factorizations as fx
from porters.pytorch.ops import matrices as mx
from porters.pytorch.ops import orthogonal, solving, spectral
from porters.pytorch.ops.loops import repeat
from porters.pytorch.ops.shared import known as sized
from porters.pytorch.registry import Context as Emitter
from porters.tensorflow import algorithms
from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape, broadcast
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.moves import moved, static
from porters.tensorflow.node import Node
from porters.tensorflow.ops.sorting import result_dtype
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor

# Rounds of Denman's and Beavers' iteration for the square root: it doubles the digits, and scales away 2^rounds before.
_ROOT_ROUNDS = 30


def _square(x: Tensor) -> tuple[ir.DataType, Shape]:
    return x.dtype, x.shape


@translates("Cholesky")
def cholesky(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the triangular factor of positive matrices."""
    return algorithms.run(ctx, fx.cholesky, x, results=[_square(x)])[0]


def _determinant(c: Emitter, a: ir.Value) -> ir.Value:
    factored = fx.lu(c, a)
    count = mx.shape_of(c, a)[1]
    moved_rows = c.op("Not", c.op("Equal", factored.pivots, c.const(np.arange(1, count + 1), mx.INT)))
    flips = c.op("Where", moved_rows, c.const(-1, mx.WIDE), c.const(1, mx.WIDE))
    return c.op("ReduceProd", c.op("Mul", mx.diagonal(c, factored.packed), flips), [-1], keepdims=0)


@translates("MatrixDeterminant")
def determinant(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate determinants: the product of the factor's diagonal, turned for every exchange of rows."""
    return algorithms.run(ctx, _determinant, x, results=[(x.dtype, x.shape[:-2])])[0]


@translates("LogMatrixDeterminant")
def log_determinant(ctx: Context, node: Node, x: Tensor) -> list[Tensor]:
    """Translate signs and logarithms of determinants."""
    return algorithms.run(ctx, solving.slogdet, x, results=[(x.dtype, x.shape[:-2])] * 2)


def _turned(ctx: Context, x: Tensor) -> Tensor:
    axes = (*range(x.rank - 2), x.rank - 1, x.rank - 2)
    return formula(ctx, x).transpose(*axes).held(tuple(x.shape[axis] for axis in axes))


@translates("MatrixInverse")
def inverse(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate inverses, of the transposed matrices where the adjoint is asked for."""
    given = _turned(ctx, x) if node.attr("adjoint") else x
    return algorithms.run(ctx, solving.inverse, given, results=[_square(x)])[0]


@translates("MatrixSolve")
def solve(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate systems of equations."""
    given = _turned(ctx, a) if node.attr("adjoint") else a
    return algorithms.run(ctx, solving.solve, given, b, results=[(b.dtype, b.shape)])[0]


@translates("MatrixTriangularSolve")
def triangular_solve(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate triangular systems of equations, of which only one triangle is looked at."""
    shape = (*broadcast(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])
    adjoint, upper = bool(node.attr("adjoint")), not node.attr("lower")
    given = _turned(ctx, a) if adjoint else a
    options = {"upper": upper != adjoint}
    return algorithms.run(ctx, solving.solve_triangular, given, b, results=[(b.dtype, shape)], **options)[0]


def _least_squares(c: Emitter, a_: ir.Value, b_: ir.Value, weight: ir.Value) -> ir.Value:
    """Solve the normal equations, which are as good in float64 as an orthogonal factor is in float32."""
    a, b, weight = mx.wide(c, a_), mx.wide(c, b_), mx.wide(c, weight)
    batch, rows, columns = mx.shape_of(c, a)
    tall = rows >= columns
    other = mx.turned(c, a)
    square = mx.product(c, other, a) if tall else mx.product(c, a, other)
    eye = mx.identity(c, batch, min(rows, columns))
    square = sized(c, c.op("Add", square, c.op("Mul", eye, weight)), c.sizes_of(square))
    inverted = sized(c, solving.inverse(c, square)[0], c.sizes_of(square))
    return (
        mx.product(c, inverted, mx.product(c, other, b)) if tall else mx.product(c, other, mx.product(c, inverted, b))
    )


@translates("MatrixSolveLs")
def least_squares(ctx: Context, node: Node, a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Translate least squares, or the shortest solution where there are many."""
    shape = (*a.shape[:-2], a.shape[-1], b.shape[-1])
    return algorithms.run(ctx, _least_squares, a, b, weight, results=[(b.dtype, shape)])[0]


@translates("Lu")
def lu(ctx: Context, node: Node, x: Tensor) -> list[Tensor]:
    """Translate both triangular factors in one matrix, and which row became which."""

    def factors(c: Emitter, a: ir.Value) -> tuple[ir.Value, ir.Value]:
        found = fx.lu(c, a)
        return found.packed, found.order

    return algorithms.run(ctx, factors, x, results=[_square(x), (result_dtype(node, 1), x.shape[:-1])])


@translates("Qr")
def qr(ctx: Context, node: Node, x: Tensor) -> list[Tensor]:
    """Translate the orthogonal and the triangular factor."""
    rows, columns = static(x.shape[-2:], "a factorization")
    full = bool(node.attr("full_matrices"))
    count = rows if full else min(rows, columns)
    shapes = [(x.dtype, (*x.shape[:-1], count)), (x.dtype, (*x.shape[:-2], count, columns))]
    return algorithms.run(ctx, orthogonal.qr, x, results=shapes, mode="complete" if full else "reduced")


@translates("SelfAdjointEigV2")
def eigh(ctx: Context, node: Node, x: Tensor) -> list[Tensor]:
    """Translate eigenvalues and -vectors of symmetric matrices; the signs of vectors are nobody's."""
    wanted = bool(node.attr("compute_v"))
    vectors = x.shape if wanted else (0,)
    results = [(x.dtype, x.shape[:-1]), (x.dtype, vectors)]
    return algorithms.run(ctx, spectral.eigh, x, results=results, compute_v=wanted)


@translates("Svd")
def svd(ctx: Context, node: Node, x: Tensor) -> list[Tensor]:
    """Translate singular values and vectors; the signs of vectors are nobody's."""
    rows, columns = static(x.shape[-2:], "a factorization")
    full, wanted = bool(node.attr("full_matrices")), bool(node.attr("compute_uv"))
    count, lead = min(rows, columns), x.shape[:-2]
    left: Shape = (*lead, rows, rows if full else count) if wanted else (0,)
    right: Shape = (*lead, columns, columns if full else count) if wanted else (0,)

    def parts(c: Emitter, a: ir.Value) -> tuple[ir.Value, ...]:
        u, values, v = spectral.svd(c, a, full_matrices=full, compute_uv=wanted)
        turned = c.op("Transpose", v, perm=[*range(len(lead)), len(lead) + 1, len(lead)]) if wanted else v
        return values, u, turned

    return algorithms.run(ctx, parts, x, results=[(x.dtype, (*lead, count)), (x.dtype, left), (x.dtype, right)])


def _root(c: Emitter, a: ir.Value) -> ir.Value:
    """Denman's and Beavers' iteration: both the root and its inverse converge quadratically."""
    batch, count, _ = mx.shape_of(c, a)
    sizes = [*batch, count, count]

    def step(b: Emitter, k: ir.Value, root: ir.Value, other: ir.Value) -> tuple[ir.Value, ir.Value]:
        half = b.const(0.5, mx.WIDE)
        inverted = [solving.inverse(b, item)[0] for item in (root, other)]
        after = b.op("Mul", b.op("Add", root, inverted[1]), half)
        return sized(b, after, sizes), sized(b, b.op("Mul", b.op("Add", other, inverted[0]), half), sizes)

    return repeat(c, _ROOT_ROUNDS, [mx.wide(c, a), mx.identity(c, batch, count)], step)[0]


@translates("MatrixSquareRoot")
def square_root(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the square root of matrices without negative eigenvalues."""
    return algorithms.run(ctx, _root, x, results=[_square(x)])[0]


# -- bands -------------------------------------------------------------------------------------------------------------


@translates("TridiagonalMatMul")
def tridiagonal_product(ctx: Context, node: Node, above: Tensor, main: Tensor, below: Tensor, x: Tensor) -> Tensor:
    """Translate products with tridiagonal matrices: the rows above and below, weighted and added."""
    upper, middle, lower = (formula(ctx, item).reshape([*_lead(item), -1, 1]) for item in (above, main, below))
    rows, axis = formula(ctx, x), x.rank - 2
    before, after = (_moved_rows(rows, axis, amount) for amount in (1, -1))
    return (middle * rows + upper * after + lower * before).held(x.shape)


def _lead(x: Tensor) -> list[int]:
    return [0] * (x.rank - 2)


def _moved_rows(rows: Formula, axis: int, amount: int) -> Formula:
    pads = [amount, 0] if amount > 0 else [0, -amount]
    padded = rows.of("Pad", number(rows.ctx, pads), None, number(rows.ctx, [axis]))
    return padded.slice(0, -amount, axis) if amount > 0 else padded.slice(-amount, np.iinfo(np.int64).max, axis)


@translates("TridiagonalSolve")
def tridiagonal_solve(ctx: Context, node: Node, diagonals: Tensor, b: Tensor) -> Tensor:
    """Translate tridiagonal systems of equations as general ones."""
    import tensorflow as tf

    (count,) = static(diagonals.shape[-1:], "a system of equations")

    def run(line: Any) -> Any:
        return tf.linalg.diag(line, k=(-1, 1), num_rows=count, num_cols=count, align="LEFT_RIGHT")

    found, _ = moved(ctx, diagonals, 2, run)
    matrix = found.held((*diagonals.shape[:-2], count, count))
    return algorithms.run(ctx, solving.solve, matrix, b, results=[(b.dtype, b.shape)])[0]


@translates("BandedTriangularSolve")
def banded_solve(ctx: Context, node: Node, bands: Tensor, b: Tensor) -> Tensor:
    """Translate triangular systems given by their bands as triangular ones."""
    import tensorflow as tf

    lower, adjoint = bool(node.attr("lower")), bool(node.attr("adjoint"))
    count, size = static(bands.shape[-2:], "a system of equations")
    band = (1 - count, 0) if lower else (0, count - 1)

    def run(line: Any) -> Any:
        # A lower matrix begins with its main diagonal, which stands above the others in a diagonal's own order.
        return tf.linalg.diag(line, k=band, num_rows=size, num_cols=size, align="LEFT_RIGHT")

    found, _ = moved(ctx, bands, 2, run)
    matrix = found.held((*bands.shape[:-2], size, size))
    given = _turned(ctx, matrix) if adjoint else matrix
    shape = (*broadcast(bands.shape[:-2], b.shape[:-2]), *b.shape[-2:])
    options = {"upper": lower == adjoint}
    return algorithms.run(ctx, solving.solve_triangular, given, b, results=[(b.dtype, shape)], **options)[0]
