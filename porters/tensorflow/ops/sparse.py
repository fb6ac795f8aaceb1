"""Sparse tensors as what they consist of: coordinates, values and a shape; the results that are dense or as sparse."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape, from_array
from porters.tensorflow.formula import Formula, formula, number, sizes
from porters.tensorflow.node import Node
from porters.tensorflow.ops.reduction import axes_of, reduced
from porters.tensorflow.ops.shape import known
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor, logical

LONG = ir.DataType.INT64


def dense(ctx: Context, places: Tensor, values: Tensor, shape: Shape, fill: float = 0.0, how: str = "add") -> Formula:
    """Return a sparse tensor as a dense one; entries that meet are added up (or compared)."""
    base = number(ctx, fill, values.dtype).of("Expand", sizes(ctx, shape))
    return base.of("ScatterND", formula(ctx, places, dtype=LONG), formula(ctx, values), reduction=how)


def _shape(shape: Tensor) -> Shape:
    return from_array(known(shape, "the shape of a sparse tensor"))


@translates("SparseTensorDenseMatMul")
def product(ctx: Context, node: Node, places: Tensor, values: Tensor, shape: Tensor, b: Tensor) -> Tensor:
    """Translate a product of a sparse matrix and a dense one."""
    extent = _shape(shape)
    left, right = dense(ctx, places, values, extent), formula(ctx, b)
    rows, columns = extent[0], b.shape[1]
    if node.attr("adjoint_a"):
        left, rows = left.transpose(1, 0), extent[1]
    if node.attr("adjoint_b"):
        right, columns = right.transpose(1, 0), b.shape[0]
    return left.of("MatMul", right).held((rows, columns))


@translates("SparseTensorDenseAdd")
def total(ctx: Context, node: Node, places: Tensor, values: Tensor, shape: Tensor, b: Tensor) -> Tensor:
    """Translate a sum of a sparse tensor and a dense one."""
    index = formula(ctx, places, dtype=LONG)
    return formula(ctx, b).of("ScatterND", index, formula(ctx, values), reduction="add").held(b.shape)


@translates("SparseDenseCwiseMul", "SparseDenseCwiseDiv", "SparseDenseCwiseAdd")
def beside_dense(ctx: Context, node: Node, places: Tensor, values: Tensor, shape: Tensor, b: Tensor) -> Tensor:
    """Translate arithmetic of a sparse tensor's values with the dense entries where they stand."""
    whole = formula(ctx, b).of("Expand", sizes(ctx, _shape(shape)))
    other, own = whole.of("GatherND", formula(ctx, places, dtype=LONG)), formula(ctx, values)
    return _joined(node.op[-3:], own, other).held(values.shape)


def _joined(name: str, a: Formula, b: Formula) -> Formula:
    return a * b if name == "Mul" else a / b if name == "Div" else a + b


@translates("SparseReduceSum", "SparseReduceMax")
def reduce(ctx: Context, node: Node, places: Tensor, values: Tensor, shape: Tensor, axes: Tensor) -> Tensor:
    """Translate a reduction of a sparse tensor to a dense one; a largest entry of nothing is zero."""
    extent, keep = _shape(shape), bool(node.attr("keep_dims"))
    where = axes_of(axes, len(extent))
    if not where:
        return dense(ctx, places, values, extent).held(extent)
    after, _ = reduced(extent, logical(len(extent)), where, keep)
    if node.op == "SparseReduceSum":
        return dense(ctx, places, values, extent).reduce("ReduceSum", where, keep=keep).held(after)
    lowest = float(np.finfo(np.float32).min) if values.dtype.is_floating_point() else np.iinfo(np.int32).min
    best = dense(ctx, places, values, extent, lowest, "max").reduce("ReduceMax", where, keep=keep)
    return best.equals(lowest).where(0, best).held(after)


@translates("SparseReorder")
def reorder(ctx: Context, node: Node, places: Tensor, values: Tensor, shape: Tensor) -> list[Tensor]:
    """Translate entries brought into the order of their coordinates."""
    extent = [int(dim) for dim in _shape(shape) if isinstance(dim, int)]
    steps = [int(np.prod(extent[axis + 1 :], dtype=np.int64)) for axis in range(len(extent))]
    index = formula(ctx, places, dtype=LONG)
    line = (index * number(ctx, np.array(steps))).reduce("ReduceSum", [1])
    count = line.of("Shape", dtype=LONG)
    _, order = ctx.builder.ops("TopK", line.value, count.value, axis=0, largest=0, outputs=2, dtypes=[LONG, LONG])
    chosen = Formula(ctx, order)
    return [
        index.of("Gather", chosen, axis=0).held(places.shape),
        formula(ctx, values).of("Gather", chosen, axis=0).held(values.shape),
    ]


@translates("SparseSoftmax")
def softmax(ctx: Context, node: Node, places: Tensor, values: Tensor, shape: Tensor) -> Tensor:
    """Translate a softmax over the entries of each row, what is not there left out."""
    extent = _shape(shape)
    lowest = float("-inf")
    base = number(ctx, lowest, values.dtype).of("Expand", sizes(ctx, extent))
    index = formula(ctx, places, dtype=LONG)
    scores = base.of("ScatterND", index, formula(ctx, values))
    peak = scores.reduce("ReduceMax", [len(extent) - 1], keep=True)
    weights = (scores - peak.equals(lowest).where(0.0, peak)).fn("Exp")
    sums = weights.reduce("ReduceSum", [len(extent) - 1], keep=True)
    shares = weights / sums.equals(0.0).where(1.0, sums)
    return shares.of("GatherND", index).held(values.shape)


@translates("RaggedRange")
def ragged_range(ctx: Context, node: Node, starts: Tensor, limits: Tensor, steps: Tensor) -> list[Tensor]:
    """Translate several ranges one behind the other, and where each begins."""
    first, last, step = (formula(ctx, item, dtype=ir.DataType.DOUBLE) for item in (starts, limits, steps))
    counts = ((last - first) / step).fn("Ceil").maximum(0.0).cast(LONG).reshape([-1])
    ends = counts.of("CumSum", number(ctx, 0))
    everything = counts.reduce("ReduceSum", [0])
    line = number(ctx, 0, LONG).of("Range", everything, number(ctx, 1, LONG))
    row = (ends.unsqueeze(0) <= line.unsqueeze(1)).cast(LONG).reduce("ReduceSum", [1])
    zero = counts * 0
    a, b = ((item + zero.cast(ir.DataType.DOUBLE)).of("Gather", row, axis=0) for item in (first, step))
    place = (line - (ends - counts).of("Gather", row, axis=0)).cast(ir.DataType.DOUBLE)
    splits = number(ctx, [0], LONG).of("Concat", ends, axis=0)
    split_dtype = ir.DataType.from_numpy(np.dtype(node.dtypes[0]))
    entries = (a + b * place).cast(starts.dtype)
    return [splits.cast(split_dtype).held(ctx.shape_of(node, 0)), entries.held(ctx.shape_of(node, 1))]
