"""Operations that move elements without computing: most of them emit nothing until the result is read."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from porters.tensorflow.context import Context, is_parameter
from porters.tensorflow.dims import Dim, Expr, Shape, from_array, is_static, product
from porters.tensorflow.node import Node
from porters.tensorflow.ops.reduction import axes_of
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Constant, Filled, Held, Order, Tensor, inverse, logical, permuted


def transposed(ctx: Context, x: Tensor, perm: Order) -> Tensor:
    """Return ``x`` with its logical axes permuted; only the order is noted, nothing is emitted."""
    shape = permuted(x.shape, perm)
    if isinstance(x, Constant):
        return Constant(shape, x.dtype, x.contents.transpose(perm))
    if perm == logical(x.rank):
        return x
    where = inverse(perm)
    return Held(shape, x.dtype, ctx.value(x, x.order), tuple(where[axis] for axis in x.order))


def known(tensor: Tensor, what: str) -> np.ndarray:
    """Return the contents of an operand that a static graph needs now."""
    if tensor.array is None:
        raise Untranslatable(f"{what} computed from data")
    return tensor.array


def common_order(tensors: list[Tensor]) -> Order:
    """Return the order in which values of equal rank are joined at least cost."""
    deciding = [tensor for tensor in tensors if not is_parameter(tensor)] or tensors
    moved = [tensor.order for tensor in deciding if tensor.order != logical(tensor.rank)]
    return moved[0] if moved else logical(tensors[0].rank)


@translates("Transpose", "ConjugateTranspose")
def transpose(ctx: Context, node: Node, x: Tensor, perm: Tensor) -> Tensor:
    """Translate a transposition."""
    axes = tuple(int(axis) % x.rank for axis in known(perm, "a permutation"))
    return transposed(ctx, x, axes)


@translates("Reshape")
def reshape(ctx: Context, node: Node, x: Tensor, target: Tensor) -> Tensor:
    """Translate a reshape; a size that is left open is what remains."""
    if target.array is None:
        value = ctx.builder.cast(ctx.value(target), _int64())
        return ctx.op("Reshape", ctx.value(x), value, shape=ctx.shape_of(node))
    shape = list(from_array(target.array))
    if -1 in shape:
        rest = product(dim for dim in shape if dim != -1)
        shape[shape.index(-1)] = product(x.shape) // rest if rest != 0 else 0
    static = node.shapes[0] or [None] * len(shape)
    return ctx.reshape(x, tuple(_better(dim, size) for dim, size in zip(shape, static, strict=True)))


def _better(dim: Dim, size: int | None) -> Dim:
    return size if isinstance(dim, Expr) and size is not None else dim


def _int64() -> Any:
    import onnx_ir as ir

    return ir.DataType.INT64


@translates("Squeeze")
def squeeze(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the removal of axes of size one."""
    axes = [int(axis) % x.rank for axis in node.attr("squeeze_dims")]
    if not axes and not is_static(x.shape):
        raise Untranslatable("a squeeze of whatever axes have size one")
    gone = axes or [axis for axis, dim in enumerate(x.shape) if dim == 1]
    return ctx.reshape(x, tuple(dim for axis, dim in enumerate(x.shape) if axis not in gone))


@translates("ExpandDims")
def expand_dims(ctx: Context, node: Node, x: Tensor, axis: Tensor) -> Tensor:
    """Translate a new axis of size one."""
    (place,) = axes_of(axis, x.rank + 1)
    return ctx.reshape(x, (*x.shape[:place], 1, *x.shape[place:]))


