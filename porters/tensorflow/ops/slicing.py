"""Slices."""

from __future__ import annotations

from typing import Any

import numpy as np

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Dim, Expr, as_dim
from porters.tensorflow.masks import Taken, resolve
from porters.tensorflow.node import Node
from porters.tensorflow.ops.shape import known
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor

_LAST = np.iinfo(np.int64).max


@translates("StridedSlice")
def strided_slice(ctx: Context, node: Node, x: Tensor, begin: Tensor, end: Tensor, strides: Tensor) -> Tensor:
    """Translate a slice with strides and masks: one Gather for a single index, else one Slice and a reshape."""
    bounds = [known(item, "the bounds of a slice").tolist() for item in (begin, end, strides)]
    entries = resolve(node, bounds[0], bounds[1], bounds[2], x.rank)
    taken = _single_index(ctx, x, entries)
    if taken is not None:
        return taken
    cuts = [entry for entry in entries if entry.axis is not None and not _is_whole(entry, x)]
    sliced = _cut(ctx, x, cuts)
    shape: list[Dim] = []
    for entry in entries:
        if entry.axis is None:
            shape.append(1)
        elif not entry.drop:
            shape.append(sliced.shape[entry.axis])
    return ctx.reshape(sliced, tuple(shape))


@translates("Slice")
def slice_op(ctx: Context, node: Node, x: Tensor, begin: Tensor, size: Tensor) -> Tensor:
    """Translate a slice by begin and size."""
    starts, sizes = known(begin, "the bounds of a slice").tolist(), known(size, "the bounds of a slice").tolist()
    entries = [
        Taken(axis, start, None if isinstance(count, int) and count == -1 else start + count)
        for axis, (start, count) in enumerate(zip(starts, sizes, strict=True))
    ]
    return _cut(ctx, x, [entry for entry in entries if not _is_whole(entry, x)])


def _is_whole(entry: Taken, x: Tensor) -> bool:
    dim = x.shape[entry.axis if entry.axis is not None else 0]
    to_end = (
        entry.end is None
        or entry.end == dim
        or (isinstance(dim, int) and isinstance(entry.end, int) and entry.end >= dim)
    )
    return entry.step == 1 and not entry.drop and entry.begin in (None, 0) and to_end


def _single_index(ctx: Context, x: Tensor, entries: list[Taken]) -> Tensor | None:
    dropped = [entry for entry in entries if entry.drop]
    if len(dropped) != 1 or not isinstance(dropped[0].begin, int) or any(entry.axis is None for entry in entries):
        return None
    if not all(entry.drop or _is_whole(entry, x) for entry in entries):
        return None
    axis = dropped[0].axis
    assert axis is not None
    left = [item for item in range(x.rank) if item != axis]
    shape = tuple(x.shape[item] for item in left)
    order = tuple(left.index(item) for item in x.order if item != axis)
    index = np.array(dropped[0].begin, np.int64)
    return ctx.op("Gather", ctx.value(x, x.order), index, axis=x.order.index(axis), shape=shape, order=order)


def _cut(ctx: Context, x: Tensor, cuts: list[Taken]) -> Tensor:
    if not cuts:
        return x
    shape = list(x.shape)
    starts, ends, axes, steps = [], [], [], []
    for entry in cuts:
        assert entry.axis is not None
        shape[entry.axis] = _length(ctx, entry, x.shape[entry.axis])
        axes.append(x.order.index(entry.axis))
        steps.append(entry.step)
        starts.append(_bound(entry.begin, 0 if entry.step > 0 else _LAST))
        ends.append(_bound(entry.end, _LAST if entry.step > 0 else -_LAST))
    operands = [ctx.sizes(starts), ctx.sizes(ends), axes, steps]
    return ctx.op("Slice", ctx.value(x, x.order), *operands, shape=tuple(shape), order=x.order)


def _bound(value: Any, natural: int) -> Dim:
    return natural if value is None else as_dim(value)


def _length(ctx: Context, entry: Taken, dim: Dim) -> Dim:
    if entry.drop:
        return 1
    if isinstance(dim, int) and not isinstance(entry.begin, Expr) and not isinstance(entry.end, Expr):
        return len(range(*slice(entry.begin, entry.end, entry.step).indices(dim)))
    if entry.step == 0:
        raise Untranslatable("a slice with a stride of zero")
    return ctx.unknown()
