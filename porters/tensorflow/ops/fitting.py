"""Fits and neighbours: the closest centres, the closest falling sequence, the axes along which gradients are summed."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.coordinates import chosen
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.moves import static
from porters.tensorflow.node import Node
from porters.tensorflow.ops.shape import known
from porters.tensorflow.ops.sorting import result_dtype
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor

DOUBLE, FLOAT, LONG = ir.DataType.DOUBLE, ir.DataType.FLOAT, ir.DataType.INT64


@translates("NearestNeighbors")
def nearest(ctx: Context, node: Node, points: Tensor, centers: Tensor, k: Tensor) -> list[Tensor]:
    """Translate the closest centres of each point and their squared distances (clustering_ops.cc)."""
    (total,) = static(centers.shape[:1], "centres")
    count = min(int(known(k, "how many neighbours").reshape(())), total)
    apart = formula(ctx, points, dtype=DOUBLE).unsqueeze(1) - formula(ctx, centers, dtype=DOUBLE).unsqueeze(0)
    distances = (apart * apart).reduce("ReduceSum", [2])
    values, places = ctx.builder.ops(
        "TopK", distances.value, [count], axis=1, largest=0, sorted=1, outputs=2, dtypes=[DOUBLE, LONG]
    )
    shape = (points.shape[0], count)
    return [Formula(ctx, places).held(shape), Formula(ctx, values).cast(FLOAT).held(shape)]


@translates("IsotonicRegression")
def isotonic(ctx: Context, node: Node, x: Tensor) -> list[Tensor]:
    """Translate the closest sequence that never rises, and which of its steps each entry is on.

    An entry is the least, over all starts before it, of the largest mean of a stretch from there to an end behind it
    (Robertson, Wright and Dykstra, Order Restricted Statistical Inference, theorem 1.4.4).
    """
    (count,) = static(x.shape[-1:], "a sequence")
    axis = x.rank - 1
    sums = formula(ctx, x, dtype=DOUBLE).of("CumSum", number(ctx, axis))
    before = sums - formula(ctx, x, dtype=DOUBLE)
    line = np.arange(count)
    lengths = line[None, :] - line[:, None] + 1.0
    # Of stretches that end before they start there is no mean.
    means = (sums.unsqueeze(axis) - before.unsqueeze(axis + 1)) / number(ctx, np.where(lengths > 0, lengths, 1.0))
    best = means.unsqueeze(axis)
    entry = line.reshape(-1, 1, 1)
    ends, starts = line.reshape(1, 1, -1) >= entry, line.reshape(1, -1, 1) <= entry
    best = number(ctx, ends & (lengths > 0)).where(best, float("-inf")).reduce("ReduceMax", [axis + 2])
    fitted = number(ctx, starts[:, :, 0]).where(best, float("inf")).reduce("ReduceMin", [axis + 1])
    steps = ~fitted.slice(1, count, axis).equals(fitted.slice(0, count - 1, axis))
    level = steps.cast(ir.DataType.INT32).of("CumSum", number(ctx, axis))
    first = number(ctx, [0] * axis + [1] + [0] * (axis + 1))
    found = level.of("Pad", first, number(ctx, 0, ir.DataType.INT32))
    return [fitted.cast(result_dtype(node)).held(x.shape), found.held(x.shape)]


@translates("BroadcastGradientArgs")
def reduced_axes(ctx: Context, node: Node, a: Tensor, b: Tensor) -> list[Tensor]:
    """Translate the axes along which each of two shapes is repeated to meet the other (bcast_ops.cc)."""
    lengths = [static(item.shape, "a shape")[0] for item in (a, b)]
    total = max(lengths)
    dims = [
        formula(ctx, item).of("Pad", number(ctx, [total - size, 0]), number(ctx, 1, item.dtype))
        for item, size in zip((a, b), lengths, strict=True)
    ]
    line = number(ctx, np.arange(total), a.dtype)
    same = dims[0].equals(dims[1])
    # Shapes that are the same need no sums at all; else an axis of size one in both counts for both.
    differ = (~same).cast(ir.DataType.INT32).reduce("ReduceMax", [0]).cast(ir.DataType.BOOL)
    return [chosen(line, dim.equals(1) & differ).held((ctx.unknown(),)) for dim in dims]
