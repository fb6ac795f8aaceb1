"""Reductions over segments: rows with equal numbers are added up, multiplied, averaged or compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Dim, from_array, product
from porters.tensorflow.formula import Formula, formula, number, sizes
from porters.tensorflow.node import Node
from porters.tensorflow.ops.scatter import LONG, filled
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor

SCATTERS = {"Sum": "add", "Prod": "mul", "Max": "max", "Min": "min", "Mean": "add", "SqrtN": "add"}


def _neutral(kind: str, dtype: ir.DataType) -> Any:
    """What a reduction starts from, and what the unsorted ones have for an empty segment."""
    if kind in ("Max", "Min"):
        limits: Any = np.finfo(dtype.numpy()) if dtype.is_floating_point() else np.iinfo(dtype.numpy())
        return limits.min if kind == "Max" else limits.max
    return 1 if kind == "Prod" else 0


def _scattered(ctx: Context, kind: str, rows: Formula, data: Formula, ids: Formula, rest: Any) -> Formula:
    """Return one row for each segment; what has a negative number goes to a row of its own, which is cut off."""
    places = (ids < 0).where(rows, ids).unsqueeze(1)
    base = filled(ctx, rows + 1, rest, _neutral(kind, data.dtype), data.dtype)
    total = base.of("ScatterND", places, data, reduction=SCATTERS[kind])
    return total.of("Slice", [0], rows, [0])


def _counted(ctx: Context, rows: Formula, ids: Formula, dtype: ir.DataType) -> Formula:
    ones = number(ctx, 1, dtype).of("Expand", ids.of("Shape", dtype=LONG))
    return _scattered(ctx, "Sum", rows, ones, ids, ())


def _segments(
    ctx: Context, kind: str, x: Tensor, ids: Tensor, rows: tuple[Dim, Formula], *, zero_empty: bool = False
) -> Tensor:
    rest = x.shape[ids.rank :]
    length = product(ids.shape)
    data = formula(ctx, ctx.reshape(x, (length, *rest)))
    labels = formula(ctx, ctx.reshape(ids, (length,)), dtype=LONG)
    total = _scattered(ctx, kind, rows[1], data, labels, rest)
    if kind in ("Mean", "SqrtN") or zero_empty:
        counts = _counted(ctx, rows[1], labels, x.dtype)
        counts = counts.reshape([-1] + [1] * len(rest))
        if zero_empty:
            total = counts.equals(0).where(0, total)
        else:
            divisor = counts.maximum(1)
            total = total / (divisor if kind == "Mean" else divisor.fn("Sqrt"))
    return total.held((rows[0], *rest))


def _last(ctx: Context, ids: Tensor) -> tuple[Dim, Formula]:
    """Return how many segments sorted numbers name."""
    if ids.array is not None and ids.array.dtype != object:
        count = int(ids.array.reshape(-1)[-1]) + 1
        return count, sizes(ctx, [count])
    return ctx.unknown(), formula(ctx, ids, dtype=LONG).slice(-1, np.iinfo(np.int64).max, 0) + 1


def _given(ctx: Context, count: Tensor) -> tuple[Dim, Formula]:
    if count.array is not None:
        (dim,) = from_array(count.array.reshape(-1))
        return dim, sizes(ctx, [dim])
    return ctx.unknown(), formula(ctx, count, dtype=LONG).reshape([1])


@translates("SegmentSum", "SegmentProd", "SegmentMean", "SegmentMax", "SegmentMin")
def segments(ctx: Context, node: Node, x: Tensor, ids: Tensor) -> Tensor:
    """Translate a reduction over runs of equal numbers; an extreme of nothing is zero."""
    kind = node.op.removeprefix("Segment")
    return _segments(ctx, kind, x, ids, _last(ctx, ids), zero_empty=kind in ("Max", "Min"))


@translates("UnsortedSegmentSum", "UnsortedSegmentProd", "UnsortedSegmentMax", "UnsortedSegmentMin")
def numbered_segments(ctx: Context, node: Node, x: Tensor, ids: Tensor, count: Tensor) -> Tensor:
    """Translate a reduction over a given number of segments; what has a negative number is left out."""
    kind = node.op.removeprefix("UnsortedSegment")
    return _segments(ctx, kind, x, ids, _given(ctx, count))


@translates(
    *("SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN"),
    *("SparseSegmentSumWithNumSegments", "SparseSegmentMeanWithNumSegments", "SparseSegmentSqrtNWithNumSegments"),
)
def sparse_segments(
    ctx: Context, node: Node, x: Tensor, rows: Tensor, ids: Tensor, count: Tensor | None = None
) -> Tensor:
    """Translate a reduction over segments of chosen rows."""
    kind = node.op.removeprefix("SparseSegment").removesuffix("WithNumSegments")
    chosen = formula(ctx, x).of("Gather", formula(ctx, rows, dtype=LONG), axis=0).held((*rows.shape, *x.shape[1:]))
    return _segments(ctx, kind, chosen, ids, _given(ctx, count) if count is not None else _last(ctx, ids))
