"""LU, Cholesky and QR factorizations as Loops over the columns, with LAPACK's conventions; triangular systems."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops import matrices as mx
from porters.pytorch.ops.loops import repeat
from porters.pytorch.ops.shared import known
from porters.pytorch.registry import Context


@dataclass(frozen=True)
class Lu:
    """An LU factorization with partial pivoting.

    Attributes:
        packed: L below the diagonal, U on and above it; float64.
        order: For each row of the product, which row of the matrix it is; INT64 [..., rows].
        pivots: LAPACK's: the row (from one) that each row was exchanged with; INT64 [..., min(rows, columns)].
    """

    packed: ir.Value
    order: ir.Value
    pivots: ir.Value


def lu(c: Context, a: ir.Value, *, pivot: bool = True) -> Lu:
    """Factorize matrices in float64."""
    batch, rows, columns = mx.shape_of(c, a)
    count = min(rows, columns)
    order = mx.filled(c, np.arange(rows), [*batch, rows])
    pivots = mx.filled(c, np.arange(1, count + 1), [*batch, count])

    def step(
        b: Context, k: ir.Value, matrix: ir.Value, order: ir.Value, pivots: ir.Value
    ) -> tuple[ir.Value, ir.Value, ir.Value]:
        if pivot:
            best = _pivot_row(b, k, matrix, rows)
            matrix, order = _exchanged(b, k, best, matrix, order, rows)
            at = b.op("Equal", mx.places(b, count), k)
            pivots = known(b, b.op("Where", at, b.op("Add", best, 1), pivots), [*batch, count])
        return _eliminated(b, k, matrix, rows, columns), order, pivots

    return Lu(*repeat(c, count, [mx.wide(c, a), order, pivots], step))


def _pivot_row(b: Context, k: ir.Value, matrix: ir.Value, rows: int) -> ir.Value:
    """Return the row at or below ``k`` with the largest element of column ``k``, the first of several; [..., 1]."""
    size = b.op("Abs", mx.column(b, matrix, k))
    active = b.op("GreaterOrEqual", mx.places(b, rows), k)
    score = b.op("Where", active, size, b.const(-1, mx.WIDE))
    batch = b.sizes_of(matrix)[:-2]
    return known(b, b.op("ArgMax", score, axis=-1, keepdims=1), [*batch, 1])


def _exchanged(
    b: Context, k: ir.Value, best: ir.Value, matrix: ir.Value, order: ir.Value, rows: int
) -> tuple[ir.Value, ir.Value]:
    sizes = b.sizes_of(matrix)
    here = mx.places(b, rows)
    below = b.op("Where", b.op("Equal", here, best), k, here)
    index = known(b, b.op("Where", b.op("Equal", here, k), best, below), sizes[:-1])
    moved = b.op("GatherElements", matrix, mx.expanded(b, mx.lifted(b, index, -1), sizes), axis=len(sizes) - 2)
    after = b.op("GatherElements", order, index, axis=len(sizes) - 2)
    return known(b, moved, sizes), known(b, after, sizes[:-1])


def _eliminated(b: Context, k: ir.Value, matrix: ir.Value, rows: int, columns: int) -> ir.Value:
    sizes = b.sizes_of(matrix)
    values, pivot_row = mx.column(b, matrix, k), mx.row(b, matrix, k)
    top = mx.lifted(b, mx.column(b, pivot_row, k), -1)
    divisor = b.op("Where", b.op("Equal", top, 0.0), b.const(1, mx.WIDE), top)
    below = b.op("Greater", mx.places(b, rows), k)
    factors = known(b, mx.masked(b, below, known(b, b.op("Div", values, divisor), sizes[:-1])), sizes[:-1])
    right = mx.masked(b, b.op("Greater", mx.places(b, columns), k), pivot_row)
    matrix = known(b, b.op("Sub", matrix, mx.outer(b, factors, right)), sizes)
    at = b.op("And", b.op("Unsqueeze", below, [1]), b.op("Equal", mx.places(b, columns), k))
    return known(b, b.op("Where", at, mx.lifted(b, factors, -1), matrix), sizes)


def order_of_pivots(c: Context, pivots: ir.Value, rows: int) -> ir.Value:
    """Return which row of the matrix each row of the product is, for LAPACK's pivots; INT64 [..., rows]."""
    batch, count = c.sizes_of(pivots)[:-1], c.sizes_of(pivots)[-1]
    assert isinstance(count, int)
    start = mx.filled(c, np.arange(rows), [*batch, rows])
    places = known(c, c.op("Sub", c.cast(pivots, mx.INT), 1), c.sizes_of(pivots))

    def step(b: Context, k: ir.Value, order: ir.Value) -> tuple[ir.Value]:
        best = mx.lifted(b, mx.column(b, places, k), -1)
        here = mx.places(b, rows)
        below = b.op("Where", b.op("Equal", here, best), k, here)
        index = b.op("Where", b.op("Equal", here, k), best, below)
        return (b.op("GatherElements", order, index, axis=len(batch)),)

    return repeat(c, count, [start], step)[0]


