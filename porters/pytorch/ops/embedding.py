"""Embeddings: rows of a table, single or in bags."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from porters.pytorch.ops.indexing import as_index
from porters.pytorch.ops.reduction import p_norm
from porters.pytorch.ops.shared import flat, known
from porters.pytorch.registry import Context, translates


@translates("aten.embedding")
def embedding(c: Context, weight: ir.Value, indices: ir.Value, *_: Any) -> ir.Value:
    """Gather on the first axis."""
    return c.op("Gather", weight, as_index(c, indices), axis=0)


@translates("aten.embedding_renorm")
def embedding_renorm(c: Context, weight: ir.Value, indices: ir.Value, limit: float, order: float) -> ir.Value:
    """The table with the rows that are looked up scaled down to ``limit`` where their norm is larger."""
    places = c.op("Unsqueeze", flat(c, as_index(c, indices)), [1])
    rows = c.op("GatherND", weight, places)
    width = c.sizes_of(weight)[1]
    length = p_norm(c, known(c, rows, [-1, width]), order, [1], keep=True)
    scale = c.op("Div", c.const(limit, c.dtype), c.op("Add", length, 1e-7))
    scaled = c.op("Where", c.op("Greater", length, float(limit)), c.op("Mul", rows, scale), rows)
    return c.op("ScatterND", weight, places, scaled)


@translates("aten.embedding_bag")
def embedding_bag(
    c: Context, weight: ir.Value, indices: ir.Value, offsets: ir.Value, scale_grad: bool = False, mode: int = 0,
    sparse: bool = False, per_sample: ir.Value | None = None, include_last: bool = False, padding: int | None = None,
) -> tuple[ir.Value]:  # fmt: skip
    """The sum, mean or maximum of the rows of each bag; what only training reads is not translated."""
    bags = c.op("Unsqueeze", _bag_numbers(c, indices, offsets, include_last), [1])
    rows = c.op("Gather", weight, as_index(c, indices), axis=0)
    if per_sample is not None:
        rows = c.op("Mul", rows, c.op("Unsqueeze", per_sample, [1]))
    used = _used(c, weight, indices, padding)
    if mode == 2:
        least = c.const(float("-inf"), c.dtype)
        highest = _gathered(c, least, bags, c.op("Where", c.op("Unsqueeze", used, [1]), rows, least), "max")
        return (c.op("Where", c.op("IsInf", highest), c.const(0, c.dtype), highest),)
    weights = c.cast(used, c.dtype)
    if padding is not None:
        rows = c.op("Mul", rows, c.op("Unsqueeze", weights, [1]))
    total = _gathered(c, c.const(0, c.dtype), bags, rows, "add")
    if mode == 0:
        return (total,)
    count = c.op("Expand", c.const(0, c.dtype), c.vector(c.shape[:1]))
    count = c.op("ScatterND", count, bags, weights, reduction="add")
    return (c.op("Div", total, c.op("Unsqueeze", c.op("Max", count, 1.0), [1])),)


def _gathered(c: Context, start: ir.Value, bags: ir.Value, rows: ir.Value, reduction: str) -> ir.Value:
    return c.op("ScatterND", c.op("Expand", start, c.vector(c.shape)), bags, rows, reduction=reduction)


def _used(c: Context, weight: ir.Value, indices: ir.Value, padding: int | None) -> ir.Value:
    """Say which indices count: all but the padding's."""
    if padding is None:
        return c.op("Equal", indices, indices)
    count = c.sizes_of(weight)[0]
    place = padding if padding >= 0 or not isinstance(count, int) else padding + count
    return c.op("Not", c.op("Equal", indices, place))


def _bag_numbers(c: Context, indices: ir.Value, offsets: ir.Value, include_last: bool) -> ir.Value:
    """Return the bag of each index: the running sum of ones put where bags start, less one."""
    integer = ir.DataType.INT64
    starts = c.op("Slice", offsets, [0], [-1], [0]) if include_last else offsets
    marks = c.op("Expand", c.const(0, integer), c.op("Add", c.op("Shape", indices), [1]))
    ones = c.op("Expand", c.const(1, integer), c.op("Shape", starts))
    marks = c.op("ScatterND", marks, c.op("Unsqueeze", c.cast(starts, integer), [1]), ones, reduction="add")
    marks = c.op("Slice", marks, [0], [-1], [0])
    return c.op("Sub", c.op("CumSum", marks, c.const(0, integer)), 1)
