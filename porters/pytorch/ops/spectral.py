"""Eigenvalues of symmetric matrices, singular values, pseudo-inverses and matrix exponentials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops import factorizations as fx
from porters.pytorch.ops import matrices as mx
from porters.pytorch.ops.loops import repeat
from porters.pytorch.ops.shared import cast, known
from porters.pytorch.registry import Context, translates

# Cyclic Jacobi converges quadratically once it converges: six to ten sweeps for the sizes met in practice.
SWEEPS = 10
# Terms of the exponential's series for a matrix of norm one, to float64's last bit.
TERMS = 19


# -- Jacobi rotations ----------------------------------------------------------------------------------------------


def tournament(count: int) -> np.ndarray:
    """Return who meets whom in each round, [rounds, count]: every pair once; with itself: a bye."""
    players: list[int | None] = [*range(count)] + ([None] if count % 2 else [])
    rounds = []
    for _ in range(max(len(players) - 1, 0)):
        partner = list(range(count))
        for a, b in zip(players[: len(players) // 2], reversed(players[len(players) // 2 :]), strict=True):
            if a is not None and b is not None:
                partner[a], partner[b] = b, a
        rounds.append(partner)
        players = [players[0], players[-1], *players[1:-1]]
    return np.array(rounds, np.int64).reshape(len(rounds), count)


def _rotation(b: Context, gram: ir.Value, partner: ir.Value, count: int) -> ir.Value:
    """Return the orthogonal J that makes ``J' gram J`` zero wherever partners meet.

    Args:
        b: The context of the loop's body.
        gram: Symmetric matrices.
        partner: INT64 [count].
        count: Rows.
    """
    sizes = b.sizes_of(gram)
    here = mx.places(b, count)
    meets = b.op("Equal", b.op("Unsqueeze", partner, [1]), here)
    meets = b.op("And", meets, b.op("Not", b.op("Equal", b.op("Unsqueeze", here, [1]), here)))
    own = mx.diagonal(b, gram)
    other = known(b, b.op("Gather", own, partner, axis=len(sizes) - 2), sizes[:-1])
    shared = b.op("ReduceSum", mx.masked(b, meets, gram), [-1], keepdims=0)
    idle = b.op("Equal", shared, 0.0)
    ratio = b.op("Div", b.op("Sub", other, own), b.op("Mul", b.op("Where", idle, b.const(1, mx.WIDE), shared), 2.0))
    first = b.op("Where", b.op("Less", here, partner), b.const(1, mx.WIDE), b.const(-1, mx.WIDE))
    sign = b.op("Where", b.op("Equal", ratio, 0.0), first, b.op("Sign", ratio))
    length = b.op("Sqrt", b.op("Add", b.op("Mul", ratio, ratio), 1.0))
    tangent = b.op("Div", sign, b.op("Add", b.op("Abs", ratio), length))
    tangent = b.op("Where", idle, b.const(0, mx.WIDE), tangent)
    cosine = b.op("Div", b.const(1, mx.WIDE), b.op("Sqrt", b.op("Add", b.op("Mul", tangent, tangent), 1.0)))
    sine = b.op("Mul", tangent, cosine)
    straight = b.op("Mul", b.const(np.eye(count)), b.op("Unsqueeze", cosine, [len(sizes) - 1]))
    crossed = b.op("Mul", b.cast(meets, mx.WIDE), b.op("Unsqueeze", sine, [len(sizes) - 1]))
    return known(b, b.op("Add", straight, crossed), sizes)


def jacobi(c: Context, a: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Return the eigenvalues of symmetric float64 matrices in ascending order, and the eigenvectors as columns."""
    batch, count, _ = mx.shape_of(c, a)
    rounds = tournament(count)
    table = c.const(rounds, mx.INT)

    def step(b: Context, k: ir.Value, matrix: ir.Value, vectors: ir.Value) -> tuple[ir.Value, ir.Value]:
        partner = b.op("Gather", table, b.op("Mod", k, len(rounds)), axis=0)
        turn = _rotation(b, matrix, partner, count)
        after = mx.product(b, mx.turned(b, turn), mx.product(b, matrix, turn))
        return after, mx.product(b, vectors, turn)

    states = [a, mx.identity(c, batch, count)]
    matrix, vectors = repeat(c, SWEEPS * len(rounds), states, step)
    return _sorted(c, mx.diagonal(c, matrix), vectors, largest=False)


