"""Writing by index: scatters, updates of rows and slices, and stitching."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Dim, Shape, from_array, product
from porters.tensorflow.formula import Formula, formula, number, sizes
from porters.tensorflow.node import Node
from porters.tensorflow.ops.slicing import strided_slice
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor

LONG = ir.DataType.INT64
REDUCTIONS = {
    "TensorScatterUpdate": None, "TensorScatterAdd": "add", "TensorScatterSub": "add", "TensorScatterMax": "max",
    "TensorScatterMin": "min", "ScatterNdNonAliasingAdd": "add",
}  # fmt: skip


def filled(ctx: Context, rows: Formula, rest: Shape, value: float, dtype: ir.DataType) -> Formula:
    """Return an array of one number; ``rows`` is its first size as a vector of one element."""
    extent = rows.of("Concat", sizes(ctx, rest), axis=0) if rest else rows
    return number(ctx, value, dtype).of("Expand", extent)


@translates(*REDUCTIONS)
def tensor_scatter(ctx: Context, node: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Translate an update of entries by coordinates."""
    places, values = formula(ctx, indices, dtype=LONG), formula(ctx, updates)
    if node.op == "TensorScatterSub":
        values = -values
    return formula(ctx, x).of("ScatterND", places, values, reduction=REDUCTIONS[node.op]).held(x.shape)


@translates("ScatterNd")
def scatter_nd(ctx: Context, node: Node, indices: Tensor, updates: Tensor, shape: Tensor) -> Tensor:
    """Translate entries added into zeros by coordinates."""
    if shape.array is not None:
        extent = from_array(shape.array)
        target = sizes(ctx, extent)
    else:
        extent, target = ctx.shape_of(node), formula(ctx, shape, dtype=LONG)
    base = number(ctx, 0, updates.dtype).of("Expand", target)
    places = formula(ctx, indices, dtype=LONG)
    return base.of("ScatterND", places, formula(ctx, updates), reduction="add").held(extent)


@translates("InplaceUpdate", "InplaceAdd", "InplaceSub")
def inplace(ctx: Context, node: Node, x: Tensor, rows: Tensor, updates: Tensor) -> Tensor:
    """Translate an update of rows."""
    places, values = formula(ctx, rows, dtype=LONG).unsqueeze(rows.rank), formula(ctx, updates)
    if node.op == "InplaceSub":
        values = -values
    reduction = None if node.op == "InplaceUpdate" else "add"
    return formula(ctx, x).of("ScatterND", places, values, reduction=reduction).held(x.shape)


@translates("TensorStridedSliceUpdate")
def slice_update(
    ctx: Context, node: Node, x: Tensor, begin: Tensor, end: Tensor, strides: Tensor, updates: Tensor
) -> Tensor:
    """Translate an update of a slice: the same slice of the elements' numbers says where each value goes."""
    total = product(x.shape)
    count = sizes(ctx, [total]).squeeze(0)
    line = number(ctx, 0, LONG).of("Range", count, number(ctx, 1, LONG))
    places = ctx.reshape(line.held((total,)), x.shape)
    taken = strided_slice(ctx, node, places, begin, end, strides)
    values = formula(ctx, updates).of("Expand", sizes(ctx, taken.shape)).reshape([-1])
    flat = formula(ctx, ctx.reshape(x, (total,)))
    found = flat.of("ScatterND", formula(ctx, taken).reshape([-1, 1]), values)
    return ctx.reshape(found.held((total,)), x.shape)


@translates("SparseToDense")
def sparse_to_dense(ctx: Context, node: Node, places: Tensor, shape: Tensor, values: Tensor, default: Tensor) -> Tensor:
    """Translate entries put by coordinates into an array of one number."""
    if shape.array is not None:
        extent = from_array(shape.array)
        target = sizes(ctx, extent)
    else:
        extent, target = ctx.shape_of(node), formula(ctx, shape, dtype=LONG)
    index = formula(ctx, places, dtype=LONG)
    if places.rank < 2:
        index = index.reshape([-1, 1] if len(extent) == 1 else [1, -1])
    rows: Dim = places.shape[0] if places.rank else 1
    entries = formula(ctx, values)
    entries = entries.of("Expand", sizes(ctx, [rows])) if values.rank == 0 else entries
    base = formula(ctx, default).of("Expand", target)
    return base.of("ScatterND", index, entries).held(extent)


