"""Reductions of runs of a tensor, and the most frequent value of one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.shared import END, is_float, known, permuted, static
from porters.pytorch.registry import Context, Size, translates

# torch's reductions: ONNX's operator, its neutral value, and how an initial value joins.
_REDUCTIONS = {
    "sum": ("ReduceSum", 0.0, "Add"),
    "mean": ("ReduceSum", 0.0, "Add"),
    "prod": ("ReduceProd", 1.0, "Mul"),
    "max": ("ReduceMax", -np.inf, "Max"),
    "min": ("ReduceMin", np.inf, "Min"),
}
# std::sort keeps the order of equal elements up to this many; beyond, which index torch names is anybody's guess.
_STABLE = 16


@translates("aten.segment_reduce")
def segment_reduce(
    c: Context, x: ir.Value, reduce: str, *, lengths: ir.Value | None = None, indices: ir.Value | None = None,
    offsets: ir.Value | None = None, axis: int = 0, unsafe: bool = False, initial: float | None = None,
) -> ir.Value:  # fmt: skip
    """Everything outside a segment is masked by the neutral value, for each segment."""
    if indices is not None or (lengths is None and offsets is None):
        raise NotImplementedError("segment_reduce by indices")
    first, last = _bounds(c, lengths, offsets)
    sizes = c.sizes_of(x)
    axis = c.axis(x, axis)
    places = c.const(np.arange(static(sizes[axis], "segment_reduce")), ir.DataType.INT64)
    inside = c.op("And", c.op("GreaterOrEqual", places, first), c.op("Less", places, last))
    trailing = len(sizes) - axis - 1
    if trailing:
        inside = c.op("Unsqueeze", inside, [axis + 2 + i for i in range(trailing)])
    op_type, neutral, join = _REDUCTIONS[reduce]
    wide = c.op("Where", inside, c.op("Unsqueeze", x, [axis]), c.const(neutral, c.dtype))
    result = c.op(op_type, wide, c.const([axis + 1], ir.DataType.INT64), keepdims=0)
    if initial is not None:
        result = c.op(join, result, c.const(initial, c.dtype))
    if reduce != "mean":
        return result
    counts = c.op("ReduceSum", c.cast(inside, c.dtype), c.const([axis + 1], ir.DataType.INT64), keepdims=0)
    mean = c.op("Div", result, counts)
    if initial is None:  # nothing divided by nothing is torch's answer too
        return mean
    return c.op("Where", c.op("Equal", counts, 0.0), result, mean)


def _bounds(c: Context, lengths: ir.Value | None, offsets: ir.Value | None) -> tuple[ir.Value, ir.Value]:
    """Return the first place of each segment and the one behind its last, both [..., segments, 1]."""
    if offsets is not None:
        rank = c.rank(offsets)
        first = c.op("Slice", offsets, [0], [-1], [rank - 1])
        last = c.op("Slice", offsets, [1], [END], [rank - 1])
    else:
        assert lengths is not None
        rank = c.rank(lengths)
        last = c.op("CumSum", c.cast(lengths, ir.DataType.INT64), c.const(rank - 1, ir.DataType.INT64))
        first = c.op("Sub", last, c.cast(lengths, ir.DataType.INT64))
    wide = [c.op("Unsqueeze", c.cast(item, ir.DataType.INT64), [rank]) for item in (first, last)]
    return wide[0], wide[1]


@translates("aten.mode")
def mode(c: Context, x: ir.Value, axis: int = -1, keep: bool = False) -> tuple[ir.Value, ...]:
    """The smallest of the values met most often, and the last place where it stands."""
    if not is_float(x) and x.dtype not in (ir.DataType.INT64, ir.DataType.INT32):
        raise NotImplementedError("the mode of narrow integers")
    if c.rank(x) == 0:
        return x, c.const(0, ir.DataType.INT64)
    axis = c.axis(x, axis)
    order = [*(i for i in range(c.rank(x)) if i != axis), axis]
    rows = permuted(c, x, order)
    end = c.rank(x) - 1
    same = c.op("Equal", c.op("Unsqueeze", rows, [end + 1]), c.op("Unsqueeze", rows, [end]))
    counts = c.op("ReduceSum", c.cast(same, ir.DataType.INT64), [end + 1], keepdims=0)
    often = c.op("Equal", counts, c.op("ReduceMax", counts, [end], keepdims=1))
    assert x.dtype is not None
    limit = np.inf if is_float(x) else np.iinfo(x.dtype.numpy()).max
    values = c.op("ReduceMin", c.op("Where", often, rows, c.const(limit, x.dtype)), [end], keepdims=1)
    count: Size = c.sizes_of(x)[axis]
    results = [values]
    if isinstance(count, int) and count <= _STABLE:
        places = c.const(np.arange(count), ir.DataType.INT64)
        at = c.op("Where", c.op("Equal", rows, values), places, c.const(-1, ir.DataType.INT64))
        results.append(c.op("ReduceMax", at, [end], keepdims=1))
    if not keep:
        return tuple(c.op("Squeeze", item, [end]) for item in results)
    back = [order.index(i) for i in range(c.rank(x))]
    return tuple(permuted(c, known(c, item, [*c.sizes_of(rows)[:-1], 1]), back) for item in results)