def _sorted(c: Context, values: ir.Value, vectors: ir.Value, *, largest: bool) -> tuple[ir.Value, ir.Value]:
    sizes = c.sizes_of(vectors)
    count = sizes[-1]
    assert isinstance(count, int)
    if count == 0:
        return values, vectors
    ordered, index = c.ops("TopK", values, [count], axis=-1, largest=int(largest), outputs=2, dtypes=[mx.WIDE, mx.INT])
    index = mx.expanded(c, mx.lifted(c, known(c, index, c.sizes_of(values)), -2), sizes)
    moved = c.op("GatherElements", vectors, index, axis=len(sizes) - 1)
    return known(c, ordered, c.sizes_of(values)), known(c, moved, sizes)


def singular(c: Context, a: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Return (W, s, V) in float64 with A = W V', the columns of W orthogonal, of falling lengths s.

    One-sided Jacobi: small singular values keep their relative accuracy. ``a`` has no more columns than rows.
    """
    batch, rows, count = mx.shape_of(c, a)
    rounds = tournament(count)
    table = c.const(rounds, mx.INT)

    def step(b: Context, k: ir.Value, left: ir.Value, right: ir.Value) -> tuple[ir.Value, ir.Value]:
        partner = b.op("Gather", table, b.op("Mod", k, len(rounds)), axis=0)
        turn = _rotation(b, mx.product(b, mx.turned(b, left), left), partner, count)
        return mx.product(b, left, turn), mx.product(b, right, turn)

    left, right = repeat(c, SWEEPS * len(rounds), [mx.wide(c, a), mx.identity(c, batch, count)], step)
    square = c.op("ReduceSum", c.op("Mul", left, left), [-2], keepdims=0)
    values = fx.root_of(c, known(c, square, [*batch, count]))
    both = known(c, c.op("Concat", left, right, axis=len(batch)), [*batch, rows + count, count])
    values, both = _sorted(c, values, both, largest=True)
    lower = known(c, c.op("Slice", both, [rows], [rows + count], [len(batch)]), [*batch, count, count])
    return mx.part(c, both, rows=rows), values, lower


# -- translators ---------------------------------------------------------------------------------------------------


@translates("aten._linalg_eigh")
def eigh(c: Context, a: ir.Value, triangle: str = "L", compute_v: bool = True) -> tuple[ir.Value, ...]:
    """Cyclic Jacobi on the triangle that is asked for; the signs of eigenvectors are nobody's, LAPACK's included."""
    values, vectors = jacobi(c, _symmetric(c, a, upper=triangle.upper() == "U"))
    if not compute_v:
        vectors = mx.zeros(c, [0])
    return c.cast(values, c.dtype), c.cast(vectors, c.dtype)


def _symmetric(c: Context, a: ir.Value, *, upper: bool) -> ir.Value:
    x = mx.wide(c, a)
    whole = mx.triangle(c, x, upper=upper)
    rest = mx.turned(c, mx.triangle(c, x, upper=upper, k=1 if upper else -1))
    return known(c, c.op("Add", whole, rest), c.sizes_of(a))


@translates("aten._linalg_svd")
def svd(
    c: Context, a: ir.Value, full_matrices: bool = False, compute_uv: bool = True, **_: Any
) -> tuple[ir.Value, ...]:
    """One-sided Jacobi; where vectors are not determined (zero singular values) QR completes them."""
    batch, rows, columns = mx.shape_of(c, a)
    wide = columns > rows
    left, values, right = singular(c, mx.turned(c, a) if wide else a)
    count = min(rows, columns)
    if not compute_uv:
        empty = cast(c, mx.zeros(c, [0]), c.dtype)
        return empty, c.cast(values, c.dtype), empty
    packed, taus = fx.reflectors(c, left)
    long = max(rows, columns) if full_matrices else count
    basis = fx.reflected(c, packed, taus, mx.identity(c, batch, max(rows, columns), long))
    # Q R with orthogonal columns: R is diagonal, up to signs that belong to Q.
    flips = c.op("Where", c.op("Less", mx.diagonal(c, packed), 0.0), c.const(-1, mx.WIDE), c.const(1, mx.WIDE))
    if long > count:
        flips = c.op("Concat", flips, mx.filled(c, np.ones(long - count), [*batch, long - count]), axis=len(batch))
    basis = known(c, c.op("Mul", basis, c.op("Unsqueeze", flips, [len(batch)])), c.sizes_of(basis))
    first, second = (right, mx.turned(c, basis)) if wide else (basis, mx.turned(c, right))
    return tuple(c.cast(item, c.dtype) for item in (first, values, second))


@translates("aten.linalg_pinv.atol_rtol_tensor")
def pinv(
    c: Context, a: ir.Value, *, atol: ir.Value | None = None, rtol: ir.Value | None = None, hermitian: bool = False
) -> ir.Value:
    """V s^-1 U' over the singular values above the larger of the two tolerances."""
    import torch

    batch, rows, columns = mx.shape_of(c, a)
    if min(rows, columns) == 0:
        return cast(c, mx.zeros(c, [*batch, columns, rows]), c.dtype)
    if hermitian:
        values, right = jacobi(c, _symmetric(c, a, upper=False))
        left = known(c, c.op("Mul", right, mx.lifted(c, values, -2)), c.sizes_of(right))
    else:
        left, values, right = singular(c, mx.turned(c, a) if columns > rows else a)
    sizes = known(c, c.op("Abs", values), c.sizes_of(values))
    largest = c.op("ReduceMax", sizes, [-1], keepdims=1)
    relative: Any = max(rows, columns) * torch.finfo(torch.float32).eps if atol is None else 0.0
    if rtol is not None:
        relative = mx.lifted(c, mx.wide(c, rtol), -1)
    bound = c.op("Mul", largest, relative)
    if atol is not None:
        bound = c.op("Max", bound, mx.lifted(c, mx.wide(c, atol), -1))
    kept = c.op("Greater", sizes, bound)
    square = c.op("Mul", values, values)
    weight = c.op(
        "Where", kept, c.op("Div", 1.0, c.op("Where", kept, square, c.const(1, mx.WIDE))), c.const(0, mx.WIDE)
    )
    scaled = known(c, c.op("Mul", right, c.op("Unsqueeze", weight, [len(batch)])), c.sizes_of(right))
    result = mx.product(c, scaled, mx.turned(c, left))
    return c.cast(mx.turned(c, result) if columns > rows else result, c.dtype)


@translates("aten.linalg_matrix_exp", "aten.matrix_exp")
def matrix_exp(c: Context, a: ir.Value) -> ir.Value:
    """The series of the matrix halved until its norm is below one, squared as often."""
    batch, count, _ = mx.shape_of(c, a)
    if count == 0:
        return a
    x = mx.wide(c, a)
    norm = c.op("ReduceMax", c.op("ReduceSum", c.op("Abs", x), [-2], keepdims=1), [-1], keepdims=1)
    halvings = c.op("Ceil", c.op("Div", c.op("Log", c.op("Max", norm, 1.0)), c.const(math.log(2.0), mx.WIDE)))
    known(c, halvings, [*batch, 1, 1])
    small = known(c, c.op("Div", x, c.op("Pow", c.const(2, mx.WIDE), halvings)), c.sizes_of(a))
    eye = mx.identity(c, batch, count)

    def term(b: Context, k: ir.Value, total: ir.Value) -> tuple[ir.Value]:
        # Horner: 1 + x / n (1 + x / (n - 1) (...)).
        divisor = b.cast(b.op("Sub", b.const(TERMS, mx.INT), k), mx.WIDE)
        return (b.op("Add", eye, b.op("Div", mx.product(b, small, total), divisor)),)

    def squared(b: Context, k: ir.Value, total: ir.Value) -> tuple[ir.Value]:
        more = b.op("Less", b.cast(k, mx.WIDE), halvings)
        return (b.op("Where", more, mx.product(b, total, total), total),)

    series = repeat(c, TERMS, [eye], term)
    most = c.cast(c.op("ReduceMax", halvings, keepdims=0), mx.INT)
    return c.cast(repeat(c, most, series, squared)[0], c.dtype)
