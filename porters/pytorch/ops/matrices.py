"""Batched matrices piece by piece: rows, columns, masks, transposes, in float64 on the way.

LAPACK's float32 algorithms round differently from any other float32 implementation of them, by more than the project's
noise budget on small matrices; the same algorithms in float64 are nearer to the truth than LAPACK's float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.shared import cast, known, static
from porters.pytorch.registry import Context, Size

WIDE = ir.DataType.DOUBLE
INT = ir.DataType.INT64


def wide(c: Context, x: ir.Value) -> ir.Value:
    """Return ``x`` in float64."""
    return cast(c, x, WIDE)


def shape_of(c: Context, x: ir.Value) -> tuple[list[Size], int, int]:
    """Return the batch sizes, the rows and the columns of matrices; these must be known.

    Raises:
        NotImplementedError: Where rows or columns are symbolic.
    """
    sizes = c.sizes_of(x)
    return sizes[:-2], static(sizes[-2], "linear algebra"), static(sizes[-1], "linear algebra")


def filled(c: Context, array: np.ndarray, sizes: Sequence[Size]) -> ir.Value:
    """Return a constant broadcast to ``sizes``."""
    constant = c.const(array)
    if list(sizes) == list(array.shape):
        return constant
    return known(c, c.op("Expand", constant, c.vector(sizes)), sizes)


def zeros(c: Context, sizes: Sequence[Size], kind: type = np.float64) -> ir.Value:
    """Return zeros."""
    return filled(c, np.zeros([1] * len(sizes), kind), sizes)


def identity(c: Context, batch: Sequence[Size], rows: int, columns: int | None = None) -> ir.Value:
    """Return unit matrices in float64."""
    columns = rows if columns is None else columns
    return filled(c, np.eye(rows, columns), [*batch, rows, columns])


def turned(c: Context, x: ir.Value) -> ir.Value:
    """Return the transposed matrices."""
    rank = c.rank(x)
    sizes = c.sizes_of(x)
    order = [*range(rank - 2), rank - 1, rank - 2]
    return known(c, c.op("Transpose", x, perm=order), [*sizes[:-2], sizes[-1], sizes[-2]])


def row(c: Context, x: ir.Value, index: ir.Value) -> ir.Value:
    """Return one row of each matrix; ``index`` is a scalar."""
    sizes = c.sizes_of(x)
    return known(c, c.op("Gather", x, index, axis=len(sizes) - 2), [*sizes[:-2], sizes[-1]])


def column(c: Context, x: ir.Value, index: ir.Value) -> ir.Value:
    """Return one column of each matrix, or one element of each vector."""
    sizes = c.sizes_of(x)
    return known(c, c.op("Gather", x, index, axis=len(sizes) - 1), sizes[:-1])


def places(c: Context, count: int) -> ir.Value:
    """Return 0 ... count - 1."""
    return c.const(np.arange(count), INT)


def lifted(c: Context, x: ir.Value, axis: int) -> ir.Value:
    """Return ``x`` with one more axis, counted from the end."""
    sizes = list(c.sizes_of(x))
    position = len(sizes) + 1 + axis
    return known(c, c.op("Unsqueeze", x, [position]), [*sizes[:position], 1, *sizes[position:]])


def outer(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """Return the outer products of vectors."""
    sizes = [*c.sizes_of(a), c.sizes_of(b)[-1]]
    return known(c, c.op("Mul", lifted(c, a, -1), lifted(c, b, -2)), sizes)


def product(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """Return the matrix products; either side may lack batch axes."""
    left, right = c.sizes_of(a), c.sizes_of(b)
    batch = left[:-2] if len(left) >= len(right) else right[:-2]
    return known(c, c.op("MatMul", a, b), [*batch, left[-2], right[-1]])


def masked(c: Context, keep: ir.Value, x: ir.Value) -> ir.Value:
    """Return ``x`` where ``keep`` (which broadcasts to it), zero elsewhere."""
    return known(c, c.op("Where", keep, x, c.const(0, x.dtype)), c.sizes_of(x))


def triangle(c: Context, x: ir.Value, *, upper: bool, k: int = 0, unit: bool = False) -> ir.Value:
    """Return one triangle of each matrix, the other one zero; ``unit`` puts ones on the diagonal."""
    _, rows, columns = shape_of(c, x)
    ones = np.ones((rows, columns), bool)
    keep = np.triu(ones, k) if upper else np.tril(ones, k)
    result = masked(c, c.const(keep), x)
    if unit:
        eye = c.const(np.eye(rows, columns), x.dtype)
        result = known(c, c.op("Where", c.const(np.eye(rows, columns, dtype=bool)), eye, result), c.sizes_of(x))
    return result


def diagonal(c: Context, x: ir.Value) -> ir.Value:
    """Return the diagonal of each matrix."""
    sizes, rows, columns = shape_of(c, x)
    count = min(rows, columns)
    index = filled(c, np.arange(count).reshape(*[1] * len(sizes), count, 1), [*sizes, count, 1])
    return known(c, c.op("Squeeze", c.op("GatherElements", x, index, axis=len(sizes) + 1), [-1]), [*sizes, count])


def part(c: Context, x: ir.Value, rows: int | None = None, columns: int | None = None) -> ir.Value:
    """Return the leading rows and columns of each matrix."""
    sizes = list(c.sizes_of(x))
    for axis, count in ((-2, rows), (-1, columns)):
        if count is not None and count != sizes[axis]:
            sizes[axis] = count
            x = known(c, c.op("Slice", x, [0], [count], [len(sizes) + axis]), sizes)
    return x


def expanded(c: Context, x: ir.Value, sizes: Sequence[Size]) -> ir.Value:
    """Return ``x`` broadcast to ``sizes``."""
    if list(sizes) == c.sizes_of(x):
        return x
    return known(c, c.op("Expand", x, c.vector(sizes)), sizes)
