"""Gathering by index, one-hot vectors, and the largest entries."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape
from porters.tensorflow.formula import formula, number, sizes
from porters.tensorflow.node import Node
from porters.tensorflow.ops.reduction import axes_of
from porters.tensorflow.ops.shape import known, transposed
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor


@translates("GatherV2", "Gather", "ResourceGather")
def gather(ctx: Context, node: Node, x: Tensor, indices: Tensor, axis: Tensor | None = None) -> Tensor:
    """Translate a choice of entries along an axis, an embedding for one."""
    place = axes_of(axis, x.rank)[0] if axis is not None else 0
    batch = int(node.attr("batch_dims")) % (indices.rank + 1) if node.op != "Gather" else 0
    shape = (*x.shape[:place], *indices.shape[batch:], *x.shape[place + 1 :])
    if batch:
        return _batched(ctx, x, indices, place, batch, shape)
    if indices.rank == 1:
        held = x.order.index(place)
        return ctx.op("Gather", ctx.value(x, x.order), ctx.value(indices), axis=held, shape=shape, order=x.order)
    return ctx.op("Gather", ctx.value(x), ctx.value(indices), axis=place, shape=shape)


def _batched(ctx: Context, x: Tensor, indices: Tensor, axis: int, batch: int, shape: Shape) -> Tensor:
    if axis != batch:
        # The axis is brought to the front of what is no batch, and the chosen entries back to where it was.
        between = axis - batch
        front = (*range(batch), axis, *range(batch, axis), *range(axis + 1, x.rank))
        inner = indices.rank - batch
        found = _batched(
            ctx, transposed(ctx, x, front), indices, batch, batch,
            (*indices.shape, *x.shape[batch:axis], *x.shape[axis + 1 :]),
        )  # fmt: skip
        back = (*range(batch), *range(batch + inner, batch + inner + between), *range(batch, batch + inner))
        return transposed(ctx, found, (*back, *range(len(back), found.rank)))
    wide = ctx.reshape(indices, (*indices.shape, 1))
    numbers = ctx.builder.cast(ctx.value(wide), ir.DataType.INT64)
    return ctx.op("GatherND", ctx.value(x), numbers, batch_dims=batch, shape=shape)


@translates("GatherNd")
def gather_nd(ctx: Context, node: Node, x: Tensor, indices: Tensor) -> Tensor:
    """Translate a choice of entries by coordinates."""
    depth = indices.shape[-1]
    if not isinstance(depth, int):
        raise Untranslatable("coordinates whose number is not known")
    numbers = ctx.builder.cast(ctx.value(indices), ir.DataType.INT64)
    return ctx.op("GatherND", ctx.value(x), numbers, shape=(*indices.shape[:-1], *x.shape[depth:]))


@translates("OneHot")
def one_hot(ctx: Context, node: Node, indices: Tensor, depth: Tensor, on: Tensor, off: Tensor) -> Tensor:
    """Translate one-hot vectors by comparison: ONNX's OneHot counts negative indices from the end, this does not."""
    count = int(known(depth, "a depth").reshape(()))
    axis = int(node.attr("axis")) % (indices.rank + 1)
    shape = (*indices.shape[:axis], count, *indices.shape[axis:])
    wide = ctx.value(ctx.reshape(indices, (*indices.shape[:axis], 1, *indices.shape[axis:])))
    numbers = np.arange(count, dtype=indices.dtype.numpy()).reshape((count,) + (1,) * (indices.rank - axis))
    return ctx.op("Where", ctx.step("Equal", wide, numbers), ctx.value(on), ctx.value(off), shape=shape)


@translates("TopKV2")
def top_k(ctx: Context, node: Node, x: Tensor, k: Tensor) -> list[Tensor]:
    """Translate the largest entries of the last axis and where they stand."""
    count = int(known(k, "the number of entries").reshape(()))
    shape = (*x.shape[:-1], count)
    axis = x.order.index(x.rank - 1)
    value = ctx.value(x, x.order)
    dtypes = [x.dtype, ir.DataType.INT64]
    values, places = ctx.ops(
        "TopK", value, [count], axis=axis, sorted=1, shapes=[shape, shape], order=x.order, dtypes=dtypes
    )
    wanted = ir.DataType.from_numpy(np.dtype(node.dtypes[1]))
    if wanted == ir.DataType.INT64:
        return [values, places]
    number = ctx.value(places, x.order)
    return [values, ctx.op("Cast", number, to=wanted.value, dtype=wanted, shape=shape, order=x.order)]


@translates("InvertPermutation")
def invert_permutation(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the inverse of a permutation."""
    if x.array is not None:
        return ctx.constant(np.argsort(x.array).astype(x.array.dtype))
    places = formula(ctx, x, dtype=ir.DataType.INT64)
    zero, one = (number(ctx, item, ir.DataType.INT64) for item in (0, 1))
    line = zero.of("Range", sizes(ctx, x.shape).squeeze(0), one)
    return places.of("ScatterElements", places, line, axis=0).cast(x.dtype).held(x.shape)
