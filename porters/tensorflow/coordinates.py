"""Coordinates of sparse and ragged tensors as INT64 rows, and as places in row-major order, one number for each."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape
from porters.tensorflow.formula import Formula, number
from porters.tensorflow.registry import Untranslatable
from porters.tensorflow.tensor import Tensor

LONG = ir.DataType.INT64


def rank_of(shape: Tensor) -> int:
    """Return the number of a shape's entries, which is the rank of what has that shape.

    Raises:
        Untranslatable: Where it is not known.
    """
    (size,) = shape.shape
    if not isinstance(size, int):
        raise Untranslatable("a sparse tensor of unknown rank")
    return size


def length(x: Formula) -> Formula:
    """Return the size of the first axis as a vector of one element."""
    return x.of("Shape", start=0, end=1, dtype=LONG)


def counting(ctx: Context, count: Formula) -> Formula:
    """Return 0, 1 ... below ``count``, a vector of one element."""
    return number(ctx, 0, LONG).of("Range", count.squeeze(0), number(ctx, 1, LONG))


def filled(ctx: Context, size: Formula, value: float, dtype: ir.DataType) -> Formula:
    """Return one number in every entry of a shape that is a vector."""
    return number(ctx, value, dtype).of("Expand", size)


def vector(ctx: Context, entries: list[Formula]) -> Formula:
    """Return scalars as a vector; none of them make an empty one."""
    if not entries:
        return number(ctx, np.zeros(0), LONG)
    head, *tail = (item.reshape([1]) for item in entries)
    return head.of("Concat", *tail, axis=0) if tail else head


def places(ctx: Context, index: Formula, sizes: list[Formula], axes: list[int]) -> Formula:
    """Return the row-major place of each row of ``index`` counted along ``axes`` alone."""
    if not axes:
        return filled(ctx, length(index), 0, LONG)
    total = index.take(axes[0], 1)
    for axis in axes[1:]:
        total = total * sizes[axis] + index.take(axis, 1)
    return total


def coordinates(ctx: Context, at: Formula, sizes: list[Formula]) -> Formula:
    """Return the rows of coordinates of row-major places in a shape."""
    columns: list[Formula] = []
    rest = at
    for size in reversed(sizes):
        columns.append(rest.of("Mod", size).unsqueeze(1))
        rest = rest / size
    if not columns:
        return filled(ctx, vector(ctx, [length(at), number(ctx, 0, LONG)]), 0, LONG)
    head, *tail = reversed(columns)
    return head.of("Concat", *tail, axis=1) if tail else head


def extents(ctx: Context, shape: Formula, rank: int) -> list[Formula]:
    """Return the entries of a shape as scalars."""
    return [shape.take(axis, 0) for axis in range(rank)]


def distinct(keys: Formula) -> tuple[Formula, Formula]:
    """Return the distinct keys in order, and which of them each key is."""
    ctx = keys.ctx
    found = ctx.builder.ops("Unique", keys.value, outputs=4, sorted=1, dtypes=[keys.dtype, LONG, LONG, LONG])
    return Formula(ctx, found[0]), Formula(ctx, found[2])


def distinct_rows(rows: Formula) -> tuple[Formula, Formula]:
    """Return the distinct rows in order, and which of them each row is."""
    ctx = rows.ctx
    found = ctx.builder.ops("Unique", rows.value, outputs=4, sorted=1, axis=0, dtypes=[rows.dtype, LONG, LONG, LONG])
    return Formula(ctx, found[0]), Formula(ctx, found[2])


def ascending(keys: Formula) -> Formula:
    """Return the order that sorts keys, no two of which are equal."""
    ctx = keys.ctx
    _, order = ctx.builder.ops(
        "TopK", keys.value, length(keys).value, outputs=2, axis=0, largest=0, sorted=1, dtypes=[LONG, LONG]
    )
    return Formula(ctx, order)


def inverse_order(order: Formula) -> Formula:
    """Return where each entry goes that an order takes from somewhere."""
    line = counting(order.ctx, length(order))
    return line.of("ScatterND", order.unsqueeze(1), line)


def chosen(x: Formula, mask: Formula) -> Formula:
    """Return the entries (or rows) where a mask holds."""
    return x.of("Compress", mask, axis=0)


def summed(base: Formula, at: Formula, values: Formula, how: str = "add") -> Formula:
    """Return ``base`` with values added (or compared) at places of its only axis."""
    return base.of("ScatterElements", at, values, axis=0, reduction=how)


def within(rows: Formula, height: Formula) -> tuple[Formula, Formula]:
    """Return the place of each entry among those of its row, rows being in order, and how many each row has.

    Args:
        rows: The row of each entry.
        height: How many rows there are, as a vector of one element.
    """
    ctx = rows.ctx
    counts = summed(filled(ctx, height, 0, LONG), rows, filled(ctx, length(rows), 1, LONG))
    before = counts.of("CumSum", number(ctx, 0), exclusive=1)
    return counting(ctx, length(rows)) - before.of("Gather", rows, axis=0), counts


def row_of(splits: Formula) -> Formula:
    """Return the row of each entry of a ragged tensor, from where the rows begin and end."""
    ctx = splits.ctx
    ends = splits.slice(1, int(np.iinfo(np.int64).max), 0)
    line = counting(ctx, splits.slice(-1, int(np.iinfo(np.int64).max), 0))
    return (ends.unsqueeze(0) <= line.unsqueeze(1)).cast(LONG).reduce("ReduceSum", [1])


def listed(index: Formula, values: Formula, shape: Formula, count: Shape) -> list[Tensor]:
    """Return a sparse result in its parts; ``count`` is the number of entries and the rank."""
    return [index.held(count), values.held(count[:1]), shape.held(count[1:])]
