"""Shape operators: reshaping, permuting, slicing, joining, splitting, padding, expanding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.shared import (
    END,
    SMALL_INTEGERS,
    at_least_vector,
    cast,
    flat,
    known,
    permuted,
    static,
    static_sizes,
)
from porters.pytorch.registry import Context, Dim, Size, translates


@translates("aten.view", "aten.reshape", "aten._unsafe_view", "aten.flatten", "aten.unflatten", "aten._reshape_alias",
            "aten.view_as", "aten.reshape_as", "aten.ravel", "aten._reshape_copy", "aten.view_copy")  # fmt: skip
def reshape(c: Context, x: ir.Value, *args: Any) -> ir.Value:
    """Reshape to the shape that torch worked out; a view as another dtype is refused."""
    if args and not isinstance(args[0], (int, list, tuple, Dim, ir.Value)):
        raise NotImplementedError("view as another dtype")
    return c.reshape(x, c.shape)


@translates("aten.unsqueeze", "aten.unsqueeze_copy")
def unsqueeze(c: Context, x: ir.Value, axis: int) -> ir.Value:
    """Unsqueeze."""
    return c.op("Unsqueeze", x, [axis % (c.rank(x) + 1)])


@translates("aten.squeeze", "aten.squeeze_copy")
def squeeze(c: Context, x: ir.Value, axes: int | Sequence[int] | None = None) -> ir.Value:
    """Squeeze the axes that have size one; others stay, as in torch, and all do where none is named in a list."""
    sizes = c.sizes_of(x)
    named = list(range(len(sizes))) if axes is None else [axes] if isinstance(axes, int) else list(axes)
    chosen = [c.axis(x, axis) for axis in named if sizes and sizes[axis] == 1]
    return c.op("Squeeze", x, chosen) if chosen else x


@translates("aten.transpose", "aten.swapaxes", "aten.swapdims", "aten.transpose_copy")
def transpose(c: Context, x: ir.Value, first: int, second: int) -> ir.Value:
    """Swap two axes."""
    if c.rank(x) == 0:
        return x
    order = list(range(c.rank(x)))
    a, b = c.axis(x, first), c.axis(x, second)
    order[a], order[b] = order[b], order[a]
    return permuted(c, x, order)


@translates("aten.permute", "aten.permute_copy")
def permute(c: Context, x: ir.Value, order: Sequence[int]) -> ir.Value:
    """Transpose."""
    return permuted(c, x, [c.axis(x, axis) for axis in order])


@translates("aten.t", "aten.mT", "aten.mH", "aten.adjoint", "aten.t_copy")
def t(c: Context, x: ir.Value) -> ir.Value:
    """Transpose of a matrix, or of the last two axes."""
    return x if c.rank(x) < 2 else permuted(c, x, [*range(c.rank(x) - 2), c.rank(x) - 1, c.rank(x) - 2])


@translates("aten.numpy_T", "aten.matrix_H")
def numpy_transpose(c: Context, x: ir.Value) -> ir.Value:
    """Transpose of every axis."""
    return permuted(c, x, list(range(c.rank(x)))[::-1])


@translates("aten.movedim", "aten.moveaxis")
def movedim(c: Context, x: ir.Value, source: Any, destination: Any) -> ir.Value:
    """Move axes; the others keep their order."""
    sources, targets = c.axes(x, source), c.axes(x, destination)
    order: list[int | None] = [None] * c.rank(x)
    for have, want in zip(sources, targets, strict=True):
        order[want] = have
    rest = iter(axis for axis in range(c.rank(x)) if axis not in sources)
    return permuted(c, x, [next(rest) if axis is None else axis for axis in order])


@translates("aten.expand", "aten.broadcast_to", "aten.expand_as", "aten.expand_copy")
def expand(c: Context, x: ir.Value, *_: Any, **__: Any) -> ir.Value:
    """Expand; nothing where the shape is already right."""
    if c.sizes_of(x) == c.shape:
        return x
    # Axes that keep their size are 1 here: Expand broadcasts both ways, and so no size has to be computed for them.
    padded: list[Size] = [*[1] * (len(c.shape) - c.rank(x)), *c.sizes_of(x)]
    target = [1 if have == want else want for have, want in zip(padded, c.shape, strict=True)]
    return c.op("Expand", x, c.vector(target))


@translates("aten.repeat")
def repeat(c: Context, x: ir.Value, counts: Sequence[Size]) -> ir.Value:
    """Tile; axes are added in front where there are more counts than axes."""
    return _tiled(c, x, counts)


@translates("aten.tile")
def tile(c: Context, x: ir.Value, counts: Sequence[Size]) -> ir.Value:
    """Tile; counts are filled with ones in front."""
    return _tiled(c, x, [*[1] * (c.rank(x) - len(counts)), *counts])


def _tiled(c: Context, x: ir.Value, counts: Sequence[Size]) -> ir.Value:
    extra = len(counts) - c.rank(x)
    data = c.op("Unsqueeze", x, list(range(extra))) if extra else x
    return data if all(count == 1 for count in counts) else c.op("Tile", data, c.vector(counts))


@translates("aten.repeat_interleave.self_int")
def repeat_interleave(c: Context, x: ir.Value, count: Size, axis: int | None = None, **_: Any) -> ir.Value:
    """Each element ``count`` times: unsqueeze, expand, reshape."""
    if axis is None:
        x, axis = flat(c, at_least_vector(c, x)), 0
    x = at_least_vector(c, x)
    axis = axis % len(c.shape)
    wide = c.op("Unsqueeze", x, [axis + 1])
    ones: list[Size] = [1] * (len(c.shape) + 1)
    ones[axis + 1] = count
    return c.op("Reshape", c.op("Expand", wide, c.vector(ones)), c.vector(_one_inferred(c.shape)))


def _one_inferred(sizes: Sequence[Size]) -> list[Size]:
    unknown = [index for index, size in enumerate(sizes) if isinstance(size, Dim)]
    return [-1 if unknown[:1] == [index] else size for index, size in enumerate(sizes)]


@translates("aten.cat", "aten.concat", "aten.concatenate")
def cat(c: Context, tensors: Sequence[ir.Value], axis: int = 0) -> ir.Value:
    """Concat; torch's legacy empty vectors are left out."""
    kept = [x for x in tensors if not (c.rank(x) == 1 and c.sizes_of(x) == [0] and len(c.shape) != 1)]
    if len(kept) == 1:
        return c.cast(kept[0], c.dtype)
    return c.op("Concat", *[c.cast(x, c.dtype) for x in kept], axis=axis % max(len(c.shape), 1))