# -- partitions and their opposite -----------------------------------------------------------------------------------


@translates("DynamicStitch", "ParallelDynamicStitch")
def stitch(ctx: Context, node: Node, *operands: Tensor) -> Tensor:
    """Translate rows put where their indices say, the later over the earlier."""
    count = len(operands) // 2
    indices, data = operands[:count], operands[count:]
    rest = data[0].shape[indices[0].rank :]
    known = [item.array for item in indices]
    rows: Dim
    if all(array is not None for array in known):
        rows = 1 + max(int(array.max()) for array in known if array is not None and array.size)
        base = filled(ctx, sizes(ctx, [rows]), rest, 0, data[0].dtype)
    else:
        flat = [formula(ctx, item, dtype=LONG).reshape([-1]) for item in indices]
        every = flat[0].of("Concat", *flat[1:], axis=0) if count > 1 else flat[0]
        rows = ctx.unknown()
        base = filled(ctx, every.reduce("ReduceMax", [0], keep=True) + 1, rest, 0, data[0].dtype)
    for index, values in zip(indices, data, strict=True):
        length = product(index.shape)
        places = formula(ctx, ctx.reshape(index, (length, 1)), dtype=LONG)
        base = base.of("ScatterND", places, formula(ctx, ctx.reshape(values, (length, *rest))))
    return base.held((rows, *rest))


@translates("DynamicPartition")
def partition(ctx: Context, node: Node, x: Tensor, parts: Tensor) -> list[Tensor]:
    """Translate rows sorted into groups, each as long as it comes."""
    rest = x.shape[parts.rank :]
    length = product(parts.shape)
    rows = formula(ctx, ctx.reshape(x, (length, *rest)))
    labels = formula(ctx, ctx.reshape(parts, (length,)))
    return [
        rows.of("Compress", labels.equals(group), axis=0).held((ctx.unknown(), *rest))
        for group in range(int(node.attr("num_partitions")))
    ]


@translates("ReverseSequence")
def reverse_sequence(ctx: Context, node: Node, x: Tensor, lengths: Tensor) -> Tensor:
    """Translate a reversal of as much of each sequence as its length says."""
    time, batch = int(node.attr("seq_dim")) % x.rank, int(node.attr("batch_dim")) % x.rank
    count = formula(ctx, lengths, dtype=LONG).reshape([-1 if axis == batch else 1 for axis in range(x.rank)])
    steps = number(ctx, 0, LONG).of("Range", sizes(ctx, [x.shape[time]]).squeeze(0), number(ctx, 1, LONG))
    steps = steps.reshape([-1 if axis == time else 1 for axis in range(x.rank)])
    places = (steps < count).where(count - 1 - steps, steps).of("Expand", sizes(ctx, x.shape))
    return formula(ctx, x).of("GatherElements", places, axis=time).held(x.shape)


@translates("UnravelIndex")
def unravel_index(ctx: Context, node: Node, indices: Tensor, dims: Tensor) -> Tensor:
    """Translate numbers of elements into their coordinates, one row for each axis."""
    if dims.array is None:
        raise Untranslatable("the sizes are computed from data")
    extent = [int(dim) for dim in dims.array.tolist()]
    steps = [int(np.prod(extent[axis + 1 :], dtype=np.int64)) for axis in range(len(extent))]
    rank = indices.rank
    shape = (len(extent), 1) if rank else (len(extent),)
    step = number(ctx, np.array(steps).reshape(shape), indices.dtype)
    size = number(ctx, np.array(extent).reshape(shape), indices.dtype)
    value = formula(ctx, indices)
    value = value.unsqueeze(0) if rank else value
    return (value / step).of("Mod", size).held((len(extent), *indices.shape))
