"""Sparse tensors joined, split, cut out, added and reduced to sparse tensors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.coordinates import (
    LONG,
    ascending,
    chosen,
    coordinates,
    distinct,
    extents,
    filled,
    length,
    listed,
    places,
    rank_of,
    summed,
    vector,
)
from porters.tensorflow.dims import Dim
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.node import Node
from porters.tensorflow.ops.reduction import axes_of
from porters.tensorflow.ops.shape import known
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor


def _union(ctx: Context, *operands: Tensor) -> tuple[Formula, list[Formula], list[Formula], Formula]:
    """Return where two sparse tensors have an entry, each's values there (zero for none), sizes, and where both do."""
    rank = rank_of(operands[2])
    sizes = extents(ctx, formula(ctx, operands[2], dtype=LONG), rank)
    keys = [places(ctx, formula(ctx, operands[at], dtype=LONG), sizes, list(range(rank))) for at in (0, 3)]
    found, which = distinct(keys[0].of("Concat", keys[1], axis=0))
    first = length(keys[0])
    own = [which.of("Slice", number(ctx, [0], LONG), first), which.of("Slice", first, length(which))]
    nothing = filled(ctx, length(found), 0, operands[1].dtype)
    values = [summed(nothing, at, formula(ctx, operands[place])) for at, place in zip(own, (1, 4), strict=True)]
    met = (summed(filled(ctx, length(found), 0, LONG), at, filled(ctx, length(at), 1, LONG)) for at in own)
    first_met, second_met = met
    return found, values, sizes, (first_met + second_met) > 1


@translates("SparseAdd")
def add(ctx: Context, node: Node, *operands: Tensor) -> list[Tensor]:
    """Translate a sum of two sparse tensors; sums of two entries nearer to zero than a threshold are dropped."""
    found, (a, b), sizes, both = _union(ctx, *operands[:6])
    total = a + b
    stays = ~both | (total.fn("Abs") >= formula(ctx, operands[6]))
    index = coordinates(ctx, chosen(found, stays), sizes)
    return listed(index, chosen(total, stays), formula(ctx, operands[2]), (ctx.unknown(), len(sizes)))


@translates("SparseSparseMaximum", "SparseSparseMinimum")
def extreme(ctx: Context, node: Node, *operands: Tensor) -> list[Tensor]:
    """Translate the larger (smaller) of two sparse tensors' entries; one that is missing is a zero."""
    found, (a, b), sizes, _ = _union(ctx, *operands)
    values = a.maximum(b) if node.op.endswith("Maximum") else a.minimum(b)
    count = ctx.unknown()
    return [coordinates(ctx, found, sizes).held((count, len(sizes))), values.held((count,))]


@translates("SparseConcat")
def concat(ctx: Context, node: Node, *operands: Tensor) -> list[Tensor]:
    """Translate a concatenation, its entries in the order of their coordinates."""
    count = len(operands) // 3
    rank = rank_of(operands[-1])
    axis = int(node.attr("concat_dim")) % rank
    here = number(ctx, (np.arange(rank) == axis).astype(np.int64))
    shapes = [formula(ctx, item, dtype=LONG) for item in operands[2 * count :]]
    offset, moved = shapes[0] * 0, []
    for place, shape in enumerate(shapes):
        moved.append(formula(ctx, operands[place], dtype=LONG) + offset)
        offset = offset + shape * here
    shape = shapes[0] * (1 - here) + offset
    index = moved[0].of("Concat", *moved[1:], axis=0)
    values = formula(ctx, operands[count]).of(
        "Concat", *(formula(ctx, x) for x in operands[count + 1 : 2 * count]), axis=0
    )
    order = ascending(places(ctx, index, extents(ctx, shape, rank), list(range(rank))))
    total: Dim = sum((item.shape[0] for item in operands[:count]), 0)
    return listed(index.of("Gather", order, axis=0), values.of("Gather", order, axis=0), shape, (total, rank))


@translates("SparseSlice")
def cut(ctx: Context, node: Node, *operands: Tensor) -> list[Tensor]:
    """Translate the part of a sparse tensor between a start and a size, which ends with the tensor."""
    index, shape, start, size = (formula(ctx, operands[at], dtype=LONG) for at in (0, 2, 3, 4))
    after = size.minimum(shape - start).maximum(0)
    return _part(ctx, index, formula(ctx, operands[1]), start, after, rank_of(operands[2]))


def _part(ctx: Context, index: Formula, values: Formula, start: Formula, size: Formula, rank: int) -> list[Tensor]:
    moved = index - start
    inside = (moved >= 0) & (moved < size)
    stays = inside.cast(ir.DataType.INT32).reduce("ReduceMin", [1]).cast(ir.DataType.BOOL)
    return listed(chosen(moved, stays), chosen(values, stays), size, (ctx.unknown(), rank))


@translates("SparseSplit")
def split(ctx: Context, node: Node, axis: Tensor, index: Tensor, values: Tensor, shape: Tensor) -> list[Tensor]:
    """Translate a split into parts, the first ones larger by one where it does not come out even."""
    rank, count = rank_of(shape), int(node.attr("num_split"))
    place = int(known(axis, "an axis").reshape(-1)[0]) % rank
    rows, entries, extent = formula(ctx, index, dtype=LONG), formula(ctx, values), formula(ctx, shape, dtype=LONG)
    here = number(ctx, (np.arange(rank) == place).astype(np.int64))
    whole = extent.take(place, 0)
    start, parts = whole * 0, []
    for part in range(count):
        width = (whole + (count - 1 - part)) / count
        size = extent * (1 - here) + here * width
        parts.append(_part(ctx, rows, entries, here * start, size, rank))
        start = start + width
    return [part[place] for place in range(3) for part in parts]


@translates("SparseReduceSumSparse", "SparseReduceMaxSparse")
def reduce(ctx: Context, node: Node, index: Tensor, values: Tensor, shape: Tensor, axes: Tensor) -> list[Tensor]:
    """Translate a reduction of a sparse tensor to a sparse one: an entry where there is one to reduce."""
    if node.attr("keep_dims"):
        raise Untranslatable("a reduction to a sparse tensor that keeps its axes: TensorFlow leaves coordinates unset")
    rank = rank_of(shape)
    gone = axes_of(axes, rank)
    kept = [axis for axis in range(rank) if axis not in gone]
    sizes = extents(ctx, formula(ctx, shape, dtype=LONG), rank)
    found, which = distinct(places(ctx, formula(ctx, index, dtype=LONG), sizes, kept))
    largest = node.op == "SparseReduceMaxSparse"
    lowest = np.finfo if values.dtype.is_floating_point() else np.iinfo
    base = filled(ctx, length(found), float(lowest(values.dtype.numpy()).min) if largest else 0, values.dtype)
    total = summed(base, which, formula(ctx, values), "max" if largest else "add")
    left = [sizes[axis] for axis in kept]
    return listed(coordinates(ctx, found, left), total, vector(ctx, left), (ctx.unknown(), len(kept)))
