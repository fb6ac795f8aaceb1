"""Ragged tensors, which are rows of several lengths one behind the other: gathered, and made dense or sparse."""

from __future__ import annotations

import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.coordinates import LONG, counting, length, listed, row_of, vector, within
from porters.tensorflow.formula import Formula, formula, number, sizes
from porters.tensorflow.node import Node
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor


def _flattened(starts: Formula, counts: Formula) -> tuple[Formula, Formula]:
    """Return where the entries of some rows stand, and where each row now begins and ends."""
    ctx = starts.ctx
    ends = counts.of("CumSum", number(ctx, 0))
    splits = number(ctx, [0], LONG).of("Concat", ends, axis=0)
    rows = row_of(splits)
    line = counting(ctx, length(rows))
    before = splits.of("Gather", rows, axis=0)
    return starts.of("Gather", rows, axis=0) + line - before, splits


@translates("RaggedGather")
def gather(ctx: Context, node: Node, *operands: Tensor) -> list[Tensor]:
    """Translate chosen rows of a ragged tensor, level by level (ragged_gather_op.cc)."""
    *levels, values, chosen = operands
    dtype = levels[0].dtype
    found: list[Tensor] = []
    # Of indices with several axes all but the last are levels of equal lengths.
    for axis in range(chosen.rank - 1):
        rows = sizes(ctx, chosen.shape[: axis + 1]).of("ReduceProd", [0], keepdims=1)
        line = counting(ctx, rows + 1) * sizes(ctx, chosen.shape[axis + 1 : axis + 2])
        found.append(line.cast(dtype).held((ctx.unknown(),)))
    index = formula(ctx, chosen, dtype=LONG).reshape([-1])
    for level in levels:
        splits = formula(ctx, level, dtype=LONG)
        starts = splits.of("Gather", index, axis=0)
        index, after = _flattened(starts, splits.of("Gather", index + 1, axis=0) - starts)
        found.append(after.cast(dtype).held((ctx.unknown(),)))
    taken = formula(ctx, values).of("Gather", index, axis=0)
    return [*found, taken.held((ctx.unknown(), *values.shape[1:]))]


def _spread(ctx: Context, levels: list[Formula], count: Formula) -> tuple[list[Formula], list[Formula]]:
    """Return the coordinates of each entry and the largest number of entries in a row, level by level.

    Args:
        ctx: Emits.
        levels: For each level the row in which each of its entries stands.
        count: How many rows the first level has, as a vector of one element.
    """
    columns: list[Formula] = []
    widths: list[Formula] = []
    for level, rows in enumerate(levels):
        place, counts = within(rows, count)
        # One more zero: there may be no row at all.
        widths.append(counts.of("Concat", number(ctx, [0], LONG), axis=0).reduce("ReduceMax", [0]))
        columns = [item.of("Gather", rows, axis=0) for item in columns] or [rows]
        columns.append(place)
        count = length(rows)
        assert len(columns) == level + 2
    return columns, widths


def _index(columns: list[Formula]) -> Formula:
    head, *tail = (item.unsqueeze(1) for item in columns)
    return head.of("Concat", *tail, axis=1) if tail else head


@translates("RaggedTensorToSparse")
def to_sparse(ctx: Context, node: Node, *operands: Tensor) -> list[Tensor]:
    """Translate a ragged tensor as a sparse one (ragged_tensor_to_sparse_kernel.cc)."""
    *levels, values = operands
    splits = [formula(ctx, item, dtype=LONG) for item in levels]
    height = length(splits[0]) - 1
    columns, widths = _spread(ctx, [row_of(item) for item in splits], height)
    inner = sizes(ctx, values.shape[1:])
    shape = vector(ctx, [height, *widths])
    rank = len(columns) + values.rank - 1
    if values.rank > 1:
        each = inner.of("ReduceProd", [0], keepdims=1)
        line = counting(ctx, length(columns[0]) * each)
        owner, rest = line / each, line.of("Mod", each)
        columns = [item.of("Gather", owner, axis=0) for item in columns]
        for axis in range(values.rank - 1):
            step = sizes(ctx, values.shape[axis + 2 :]).of("ReduceProd", [0], keepdims=1)
            columns.append((rest / step).of("Mod", inner.slice(axis, axis + 1, 0)))
        shape = shape.of("Concat", inner, axis=0)
    return listed(_index(columns), formula(ctx, values).reshape([-1]), shape, (ctx.unknown(), rank))


@translates("RaggedTensorToTensor")
def to_dense(ctx: Context, node: Node, shape: Tensor, values: Tensor, default: Tensor, *parts: Tensor) -> Tensor:
    """Translate a ragged tensor as a dense one: short rows filled, long ones cut (ragged_tensor_to_tensor_op.cc)."""
    kinds = [item.decode() if isinstance(item, bytes) else str(item) for item in node.attr("row_partition_types")]
    if set(kinds) - {"FIRST_DIM_SIZE", "VALUE_ROWIDS", "ROW_SPLITS"}:
        raise Untranslatable(f"rows given as {', '.join(kinds)}")
    given = [formula(ctx, item, dtype=LONG) for item in parts]
    if kinds[0] == "FIRST_DIM_SIZE":
        height, given, kinds = given[0].reshape([1]), given[1:], kinds[1:]
    else:
        height = length(given[0]) - 1
    levels = [row_of(item) if kind == "ROW_SPLITS" else item for item, kind in zip(given, kinds, strict=True)]
    columns, widths = _spread(ctx, levels, height)
    inner = sizes(ctx, values.shape[1:])
    natural = vector(ctx, [height, *widths]).of("Concat", inner, axis=0)
    wanted = formula(ctx, shape, dtype=LONG)
    extent = (wanted < 0).where(natural, wanted)
    index = _index(columns)
    inside = index < extent.slice(0, len(columns), 0)
    stays = inside.cast(ir.DataType.INT32).reduce("ReduceMin", [1]).cast(ir.DataType.BOOL)
    base = formula(ctx, default).of("Expand", extent)
    entries = formula(ctx, values).of("Compress", stays, axis=0)
    found = base.of("ScatterND", index.of("Compress", stays, axis=0), entries)
    return found.held(ctx.shape_of(node))