def permutation(c: Context, order: ir.Value) -> ir.Value:
    """Return P (float64) with A = P L U: column i is the unit vector of row ``order[i]``."""
    batch, rows = c.sizes_of(order)[:-1], c.sizes_of(order)[-1]
    assert isinstance(rows, int)
    same = c.op("Equal", mx.lifted(c, mx.places(c, rows), -1), mx.lifted(c, order, -2))
    return known(c, c.cast(same, mx.WIDE), [*batch, rows, rows])


def in_order(c: Context, x: ir.Value, order: ir.Value) -> ir.Value:
    """Return the rows of ``x`` in that order."""
    sizes = c.sizes_of(x)
    if 0 in sizes:
        return x
    index = mx.expanded(c, mx.lifted(c, order, -1), sizes)
    return known(c, c.op("GatherElements", x, index, axis=len(sizes) - 2), sizes)


def substituted(c: Context, a: ir.Value, b: ir.Value, *, upper: bool, unit: bool = False) -> ir.Value:
    """Return X with A X = B for triangular A; both in float64 with the same batch."""
    batch, rows, columns = mx.shape_of(c, b)
    backwards = c.const(np.arange(rows)[::-1].copy(), mx.INT)

    def step(inner: Context, k: ir.Value, x: ir.Value) -> tuple[ir.Value]:
        place = mx.column(inner, backwards, k) if upper else k
        values = mx.column(inner, a, place)
        solved = mx.row(inner, x, place)
        if not unit:
            solved = inner.op("Div", solved, mx.lifted(inner, mx.column(inner, values, place), -1))
        known(inner, solved, [*batch, columns])
        here = mx.places(inner, rows)
        left = mx.masked(inner, inner.op("Less" if upper else "Greater", here, place), values)
        x = known(inner, inner.op("Sub", x, mx.outer(inner, left, solved)), [*batch, rows, columns])
        at = inner.op("Unsqueeze", inner.op("Equal", here, place), [1])
        return (inner.op("Where", at, mx.lifted(inner, solved, -2), x),)

    return repeat(c, rows, [b], step)[0]


def cholesky(c: Context, a: ir.Value) -> ir.Value:
    """Return L (float64) with A = L L'; only the lower triangle of A is looked at."""
    batch, rows, _ = mx.shape_of(c, a)
    start = mx.zeros(c, [*batch, rows, rows])

    def step(b: Context, k: ir.Value, matrix: ir.Value, factor: ir.Value) -> tuple[ir.Value, ir.Value]:
        sizes = b.sizes_of(matrix)
        values = mx.column(b, matrix, k)
        root = mx.lifted(b, root_of(b, mx.column(b, values, k)), -1)
        here = mx.places(b, rows)
        scaled = known(b, b.op("Div", values, root), sizes[:-1])
        kept = mx.masked(b, b.op("GreaterOrEqual", here, k), scaled)
        below = mx.masked(b, b.op("Greater", here, k), scaled)
        matrix = known(b, b.op("Sub", matrix, mx.outer(b, below, below)), sizes)
        at = b.op("Equal", here, k)
        return matrix, b.op("Where", at, mx.lifted(b, kept, -1), factor)

    return repeat(c, rows, [mx.wide(c, a), start], step)[1]


def root_of(c: Context, x: ir.Value) -> ir.Value:
    """Return the square root, its size remembered."""
    return known(c, c.op("Sqrt", x), c.sizes_of(x))


