"""Resizing, and moving space into channels or batch and back."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Dim, Expr, Shape, from_array, product
from porters.tensorflow.node import Node
from porters.tensorflow.ops.sampling import tabulated_bicubic
from porters.tensorflow.ops.shape import known, pad, transposed
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor, channels_first, logical, permuted

# In how many steps between two pixels TensorFlow tabulates the coefficients of its bicubic resize.
TABLE = 1024
MODES = {"ResizeBilinear": "linear", "ResizeNearestNeighbor": "nearest", "ResizeBicubic": "cubic"}


@translates(*MODES)
def resize(ctx: Context, node: Node, x: Tensor, size: Tensor) -> Tensor:
    """Translate a resize of the two spatial axes, in each of TensorFlow's three ways to count pixels."""
    align, half = bool(node.attr("align_corners")), bool(node.attr("half_pixel_centers"))
    mode = MODES[node.op]
    height, width = from_array(known(size, "the size of the image"))
    if mode == "cubic" and not (half and _hits_table(x.shape[1], height) and _hits_table(x.shape[2], width)):
        return tabulated_bicubic(ctx, node, x, size)
    order = channels_first(4)
    value = ctx.value(x, order)
    if node.op != "ResizeNearestNeighbor":
        value = ctx.builder.cast(value, ir.DataType.FLOAT)
    attributes: dict[str, Any] = {
        "mode": mode,
        "coordinate_transformation_mode": "align_corners" if align else "half_pixel" if half else "asymmetric",
    }
    if mode == "nearest":
        attributes["nearest_mode"] = "round_prefer_ceil" if align or half else "floor"
    if mode == "cubic":
        attributes.update(cubic_coeff_a=-0.5, exclude_outside=1)
    shape = (x.shape[0], height, width, x.shape[3])
    scales, sizes = _extent(ctx, x.shape, shape)
    return ctx.op("Resize", value, None, scales, sizes, shape=shape, order=order, dtype=value.dtype, **attributes)


def _extent(ctx: Context, before: Shape, after: Shape) -> tuple[Any, Any]:
    """Return Resize's scales, or its sizes where the scales depend on a size that is not known.

    Always for all axes: ONNX Runtime's optimiser mistakes a Resize over some axes for one over all.
    """
    factors = [_factor(old, new) for old, new in zip(before[1:3], after[1:3], strict=True)]
    if None not in factors:
        return np.array([1.0, 1.0, *cast("list[np.float32]", factors)], np.float32), None
    sizes = np.empty(4, object)
    sizes[:] = permuted(after, channels_first(4))
    return None, ctx.value(ctx.constant(sizes))


