"""Shape operators: reshaping, permuting, slicing, joining, splitting, padding, expanding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from porters.pytorch.registry import Context, Dim, Size, translates

# ONNX's spelling of "to the end".
END = (1 << 63) - 1


@translates("aten.view", "aten.reshape", "aten._unsafe_view", "aten.flatten", "aten.unflatten", "aten._reshape_alias",
            "aten.view_as", "aten.reshape_as", "aten.ravel", "aten._reshape_copy", "aten.view_copy")  # fmt: skip
def reshape(c: Context, x: ir.Value, *args: Any) -> ir.Value:
    """Reshape to the shape that torch worked out; a view as another dtype is refused."""
    if args and not isinstance(args[0], (int, list, tuple, Dim, ir.Value)):
        raise NotImplementedError("view as another dtype")
    return c.reshape(x, c.shape)


@translates("aten.unsqueeze")
def unsqueeze(c: Context, x: ir.Value, axis: int) -> ir.Value:
    """Unsqueeze."""
    return c.op("Unsqueeze", x, [axis % (c.rank(x) + 1)])


@translates("aten.squeeze")
def squeeze(c: Context, x: ir.Value, axes: int | Sequence[int] | None = None) -> ir.Value:
    """Squeeze the axes that have size one; others stay, as in torch."""
    sizes = c.sizes_of(x)
    chosen = [axis for axis in c.axes(x, axes) if sizes and sizes[axis] == 1]
    return c.op("Squeeze", x, chosen) if chosen else x


@translates("aten.transpose", "aten.swapaxes", "aten.swapdims", "aten.transpose_copy")
def transpose(c: Context, x: ir.Value, first: int, second: int) -> ir.Value:
    """Swap two axes."""
    if c.rank(x) == 0:
        return x
    order = list(range(c.rank(x)))
    a, b = c.axis(x, first), c.axis(x, second)
    order[a], order[b] = order[b], order[a]
    return _permute(c, x, order)


@translates("aten.permute", "aten.permute_copy")
def permute(c: Context, x: ir.Value, order: Sequence[int]) -> ir.Value:
    """Transpose."""
    return _permute(c, x, [c.axis(x, axis) for axis in order])


def _permute(c: Context, x: ir.Value, order: Sequence[int]) -> ir.Value:
    return x if list(order) == list(range(len(order))) else c.op("Transpose", x, perm=list(order))


@translates("aten.t", "aten.numpy_T", "aten.mT", "aten.adjoint")
def t(c: Context, x: ir.Value) -> ir.Value:
    """Transpose of a matrix."""
    return x if c.rank(x) < 2 else _permute(c, x, [*range(c.rank(x) - 2), c.rank(x) - 1, c.rank(x) - 2])


@translates("aten.movedim", "aten.moveaxis")
def movedim(c: Context, x: ir.Value, source: Any, destination: Any) -> ir.Value:
    """Move axes; the others keep their order."""
    sources, targets = c.axes(x, source), c.axes(x, destination)
    order: list[int | None] = [None] * c.rank(x)
    for have, want in zip(sources, targets, strict=True):
        order[want] = have
    rest = iter(axis for axis in range(c.rank(x)) if axis not in sources)
    return _permute(c, x, [next(rest) if axis is None else axis for axis in order])


@translates("aten.expand", "aten.broadcast_to", "aten.expand_as", "aten.expand_copy")
def expand(c: Context, x: ir.Value, *_: Any, **__: Any) -> ir.Value:
    """Expand; nothing where the shape is already right."""
    if c.sizes_of(x) == c.shape:
        return x
    # Axes that keep their size are 1 here: Expand broadcasts both ways, and so no size has to be computed for them.
    padded: list[Size] = [1] * (len(c.shape) - c.rank(x)) + c.sizes_of(x)
    target = [1 if have == want else want for have, want in zip(padded, c.shape, strict=True)]
    return c.op("Expand", x, c.vector(target))


@translates("aten.repeat")
def repeat(c: Context, x: ir.Value, counts: Sequence[Size]) -> ir.Value:
    """Tile; axes are added in front where there are more counts than axes."""
    extra = len(counts) - c.rank(x)
    data = c.op("Unsqueeze", x, list(range(extra))) if extra else x
    return data if all(count == 1 for count in counts) else c.op("Tile", data, c.vector(counts))


@translates("aten.tile")
def tile(c: Context, x: ir.Value, counts: Sequence[Size]) -> ir.Value:
    """Tile; counts are filled with ones in front."""
    return repeat(c, x, [1] * (c.rank(x) - len(counts)) + list(counts))


@translates("aten.repeat_interleave.self_int")
def repeat_interleave(c: Context, x: ir.Value, count: Size, axis: int | None = None, **_: Any) -> ir.Value:
    """Each element ``count`` times: unsqueeze, expand, reshape."""
    if axis is None:
        x, axis = c.op("Reshape", x, [-1]), 0
        c.symbols.remember(x, [-1])
    axis = axis % max(len(c.shape), 1)
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


@translates("aten.narrow")
def narrow(c: Context, x: ir.Value, axis: int, start: Size, length: Size) -> ir.Value:
    """Slice from ``start``, ``length`` long."""
    if c.sizes_of(x) == c.shape:
        return x
    begin = c.vector([start])
    return c.op("Slice", x, begin, c.op("Add", begin, c.vector([length])), [c.axis(x, axis)])


@translates("aten.select")
def select(c: Context, x: ir.Value, axis: int, index: Size) -> ir.Value:
    """Gather one index; the axis goes."""
    where = index.value if isinstance(index, Dim) else c.const(index, ir.DataType.INT64)
    return c.op("Gather", x, where, axis=c.axis(x, axis))


@translates("aten.split", "aten.split_with_sizes", "aten.chunk", "aten.unsafe_split", "aten.unsafe_chunk",
            "aten.tensor_split")  # fmt: skip
def split(c: Context, x: ir.Value, _: Any, axis: int = 0) -> tuple[ir.Value, ...]:
    """Split into the sizes that torch worked out."""
    axis = c.axis(x, axis)
    sizes = [result[1][axis] for result in c.results]
    if len(sizes) == 1:
        return (x,)
    return c.ops("Split", x, c.vector(sizes), outputs=len(sizes), axis=axis)


@translates("aten.unbind")
def unbind(c: Context, x: ir.Value, axis: int = 0) -> tuple[ir.Value, ...]:
    """Gather each index of the axis, which goes."""
    axis = c.axis(x, axis)
    return tuple(c.op("Gather", x, c.const(index, ir.DataType.INT64), axis=axis) for index in range(len(c.results)))


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@translates("aten.pad")
def pad(c: Context, x: ir.Value, pads: Sequence[Size], mode: str = "constant", value: float | None = None) -> ir.Value:
    """Pad; torch counts from the last axis, negative pads crop."""
    if mode not in _PAD_MODES:
        raise NotImplementedError(f"padding mode {mode}")
    rank = c.rank(x)
    begins: list[Size] = [0] * rank
    ends: list[Size] = [0] * rank
    for position in range(len(pads) // 2):
        begins[rank - 1 - position] = pads[2 * position]
        ends[rank - 1 - position] = pads[2 * position + 1]
    if all(size == 0 for size in [*begins, *ends]):
        return x
    filler = c.scalar(value or 0, c.dtype) if mode == "constant" else None
    return c.op("Pad", x, c.vector([*begins, *ends]), filler, mode=_PAD_MODES[mode])


@translates("aten.constant_pad_nd")
def constant_pad(c: Context, x: ir.Value, pads: Sequence[Size], value: float = 0) -> ir.Value:
    """Pad with a constant."""
    return pad(c, x, pads, "constant", value)


@translates("aten.reflection_pad1d", "aten.reflection_pad2d", "aten.reflection_pad3d")
def reflection_pad(c: Context, x: ir.Value, pads: Sequence[Size]) -> ir.Value:
    """Pad by reflection."""
    return pad(c, x, pads, "reflect")


@translates("aten.replication_pad1d", "aten.replication_pad2d", "aten.replication_pad3d")
def replication_pad(c: Context, x: ir.Value, pads: Sequence[Size]) -> ir.Value:
    """Pad by repeating the edge."""
    return pad(c, x, pads, "replicate")


@translates("aten.roll")
def roll(c: Context, x: ir.Value, shifts: Any, axes: Any = ()) -> ir.Value:
    """Two slices swapped, for each axis."""
    amounts = [shifts] if isinstance(shifts, int) else list(shifts)
    if axes in ((), []):
        flat = c.op("Reshape", x, [-1])
        return c.reshape(_roll(c, flat, amounts[0], 0, None), c.shape)
    result = x
    for amount, axis in zip(amounts, [axes] if isinstance(axes, int) else axes, strict=True):
        size = c.sizes_of(x)[c.axis(x, axis)]
        result = _roll(c, result, amount, c.axis(x, axis), size if isinstance(size, int) else None)
    return result


def _roll(c: Context, x: ir.Value, amount: Any, axis: int, size: int | None) -> ir.Value:
    if not isinstance(amount, int):
        raise NotImplementedError("a roll by a size that is not known")
    amount = amount % size if size else amount
    if amount == 0:
        return x
    # Negative bounds count from the end: this needs no size.
    tail = c.op("Slice", x, [-amount], [END], [axis])
    head = c.op("Slice", x, [0], [-amount], [axis])
    return c.op("Concat", tail, head, axis=axis)


@translates("aten.flip")
def flip(c: Context, x: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Slice with step -1."""
    chosen = c.axes(x, axes)
    return c.op("Slice", x, [-1] * len(chosen), [-END] * len(chosen), chosen, [-1] * len(chosen))


@translates("aten.tril")
def tril(c: Context, x: ir.Value, diagonal: int = 0) -> ir.Value:
    """Trilu, lower."""
    return c.op("Trilu", x, c.const(diagonal, ir.DataType.INT64), upper=0)


@translates("aten.triu")
def triu(c: Context, x: ir.Value, diagonal: int = 0) -> ir.Value:
    """Trilu, upper."""
    return c.op("Trilu", x, c.const(diagonal, ir.DataType.INT64), upper=1)


@translates("aten.unfold")
def unfold(c: Context, x: ir.Value, axis: int, size: int, step: int) -> ir.Value:
    """Windows along an axis: Gather with a table of indices, the window last."""
    axis = c.axis(x, axis)
    count = c.shape[axis]
    if isinstance(count, Dim):
        raise NotImplementedError("unfold of a symbolic extent")
    table = [[start * step + offset for offset in range(size)] for start in range(count)]
    gathered = c.op("Gather", x, c.const(table, ir.DataType.INT64), axis=axis)
    rank = c.rank(x) + 1
    order = [i for i in range(rank) if i != axis + 1] + [axis + 1]
    return c.op("Transpose", gathered, perm=order)
