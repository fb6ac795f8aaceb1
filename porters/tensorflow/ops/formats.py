"""Old names, sizes and orders of axes as data: operations that compute nothing a graph would not know already."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import broadcast, from_array
from porters.tensorflow.formula import formula, number, sizes
from porters.tensorflow.node import Node
from porters.tensorflow.ops.reduction import axes_of
from porters.tensorflow.ops.shape import concatenated, known
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Filled, Tensor


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


@translates("GuaranteeConst", "DeepCopy", "ParallelConcat")
def same(ctx: Context, node: Node, *tensors: Tensor) -> Tensor:
    """Return what is given; several parts are joined along the first axis."""
    return concatenated(ctx, list(tensors), 0)


@translates("Concat")
def concat(ctx: Context, node: Node, axis: Tensor, *tensors: Tensor) -> Tensor:
    """Translate the concatenation of the first version, whose axis comes first."""
    (place,) = axes_of(axis, tensors[0].rank)
    return concatenated(ctx, list(tensors), place)


@translates("Reverse")
def reverse(ctx: Context, node: Node, x: Tensor, flags: Tensor) -> Tensor:
    """Translate the reversal of the first version, which has a flag for each axis."""
    axes = [axis for axis, flag in enumerate(known(flags, "flags").tolist()) if flag]
    if not axes:
        return x
    count = len(axes)
    bounds = ([-1] * count, [np.iinfo(np.int64).min + 1] * count, axes, [-1] * count)
    return formula(ctx, x).of("Slice", *bounds).held(x.shape)


@translates("Empty")
def empty(ctx: Context, node: Node, shape: Tensor) -> Tensor:
    """Translate memory as it was found; zeros are as good as any."""
    extent = from_array(known(shape, "a shape"))
    dtype = ir.DataType.from_numpy(np.dtype(node.dtypes[0]))
    return Filled(extent, dtype, np.zeros((), dtype.numpy()))


@translates("LinSpace")
def lin_space(ctx: Context, node: Node, start: Tensor, stop: Tensor, count: Tensor) -> Tensor:
    """Translate numbers at equal distances; the last one is exactly the limit."""
    total = int(known(count, "how many numbers").reshape(()))
    first, last = formula(ctx, start), formula(ctx, stop)
    if total == 1:
        return first.reshape([1]).held((1,))
    line = number(ctx, np.arange(total - 1), start.dtype)
    body = first + line * ((last - first) / float(total - 1))
    return body.of("Concat", last.reshape([1]), axis=0).held((total,))


@translates("BroadcastArgs")
def broadcast_args(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate the shape to which two shapes broadcast."""
    dtype = ir.DataType.from_numpy(np.dtype(node.dtypes[0]))
    if a.array is not None and b.array is not None:
        dims = broadcast(from_array(a.array), from_array(b.array))
        contents = np.empty(len(dims), object)
        contents[:] = dims
        return ctx.constant(contents, dtype)
    length = max(int(a.shape[0]), int(b.shape[0]))  # type: ignore[arg-type]  # a shape has as many entries as axes
    x, y = (
        formula(ctx, item).of("Pad", number(ctx, [length - int(item.shape[0]), 0]), number(ctx, 1, item.dtype))  # type: ignore[arg-type]
        for item in (a, b)
    )
    return x.equals(1).where(y, x).held((length,))


@translates("ConcatOffset")
def concat_offset(ctx: Context, node: Node, axis: Tensor, *shapes: Tensor) -> list[Tensor]:
    """Translate where the parts of a concatenation begin."""
    place = int(known(axis, "an axis").reshape(()))
    found: list[Tensor] = []
    total = number(ctx, 0, shapes[0].dtype)
    for shape in shapes:
        (rank,) = shape.shape
        assert isinstance(rank, int)
        here = number(ctx, np.arange(rank) == place)
        found.append(here.where(total, number(ctx, np.zeros(rank), shape.dtype)).held((rank,)))
        total = total + formula(ctx, shape).take(place, 0)
    return found


@translates("DataFormatDimMap")
def dim_map(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate numbers of axes from one order of axes to another."""
    source, target = _text(node.attr("src_format")), _text(node.attr("dst_format"))
    table = np.array([target.index(letter) for letter in source])
    count = len(source)
    places = (formula(ctx, x).cast(ir.DataType.INT64) + count).of("Mod", number(ctx, count))
    return number(ctx, table).of("Gather", places, axis=0).cast(x.dtype).held(x.shape)


@translates("DataFormatVecPermute")
def vec_permute(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate sizes from one order of axes to another; without the outer axes where only the inner are given."""
    source, target = _text(node.attr("src_format")), _text(node.attr("dst_format"))
    length = x.shape[0]
    if length == len(source) - 2:
        source, target = (item.replace("N", "").replace("C", "") for item in (source, target))
    perm = np.array([source.index(letter) for letter in target])
    return formula(ctx, x).take(perm, 0).held(x.shape)


@translates("VariableShape")
def variable_shape(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the shape of a variable."""
    dtype = ir.DataType.from_numpy(np.dtype(node.dtypes[0]))
    return sizes(ctx, x.shape).cast(dtype).held((x.rank,))