@translates("aten.stack")
def stack(c: Context, tensors: Sequence[ir.Value], axis: int = 0) -> ir.Value:
    """Unsqueeze each, then Concat."""
    axis = axis % len(c.shape)
    return c.op("Concat", *[c.op("Unsqueeze", c.cast(x, c.dtype), [axis]) for x in tensors], axis=axis)


@translates("aten.slice", "aten.slice_copy")
def slice_(
    c: Context, x: ir.Value, axis: int = 0, start: Size | None = None, end: Size | None = None, step: int = 1
) -> ir.Value:
    """Slice; nothing where it takes the whole axis."""
    whole = start in (0, None) and (end is None or (isinstance(end, int) and end >= END))
    axis = c.axis(x, axis)
    if step == 1 and (whole or c.sizes_of(x) == c.shape):
        return x
    stop = END if end is None else end
    return c.op("Slice", x, c.vector([start or 0]), c.vector([stop]), [axis], [step])


@translates("aten.narrow", "aten.narrow_copy")
def narrow(c: Context, x: ir.Value, axis: int, start: Any, length: Size) -> ir.Value:
    """Slice from ``start``, ``length`` long."""
    if c.sizes_of(x) == c.shape:
        return x
    begin = c.op("Reshape", start, [1]) if isinstance(start, ir.Value) else c.vector([start])
    if isinstance(start, int) and start < 0 and isinstance(length, int):
        end = c.vector([start + length or END])  # counted from the end, where 0 would be the beginning
    elif isinstance(start, int) and isinstance(length, int):
        end = c.vector([start + length])
    else:
        end = c.op("Add", begin, c.vector([length]))
    return c.op("Slice", x, begin, end, [c.axis(x, axis)])


@translates("aten.select", "aten.select_copy")
def select(c: Context, x: ir.Value, axis: int, index: Size) -> ir.Value:
    """Gather one index; the axis goes."""
    where = index.value if isinstance(index, Dim) else c.const(index, ir.DataType.INT64)
    return c.op("Gather", x, where, axis=c.axis(x, axis))


@translates("aten.split", "aten.split_with_sizes", "aten.chunk", "aten.unsafe_split", "aten.unsafe_chunk",
            "aten.tensor_split", "aten.split_copy", "aten.split_with_sizes_copy")  # fmt: skip
def split(c: Context, x: ir.Value, parts: Any, axis: int = 0) -> tuple[ir.Value, ...]:
    """Split into the sizes that torch worked out."""
    if isinstance(parts, ir.Value):
        raise NotImplementedError("a split at places that only the data knows")
    axis = c.axis(x, axis)
    sizes = [result[1][axis] for result in c.results]
    if len(sizes) == 1:
        return (x,)
    return c.ops("Split", x, c.vector(sizes), outputs=len(sizes), axis=axis)