def reflectors(c: Context, a: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Return LAPACK's geqrf in float64: R above the Householder vectors, and their factors tau."""
    batch, rows, columns = mx.shape_of(c, a)
    count = min(rows, columns)

    def step(b: Context, k: ir.Value, matrix: ir.Value, taus: ir.Value) -> tuple[ir.Value, ir.Value]:
        sizes = b.sizes_of(matrix)
        here = mx.places(b, rows)
        values = mx.column(b, matrix, k)
        below = mx.masked(b, b.op("Greater", here, k), values)
        head = mx.lifted(b, mx.column(b, values, k), -1)
        vector, tau, beta = _reflector(b, head, below, b.op("Equal", here, k))
        known(b, vector, sizes[:-1])
        shares = mx.product(b, mx.lifted(b, vector, -2), matrix)
        scaled = known(b, b.op("Mul", mx.lifted(b, tau, -1), shares), [*batch, 1, columns])
        after = b.op("Sub", matrix, b.op("Mul", mx.lifted(b, vector, -1), scaled))
        # The column itself: R above, beta on the diagonal, the vector (without its leading one) below.
        tail = b.op("Where", b.op("Greater", here, k), vector, values)
        stored = known(b, b.op("Where", b.op("Equal", here, k), beta, tail), sizes[:-1])
        right = b.op("Greater", mx.places(b, columns), k)
        at = b.op("Equal", mx.places(b, columns), k)
        matrix = b.op("Where", right, after, b.op("Where", at, mx.lifted(b, stored, -1), matrix))
        taus = b.op("Where", b.op("Equal", mx.places(b, count), k), tau, taus)
        return matrix, taus

    packed, taus = repeat(c, count, [mx.wide(c, a), mx.zeros(c, [*batch, count])], step)
    return packed, taus


def _reflector(b: Context, head: ir.Value, below: ir.Value, first: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Return LAPACK's larfg: the vector with a leading one, tau and beta; tau is zero where nothing is below."""
    square = b.op("ReduceSum", b.op("Mul", below, below), [-1], keepdims=1)
    nothing = b.op("Equal", square, 0.0)
    length = b.op("Sqrt", b.op("Add", b.op("Mul", head, head), square))
    beta = b.op("Where", b.op("Less", head, 0.0), length, b.op("Neg", length))
    beta = b.op("Where", nothing, head, beta)
    safe = b.op("Where", nothing, b.const(1, mx.WIDE), beta)
    tau = b.op("Where", nothing, b.const(0, mx.WIDE), b.op("Div", b.op("Sub", beta, head), safe))
    divisor = b.op("Where", nothing, b.const(1, mx.WIDE), b.op("Sub", head, beta))
    vector = b.op("Where", first, b.const(1, mx.WIDE), b.op("Div", below, divisor))
    return vector, known(b, tau, b.sizes_of(head)), known(b, beta, b.sizes_of(head))


def reflected(c: Context, packed: ir.Value, taus: ir.Value, x: ir.Value, *, transposed: bool = False) -> ir.Value:
    """Return Q x (or Q' x) for the Q of Householder vectors ``packed``, without building Q; all in float64."""
    batch, rows, columns = mx.shape_of(c, x)
    count = c.sizes_of(taus)[-1]
    assert isinstance(count, int)
    sequence = np.arange(count) if transposed else np.arange(count)[::-1]
    places = c.const(sequence.copy(), mx.INT)

    def step(b: Context, k: ir.Value, x: ir.Value) -> tuple[ir.Value]:
        place = mx.column(b, places, k)
        here = mx.places(b, rows)
        values = mx.masked(b, b.op("Greater", here, place), mx.column(b, packed, place))
        vector = b.op("Where", b.op("Equal", here, place), b.const(1, mx.WIDE), values)
        known(b, vector, b.sizes_of(packed)[:-1])
        tau = mx.lifted(b, mx.lifted(b, mx.column(b, taus, place), -1), -1)
        shares = b.op("Mul", tau, mx.product(b, mx.lifted(b, vector, -2), x))
        return (b.op("Sub", x, b.op("Mul", mx.lifted(b, vector, -1), shares)),)

    return repeat(c, count, [mx.expanded(c, x, [*batch, rows, columns])], step)[0]
