"""Sparse tensors of shapes known only when the model runs: coordinates counted anew, empty rows filled."""

from __future__ import annotations

from porters.tensorflow.context import Context
from porters.tensorflow.coordinates import (
    LONG,
    ascending,
    chosen,
    coordinates,
    counting,
    extents,
    filled,
    inverse_order,
    length,
    places,
    rank_of,
    summed,
)
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.node import Node
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor


@translates("SparseReshape")
def sparse_reshape(ctx: Context, node: Node, indices: Tensor, before: Tensor, after: Tensor) -> list[Tensor]:
    """Translate other coordinates for the same entries: each as its place in row-major order, counted anew."""
    old, new = formula(ctx, before, dtype=LONG), formula(ctx, after, dtype=LONG)
    ranks = rank_of(before), rank_of(after)
    # One size may be -1, and then the product of all is minus that of the others.
    total, others = old.of("ReduceProd", [0], keepdims=1), new.of("ReduceProd", [0], keepdims=1)
    new = new.equals(-1).where(total / others * number(ctx, -1, LONG), new)
    at = places(ctx, formula(ctx, indices, dtype=LONG), extents(ctx, old, ranks[0]), list(range(ranks[0])))
    return [coordinates(ctx, at, extents(ctx, new, ranks[1])).held((indices.shape[0], ranks[1])), new.held((ranks[1],))]


@translates("SparseFillEmptyRows")
def sparse_fill_empty_rows(
    ctx: Context, node: Node, indices: Tensor, values: Tensor, shape: Tensor, default: Tensor
) -> list[Tensor]:
    """Translate an entry for each row without one; entries are in the order of their rows, as they were within one."""
    height = formula(ctx, shape, dtype=LONG).slice(0, 1, 0)
    return _filled(ctx, formula(ctx, indices, dtype=LONG), height, values, default, rank_of(shape))


@translates("RaggedFillEmptyRows")
def ragged_fill_empty_rows(
    ctx: Context, node: Node, rows: Tensor, values: Tensor, height: Tensor, default: Tensor
) -> list[Tensor]:
    """Translate an entry for each row without one, where the rows are numbers."""
    index = formula(ctx, rows, dtype=LONG).unsqueeze(1)
    found, *rest = _filled(ctx, index, formula(ctx, height, dtype=LONG).reshape([1]), values, default, 1)
    return [ctx.reshape(found, found.shape[:1]), *rest]


def _filled(ctx: Context, index: Formula, height: Formula, values: Tensor, default: Tensor, rank: int) -> list[Tensor]:
    rows = index.take(0, 1)
    met = summed(filled(ctx, height, 0, LONG), rows, filled(ctx, length(rows), 1, LONG))
    empty = met.equals(0)
    missing = chosen(counting(ctx, height), empty)
    added = missing.unsqueeze(1)
    if rank > 1:
        added = added.of("Pad", number(ctx, [0, 0, 0, rank - 1], LONG), number(ctx, 0, LONG))
    more = formula(ctx, default).of("Expand", length(missing))
    order = _by_row(ctx, rows.of("Concat", missing, axis=0))
    found = ctx.unknown()
    moved = inverse_order(order).of("Slice", number(ctx, [0], LONG), length(rows), number(ctx, [0], LONG))
    return [
        index.of("Concat", added, axis=0).of("Gather", order, axis=0).held((found, rank)),
        formula(ctx, values).of("Concat", more, axis=0).of("Gather", order, axis=0).held((found,)),
        empty.held((ctx.unknown(),)),
        moved.held((values.shape[0],)),
    ]


def _by_row(ctx: Context, rows: Formula) -> Formula:
    """Return the places of entries sorted by row; equal rows stay as they stand."""
    # No two keys are equal, so that it does not matter which of equal ones comes first.
    return ascending(rows * length(rows) + counting(ctx, length(rows)))
