"""How often numbers are met in the rows of dense, sparse and ragged tensors."""

from __future__ import annotations

import numpy as np

from porters.tensorflow.context import Context
from porters.tensorflow.coordinates import (
    LONG,
    chosen,
    counting,
    distinct_rows,
    filled,
    length,
    listed,
    rank_of,
    row_of,
    summed,
    vector,
)
from porters.tensorflow.formula import Formula, formula, number, sizes
from porters.tensorflow.node import Node
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor


def _weights(ctx: Context, values: Formula, weights: Tensor, *, binary: bool) -> Formula:
    """Return what each number counts for: one, where there are no weights."""
    if binary or (weights.shape and weights.shape[0] == 0):
        return filled(ctx, length(values), 1, weights.dtype)
    return formula(ctx, weights).reshape([-1])


def _dense_rows(ctx: Context, x: Tensor) -> tuple[Formula, Formula | None]:
    """Return the row of each element, and how many rows there are where the result has them."""
    total = sizes(ctx, x.shape).of("ReduceProd", [0], keepdims=1)
    if x.rank < 2:
        return filled(ctx, total, 0, LONG), None
    return counting(ctx, total) / sizes(ctx, x.shape[1:]), sizes(ctx, x.shape[:1])


def _sparse_rows(ctx: Context, index: Tensor, shape: Tensor) -> tuple[Formula, Formula | None]:
    at = formula(ctx, index, dtype=LONG)
    if rank_of(shape) < 2:
        return filled(ctx, length(at), 0, LONG), None
    return at.take(0, 1), formula(ctx, shape, dtype=LONG).slice(0, 1, 0)


def _ragged_rows(ctx: Context, splits: Tensor) -> tuple[Formula, Formula]:
    ends = formula(ctx, splits, dtype=LONG)
    return row_of(ends), length(ends) - 1


@translates("DenseCountSparseOutput")
def dense_count(ctx: Context, node: Node, x: Tensor, weights: Tensor) -> list[Tensor]:
    """Translate the counts of the numbers in each row, as a sparse tensor (count_ops.cc)."""
    return _counted(ctx, node, *_dense_rows(ctx, x), formula(ctx, x, dtype=LONG).reshape([-1]), weights)


@translates("SparseCountSparseOutput")
def sparse_count(
    ctx: Context, node: Node, index: Tensor, values: Tensor, shape: Tensor, weights: Tensor
) -> list[Tensor]:
    """Translate the counts of a sparse tensor's numbers in each row, as a sparse tensor."""
    return _counted(ctx, node, *_sparse_rows(ctx, index, shape), formula(ctx, values, dtype=LONG), weights)


@translates("RaggedCountSparseOutput")
def ragged_count(ctx: Context, node: Node, splits: Tensor, values: Tensor, weights: Tensor) -> list[Tensor]:
    """Translate the counts of a ragged tensor's numbers in each row, as a sparse tensor."""
    return _counted(ctx, node, *_ragged_rows(ctx, splits), formula(ctx, values, dtype=LONG), weights)


def _counted(
    ctx: Context, node: Node, rows: Formula, height: Formula | None, values: Formula, weights: Tensor
) -> list[Tensor]:
    most, least = int(node.attr("maxlength")), int(node.attr("minlength"))
    binary = bool(node.attr("binary_output"))
    shares = _weights(ctx, values, weights, binary=binary)
    if most >= 0:
        inside = values < most
        rows, values, shares = (chosen(item, inside) for item in (rows, values, shares))
    pairs, which = distinct_rows(rows.unsqueeze(1).of("Concat", values.unsqueeze(1), axis=1))
    counts = summed(filled(ctx, length(pairs), 0, weights.dtype), which, shares, "max" if binary else "add")
    # One more number below all: there may be none.
    largest = values.of("Concat", number(ctx, [-1], LONG), axis=0).reduce("ReduceMax", [0])
    width = number(ctx, most, LONG) if most >= 0 else (largest + 1).maximum(least)
    if height is None:
        return listed(pairs.slice(1, 2, 1), counts, vector(ctx, [width]), (ctx.unknown(), 1))
    return listed(pairs, counts, vector(ctx, [height, width]), (ctx.unknown(), 2))


@translates("SparseBincount")
def sparse_bins(
    ctx: Context, node: Node, index: Tensor, values: Tensor, shape: Tensor, size: Tensor, weights: Tensor
) -> Tensor:
    """Translate the counts of a sparse tensor's numbers, those beyond the last bin left out (bincount_op.cc)."""
    return _bins(ctx, node, *_sparse_rows(ctx, index, shape), formula(ctx, values, dtype=LONG), size, weights)


@translates("RaggedBincount")
def ragged_bins(ctx: Context, node: Node, splits: Tensor, values: Tensor, size: Tensor, weights: Tensor) -> Tensor:
    """Translate the counts of a ragged tensor's numbers, those beyond the last bin left out (bincount_op.cc)."""
    return _bins(ctx, node, *_ragged_rows(ctx, splits), formula(ctx, values, dtype=LONG), size, weights)


def _bins(
    ctx: Context,
    node: Node,
    rows: Formula,
    height: Formula | None,
    values: Formula,
    size: Tensor,
    weights: Tensor,
) -> Tensor:
    binary = bool(node.attr("binary_output"))
    shares = _weights(ctx, values, weights, binary=binary)
    bins = formula(ctx, size, dtype=LONG).reshape([1])
    inside = values < bins
    at, shares = chosen(rows * bins + values, inside), chosen(shares, inside)
    lead = number(ctx, np.ones(1), LONG) if height is None else height
    total = summed(filled(ctx, lead * bins, 0, weights.dtype), at, shares, "max" if binary else "add")
    width = ctx.unknown() if size.array is None else int(size.array.reshape(-1)[0])
    if height is None:
        return total.held((width,))
    return total.reshape(vector(ctx, [height, bins])).held((ctx.unknown(), width))