@translates("aten.unbind", "aten.unbind_copy")
def unbind(c: Context, x: ir.Value, axis: int = 0) -> tuple[ir.Value, ...]:
    """Gather each index of the axis, which goes."""
    axis = c.axis(x, axis)
    return tuple(c.op("Gather", x, c.const(index, ir.DataType.INT64), axis=axis) for index in range(len(c.results)))


@translates("aten.as_strided", "aten.as_strided_copy")
def as_strided(
    c: Context, x: ir.Value, size: Sequence[Size], stride: Sequence[Size], offset: Size | None = None
) -> ir.Value:
    """A Gather of places in the flattened tensor, its axes first put as they lie in memory.

    The first axis may be of symbolic size if it strides over whole rows of the tensor's own first axis.
    """
    if c.memory_order is not None:
        x = permuted(c, x, c.memory_order)
    sizes = c.sizes_of(x)
    lead = 1 if sizes and isinstance(sizes[0], Dim) else 0
    inner = static_sizes(sizes[lead:], "as_strided")
    extent = int(np.prod(inner))
    if lead and (size[0] != sizes[0] or stride[0] != extent or offset):
        raise NotImplementedError("as_strided over an axis of symbolic size")
    places = np.asarray(static(offset or 0, "as_strided"))
    for count, step in zip(size[lead:], stride[lead:], strict=True):
        places = places[..., None] + np.arange(static(count, "as_strided")) * static(step, "as_strided")
    if places.size and places.max() >= extent:
        raise NotImplementedError("as_strided beyond the end of the tensor")
    rows = c.reshape(x, [*sizes[:lead], extent])
    return c.op("Gather", rows, c.const(places, ir.DataType.INT64), axis=lead)


@translates("aten.roll")
def roll(c: Context, x: ir.Value, shifts: Any, axes: Any = ()) -> ir.Value:
    """Two slices swapped, for each axis."""
    amounts = [shifts] if isinstance(shifts, (int, Dim)) else list(shifts)
    if c.rank(x) == 0:
        return x
    if axes in ((), []):
        vector = flat(c, x)
        return c.reshape(_rolled(c, vector, amounts[0], 0), c.shape)
    result = x
    for amount, axis in zip(amounts, [axes] if isinstance(axes, int) else axes, strict=True):
        result = _rolled(c, result, amount, c.axis(x, axis))
    return result


def _rolled(c: Context, x: ir.Value, amount: Size, axis: int) -> ir.Value:
    size = c.sizes_of(x)[axis]
    if isinstance(amount, int) and isinstance(size, int):
        amount = amount % size if size else 0
        if amount == 0:
            return x
        cut = c.vector([size - amount])
    else:
        rest = c.op("Mod", c.vector([amount]), c.vector([size]))
        cut = c.op("Sub", c.vector([size]), rest)
    tail, head = c.op("Slice", x, cut, [END], [axis]), c.op("Slice", x, [0], cut, [axis])
    return known(c, c.op("Concat", tail, head, axis=axis), c.sizes_of(x))


@translates("aten.flip")
def flip(c: Context, x: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Slice with step -1."""
    chosen = [c.axis(x, axis) for axis in axes]
    if not chosen or c.rank(x) == 0:
        return x
    return c.op("Slice", x, [-1] * len(chosen), [-END] * len(chosen), chosen, [-1] * len(chosen))


@translates("aten.tril")
def tril(c: Context, x: ir.Value, diagonal: int = 0) -> ir.Value:
    """Trilu, lower."""
    return _triangle(c, x, diagonal, upper=0)


@translates("aten.triu")
def triu(c: Context, x: ir.Value, diagonal: int = 0) -> ir.Value:
    """Trilu, upper."""
    return _triangle(c, x, diagonal, upper=1)


def _triangle(c: Context, x: ir.Value, diagonal: int, upper: int) -> ir.Value:
    # ONNX Runtime has no Trilu for the narrow integers.
    data = cast(c, x, ir.DataType.INT64) if x.dtype in SMALL_INTEGERS or x.dtype == ir.DataType.INT32 else x
    return c.cast(c.op("Trilu", data, c.const(diagonal, ir.DataType.INT64), upper=upper), c.dtype)


@translates("aten.unfold", "aten.unfold_copy")
def unfold(c: Context, x: ir.Value, axis: int, size: int, step: int) -> ir.Value:
    """Windows along an axis: Gather with a table of indices, the window last."""
    data = at_least_vector(c, x)
    if c.rank(x) == 0:
        return c.op("Slice", data, [0], [size], [0])
    axis = c.axis(x, axis)
    count = static(c.shape[axis], "unfold")
    table = [[start * step + offset for offset in range(size)] for start in range(count)]
    gathered = c.op("Gather", x, c.const(table, ir.DataType.INT64), axis=axis)
    rank = c.rank(x) + 1
    order = [i for i in range(rank) if i != axis + 1] + [axis + 1]
    return permuted(c, known(c, gathered, [-1] * rank), order)