@translates("Shape")
def shape_op(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Return the shape as contents known now."""
    return _sizes(ctx, node, list(x.shape))


@translates("ShapeN")
def shape_n(ctx: Context, node: Node, *tensors: Tensor) -> list[Tensor]:
    """Return several shapes as contents known now."""
    return [_sizes(ctx, node, list(tensor.shape)) for tensor in tensors]


@translates("Size")
def size_op(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Return the number of elements as contents known now."""
    return ctx.reshape(_sizes(ctx, node, [product(x.shape)]), ())


@translates("Rank")
def rank_op(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Return the number of axes as contents known now."""
    return ctx.constant(np.array(x.rank, np.int32))


def _sizes(ctx: Context, node: Node, dims: list[Dim]) -> Constant:
    import onnx_ir as ir

    contents = np.empty(len(dims), object)
    contents[:] = dims
    return ctx.constant(contents, ir.DataType.from_numpy(np.dtype(node.dtypes[0])))


# -- joining and splitting -------------------------------------------------------------------------------------------


def concatenated(ctx: Context, tensors: list[Tensor], axis: int) -> Tensor:
    """Join values along the logical ``axis``, in the order in which most of them are held."""
    tensors = [tensor for tensor in tensors if tensor.shape[axis] != 0] or tensors[:1]
    if len(tensors) == 1:
        return tensors[0]
    order = common_order(tensors)
    total = sum((tensor.shape[axis] for tensor in tensors), start=cast("Dim", 0))
    shape = (*tensors[0].shape[:axis], total, *tensors[0].shape[axis + 1 :])
    values = [ctx.value(tensor, order) for tensor in tensors]
    return ctx.op("Concat", *values, axis=order.index(axis), shape=shape, order=order)


@translates("ConcatV2")
def concat(ctx: Context, node: Node, *operands: Tensor) -> Tensor:
    """Translate a concatenation."""
    (axis,) = axes_of(operands[-1], operands[0].rank)
    return concatenated(ctx, list(operands[:-1]), axis)


@translates("Pack")
def pack(ctx: Context, node: Node, *tensors: Tensor) -> Tensor:
    """Translate a stack along a new axis."""
    axis = int(node.attr("axis")) % (tensors[0].rank + 1)
    return concatenated(ctx, [ctx.reshape(item, (*item.shape[:axis], 1, *item.shape[axis:])) for item in tensors], axis)


@translates("Unpack")
def unpack(ctx: Context, node: Node, x: Tensor) -> list[Tensor]:
    """Translate the parts along an axis, which is gone from them."""
    axis = int(node.attr("axis")) % x.rank
    parts = split_sizes(ctx, x, axis, [1] * int(node.attr("num")))
    return [ctx.reshape(part, (*x.shape[:axis], *x.shape[axis + 1 :])) for part in parts]


def split_sizes(ctx: Context, x: Tensor, axis: int, sizes: list[int]) -> list[Tensor]:
    """Cut ``x`` along the logical ``axis``."""
    if len(sizes) == 1:
        return [x]
    shapes: list[Shape] = [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]
    return ctx.ops("Split", ctx.value(x, x.order), sizes, axis=x.order.index(axis), shapes=shapes, order=x.order)


@translates("Split")
def split(ctx: Context, node: Node, axis: Tensor, x: Tensor) -> list[Tensor]:
    """Translate a cut into equal parts."""
    (place,) = axes_of(axis, x.rank)
    count, length = int(node.attr("num_split")), x.shape[place]
    if not isinstance(length, int):
        raise Untranslatable("a split of an axis whose size is not known")
    return split_sizes(ctx, x, place, [length // count] * count)


@translates("SplitV")
def split_v(ctx: Context, node: Node, x: Tensor, sizes: Tensor, axis: Tensor) -> list[Tensor]:
    """Translate a cut into given parts; one may be left open."""
    (place,) = axes_of(axis, x.rank)
    parts = [int(size) for size in known(sizes, "sizes").tolist()]
    if -1 in parts:
        parts[parts.index(-1)] = cast("int", x.shape[place]) - sum(size for size in parts if size != -1)
    return split_sizes(ctx, x, place, parts)


# -- repeating and filling -------------------------------------------------------------------------------------------


@translates("Tile")
def tile(ctx: Context, node: Node, x: Tensor, repeats: Tensor) -> Tensor:
    """Translate a repetition along the axes."""
    counts = from_array(known(repeats, "repeats"))
    if all(count == 1 for count in counts):
        return x
    shape = tuple(dim * count for dim, count in zip(x.shape, counts, strict=True))
    operand = ctx.sizes(permuted(counts, x.order))
    return ctx.op("Tile", ctx.value(x, x.order), operand, shape=shape, order=x.order)


@translates("BroadcastTo")
def broadcast_to(ctx: Context, node: Node, x: Tensor, target: Tensor) -> Tensor:
    """Translate a broadcast to a shape."""
    shape = from_array(known(target, "a shape"))
    return x if shape == x.shape else ctx.op("Expand", ctx.value(x), ctx.sizes(shape), shape=shape)


@translates("Fill")
def fill(ctx: Context, node: Node, dims: Tensor, number: Tensor) -> Tensor:
    """Translate an array of one number."""
    shape = from_array(known(dims, "a shape"))
    contents = number.array
    if contents is not None and contents.dtype != object:
        return Filled(shape, number.dtype, contents.reshape(()))
    return ctx.op("Expand", ctx.value(number), ctx.sizes(shape), shape=shape)


@translates("ZerosLike", "OnesLike")
def like(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate zeros or ones of the operand's shape."""
    number = np.array(0 if node.op == "ZerosLike" else 1, x.dtype.numpy())
    return Filled(x.shape, x.dtype, number)


@translates("Range")
def range_op(ctx: Context, node: Node, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """Translate a sequence of numbers whose end is a size."""
    values = [ctx.value(item) for item in (start, limit, delta)]
    first, last, step = (None if item.array is None else item.array.reshape(-1)[0] for item in (start, limit, delta))
    length = last - first if first is not None and last is not None and step == 1 else ctx.unknown()
    return ctx.op("Range", *values, shape=(length,))


@translates("ReverseV2")
def reverse(ctx: Context, node: Node, x: Tensor, axes: Tensor) -> Tensor:
    """Translate a reversal as a slice with negative steps."""
    places = [x.order.index(axis) for axis in axes_of(axes, x.rank)]
    if not places:
        return x
    count = len(places)
    bounds = ([-1] * count, [np.iinfo(np.int64).min + 1] * count, places, [-1] * count)
    return ctx.op("Slice", ctx.value(x, x.order), *bounds, shape=x.shape, order=x.order)


@translates("Roll")
def roll(ctx: Context, node: Node, x: Tensor, shift: Tensor, axes: Tensor) -> Tensor:
    """Translate a rotation along axes: the tail is put before the head."""
    for amount, axis in zip(known(shift, "a shift").reshape(-1), known(axes, "axes").reshape(-1), strict=True):
        place, length = int(axis) % x.rank, x.shape[int(axis) % x.rank]
        if not isinstance(length, int):
            raise Untranslatable("a rotation of an axis whose size is not known")
        tail = int(amount) % length
        if tail:
            head, end = split_sizes(ctx, x, place, [length - tail, tail])
            x = concatenated(ctx, [end, head], place)
    return x


# -- padding -----------------------------------------------------------------------------------------------------------


MIRRORS = ("MirrorPad", "FusedPadConv2D", "FusedResizeAndPadConv2D")


@translates("Pad", "PadV2", "MirrorPad")
def pad(ctx: Context, node: Node, x: Tensor, paddings: Tensor, number: Tensor | None = None) -> Tensor:
    """Translate padding with a number, or with a mirror of the contents."""
    pairs = [from_array(pair) for pair in known(paddings, "padding")]
    if all(pair == (0, 0) for pair in pairs):
        return x
    shape = tuple(dim + before + after for dim, (before, after) in zip(x.shape, pairs, strict=True))
    held = permuted(pairs, x.order)
    amounts = ctx.sizes((*(pair[0] for pair in held), *(pair[1] for pair in held)))
    mode = _mirror_mode(node, pairs) if number is None and node.op in MIRRORS else None
    if mode == "symmetric":
        return _symmetric(ctx, x, pairs, shape)
    operand = ctx.value(number) if number is not None else None
    return ctx.op("Pad", ctx.value(x, x.order), amounts, operand, mode=mode, shape=shape, order=x.order)


def _mirror_mode(node: Node, pairs: list[Shape]) -> str:
    mode = node.attr("mode")
    if mode in (b"REFLECT", "REFLECT"):
        return "reflect"
    if all(amount in (0, 1) for pair in pairs for amount in pair):
        return "edge"  # a mirror that repeats the edge, one element deep
    return "symmetric"


def _symmetric(ctx: Context, x: Tensor, pairs: list[Shape], shape: Shape) -> Tensor:
    """Pad with a mirror that repeats the edge, which ONNX has not: as gathers along axes of known sizes."""
    value = ctx.value(x, x.order)
    for axis, pair in enumerate(pairs):
        length = x.shape[axis]
        if pair == (0, 0):
            continue
        if isinstance(length, Expr) or isinstance(pair[0], Expr) or isinstance(pair[1], Expr):
            raise Untranslatable("symmetric padding of an axis whose size is not known")
        places = np.pad(np.arange(length), (pair[0], pair[1]), "symmetric")
        value = ctx.step("Gather", value, places, axis=x.order.index(axis))
    value.shape = None
    return ctx.op("Identity", value, shape=shape, order=x.order)