def _hits_table(old: Dim, new: Dim) -> bool:
    """Say whether every new pixel lies where TensorFlow's table of the bicubic coefficients has an entry."""
    if isinstance(old, int) and isinstance(new, int):
        return all(((2 * place + 1) * old - new) * (TABLE // 2) % new == 0 for place in range(new))
    factor = new // old
    return isinstance(factor, int) and factor > 0 and TABLE % (2 * factor) == 0


def _factor(old: Dim, new: Dim) -> np.float32 | None:
    if isinstance(old, Expr) or isinstance(new, Expr):
        exact = new // old
        return np.float32(exact) if isinstance(exact, int) else None
    factor = np.float32(new / old)
    # The runtime rounds the product of size and scale down.
    return factor if int(np.floor(np.float32(old) * factor)) == new else np.nextafter(factor, np.float32(np.inf))


def bilinear(ctx: Context, x: Tensor, size: Tensor, *, align: bool, half: bool) -> Tensor:
    """Return images resized by interpolation, as part of another operation."""
    height, width = from_array(known(size, "the size of the image"))
    shape, order = (x.shape[0], height, width, x.shape[3]), channels_first(4)
    scales, sizes = _extent(ctx, x.shape, shape)
    mode = "align_corners" if align else "half_pixel" if half else "asymmetric"
    value = ctx.step(
        "Resize", ctx.value(x, order), None, scales, sizes, mode="linear", coordinate_transformation_mode=mode
    )
    return ctx.held(value, shape, order)


@translates("SpaceToBatch", "BatchToSpace")
def square_blocks(ctx: Context, node: Node, x: Tensor, margins: Tensor) -> Tensor:
    """Translate the first versions, whose blocks are square and as many as the image has axes."""
    block = ctx.constant(np.full(2, int(node.attr("block_size"))))
    return (space_to_batch if node.op == "SpaceToBatch" else batch_to_space)(ctx, node, x, block, margins)


@translates("DepthToSpace", "SpaceToDepth")
def depth(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate blocks of channels laid out in space, or the reverse; both count blocks before channels."""
    size = int(node.attr("block_size"))
    layout = node.attr("data_format")
    if layout not in (b"NHWC", "NHWC"):
        raise Untranslatable(f"the data format {layout!r}")
    batch, height, width, channels = x.shape
    shape: Shape
    if node.op == "DepthToSpace":
        shape = (batch, height * size, width * size, channels // (size * size))
    else:
        shape = (batch, height // size, width // size, channels * (size * size))
    order = channels_first(4)
    mode = "DCR" if node.op == "DepthToSpace" else None
    return ctx.op(node.op, ctx.value(x, order), blocksize=size, mode=mode, shape=shape, order=order)


@translates("SpaceToBatchND")
def space_to_batch(ctx: Context, node: Node, x: Tensor, block: Tensor, paddings: Tensor) -> Tensor:
    """Translate blocks of space laid out in the batch: pad, split the axes, and move the parts to the front."""
    sizes = [int(size) for size in known(block, "a block size").reshape(-1)]
    count = len(sizes)
    pairs = [(0, 0), *(from_array(pair) for pair in known(paddings, "padding")), *[(0, 0)] * (x.rank - count - 1)]
    contents = np.empty((x.rank, 2), object)
    contents[:] = pairs
    padded = pad(ctx, node, x, ctx.constant(contents))
    split: list[Dim] = [padded.shape[0]]
    for dim, size in zip(padded.shape[1 : count + 1], sizes, strict=True):
        split += [dim // size, size]
    rest = padded.shape[count + 1 :]
    moved = [2 * axis + 2 for axis in range(count)] + [0] + [2 * axis + 1 for axis in range(count)]
    moved += range(2 * count + 1, 2 * count + 1 + len(rest))
    inner = transposed(ctx, ctx.reshape(padded, (*split, *rest)), tuple(moved))
    return ctx.reshape(inner, (product(inner.shape[: count + 1]), *inner.shape[count + 1 :]))


@translates("BatchToSpaceND")
def batch_to_space(ctx: Context, node: Node, x: Tensor, block: Tensor, crops: Tensor) -> Tensor:
    """Translate parts of the batch laid out in space, and cut off the margins."""
    sizes = [int(size) for size in known(block, "a block size").reshape(-1)]
    count = len(sizes)
    batch = x.shape[0] // int(np.prod(sizes))
    split = ctx.reshape(x, (*sizes, batch, *x.shape[1:]))
    moved: list[int] = [count]
    for axis in range(count):
        moved += [count + 1 + axis, axis]
    moved += range(2 * count + 1, split.rank)
    inner = transposed(ctx, split, tuple(moved))
    merged = [dim * size for dim, size in zip(x.shape[1 : count + 1], sizes, strict=True)]
    whole = ctx.reshape(inner, (batch, *merged, *x.shape[count + 1 :]))
    pairs = [from_array(pair) for pair in known(crops, "margins")]
    if all(pair == (0, 0) for pair in pairs):
        return whole
    if any(isinstance(item, Expr) for pair in pairs for item in pair) or any(isinstance(dim, Expr) for dim in merged):
        raise Untranslatable("margins whose size is not known")
    shape = list(whole.shape)
    starts, ends = [], []
    for axis, (before, after) in enumerate(pairs, 1):
        starts.append(cast("int", before))
        ends.append(cast("int", shape[axis]) - cast("int", after))
        shape[axis] = ends[-1] - starts[-1]
    axes = list(range(1, count + 1))
    return ctx.op("Slice", ctx.value(whole, logical(whole.rank)), starts, ends, axes, shape=tuple(shape))
