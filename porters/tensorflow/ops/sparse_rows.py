"""Sparse tensors of shapes known only when the model runs: coordinates counted anew, empty rows filled."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.node import Node
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor

LONG = ir.DataType.INT64


def _length(tensor: Tensor) -> int:
    """Return the number of a shape's entries, which is the rank of what has that shape."""
    (size,) = tensor.shape
    if not isinstance(size, int):
        raise Untranslatable("a sparse tensor of unknown rank")
    return size


@translates("SparseReshape")
def sparse_reshape(ctx: Context, node: Node, indices: Tensor, before: Tensor, after: Tensor) -> list[Tensor]:
    """Translate other coordinates for the same entries: each as its place in row-major order, counted anew."""
    old, new = formula(ctx, before, dtype=LONG), formula(ctx, after, dtype=LONG)
    ranks = _length(before), _length(after)
    # One size may be -1, and then the product of all is minus that of the others.
    total, others = old.of("ReduceProd", [0], keepdims=1), new.of("ReduceProd", [0], keepdims=1)
    new = new.equals(-1).where(total / others * number(ctx, -1, LONG), new)
    places = _strided(formula(ctx, indices, dtype=LONG), old, ranks[0])
    columns, step = [], None
    for axis in reversed(range(ranks[1])):
        size = new.take(axis, 0)
        rest = places if step is None else places / step
        columns.append(rest.of("Mod", size).unsqueeze(1))
        step = size if step is None else step * size
    head, *tail = reversed(columns)
    joined = head.of("Concat", *tail, axis=1) if tail else head
    return [joined.held((indices.shape[0], ranks[1])), new.held((ranks[1],))]


def _strided(indices: Formula, shape: Formula, rank: int) -> Formula:
    """Return the place of each row of coordinates in row-major order."""
    total = indices.take(0, 1)
    for axis in range(1, rank):
        total = total * shape.take(axis, 0) + indices.take(axis, 1)
    return total


@translates("SparseFillEmptyRows")
def sparse_fill_empty_rows(
    ctx: Context, node: Node, indices: Tensor, values: Tensor, shape: Tensor, default: Tensor
) -> list[Tensor]:
    """Translate an entry for each row without one; entries are in the order of their rows, as they were within one."""
    rank = _length(shape)
    where, extent = formula(ctx, indices, dtype=LONG), formula(ctx, shape, dtype=LONG)
    rows, height = where.take(0, 1), extent.take(0, 0)
    every = number(ctx, 0, LONG).of("Range", height, number(ctx, 1, LONG))
    count = rows.of("Shape", dtype=LONG)
    met = height.reshape([1]).of("ConstantOfShape", value=ir.tensor(np.zeros(1, np.int64)), dtype=LONG)
    ones = count.of("ConstantOfShape", value=ir.tensor(np.ones(1, np.int64)), dtype=LONG)
    empty = met.of("ScatterND", rows.unsqueeze(1), ones).equals(0)
    missing = every.of("Compress", empty, axis=0)
    added = missing.unsqueeze(1)
    if rank > 1:
        added = added.of("Pad", number(ctx, [0, 0, 0, rank - 1], LONG), number(ctx, 0, LONG))
    more = formula(ctx, default).of("Expand", missing.of("Shape", dtype=LONG))
    order = _by_row(ctx, rows.of("Concat", missing, axis=0))
    found, length = ctx.unknown(), values.shape[0]
    filled = where.of("Concat", added, axis=0).of("Gather", order, axis=0)
    entries = formula(ctx, values).of("Concat", more, axis=0).of("Gather", order, axis=0)
    moved = _inverse(ctx, order).of("Slice", number(ctx, [0], LONG), count, number(ctx, [0], LONG))
    return [
        filled.held((found, rank)),
        entries.held((found,)),
        empty.held((ctx.unknown(),)),
        moved.held((length,)),
    ]


def _by_row(ctx: Context, rows: Formula) -> Formula:
    """Return the places of entries sorted by row; equal rows stay as they stand."""
    count = rows.of("Shape", dtype=LONG)
    line = number(ctx, 0, LONG).of("Range", count.squeeze(0), number(ctx, 1, LONG))
    # No two keys are equal, so that it does not matter which of equal ones comes first.
    keys = rows * count + line
    _, places = ctx.builder.ops(
        "TopK", keys.value, count.value, outputs=2, axis=0, largest=0, sorted=1, dtypes=[LONG, LONG]
    )
    return Formula(ctx, places)


def _inverse(ctx: Context, order: Formula) -> Formula:
    count = order.of("Shape", dtype=LONG)
    line = number(ctx, 0, LONG).of("Range", count.squeeze(0), number(ctx, 1, LONG))
    return line.of("ScatterND", order.unsqueeze(1), line)
