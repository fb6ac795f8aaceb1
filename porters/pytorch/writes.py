"""Inverses of views: the value of a whole tensor after one of its views was overwritten."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from porters.pytorch.registry import Context, Dim, Size

_RESHAPES = frozenset(
    {
        "view", "reshape", "unsqueeze", "squeeze", "flatten", "unflatten", "_unsafe_view", "view_as", "reshape_as",
        "ravel", "_reshape_alias",
    }
)  # fmt: skip
_PERMUTATIONS = frozenset(
    {"transpose", "permute", "t", "movedim", "moveaxis", "swapaxes", "swapdims", "numpy_T", "mT", "mH", "matrix_H",
     "adjoint"}
)  # fmt: skip
_SAME = frozenset({"alias", "detach", "contiguous", "to", "type_as", "positive", "lift", "lift_fresh", "expand",
                   "expand_as", "resolve_conj", "resolve_neg", "dropout", "requires_grad_", "real"})  # fmt: skip
_SPLITS = frozenset({"split", "split_with_sizes", "chunk", "tensor_split"})
END = (1 << 63) - 1


def put_back(
    c: Context, whole: ir.Value, value: ir.Value, name: str, args: Sequence[Any], sizes: Sequence[list[Size]]
) -> ir.Value:
    """Return ``whole`` after its view became ``value``.

    Args:
        c: A context whose result is ``whole``.
        whole: The viewed tensor.
        value: The new contents of the view.
        name: The view operator, ``aten``'s name without overload.
        args: The operator's arguments behind the tensor.
        sizes: The shape of each view that the operator returns up to the one written; the last is the one written.

    Raises:
        NotImplementedError: If the view has no inverse here.
    """
    value = c.cast(value, c.dtype)
    if name in _SAME and sizes[-1] == c.sizes_of(whole):
        result = value
    elif name in _RESHAPES:
        c.symbols.remember(value, sizes[-1])
        result = c.reshape(value, c.sizes_of(whole))
    elif name in _PERMUTATIONS:
        result = _unpermuted(c, value, name, args)
    elif name == "diagonal":
        result = _into_diagonal(c, whole, value, *args)
    else:
        result = _into_part(c, whole, value, name, args, sizes)
    c.symbols.remember(result, c.sizes_of(whole))
    return result


def _into_part(
    c: Context, whole: ir.Value, value: ir.Value, name: str, args: Sequence[Any], sizes: Sequence[list[Size]]
) -> ir.Value:
    if name == "select":
        return into_select(c, whole, value, *args)
    if name == "slice":
        return into_slice(c, whole, value, sizes[-1], *args)
    if name == "narrow":
        return into_slice(c, whole, value, sizes[-1], args[0], args[1])
    if name == "unbind":
        return into_select(c, whole, value, args[0] if args else 0, len(sizes) - 1)
    if name in _SPLITS:
        axis = c.axis(whole, args[1] if len(args) > 1 else 0)
        start: Size = 0
        for size in sizes[:-1]:
            start = total(c, start, size[axis])
        return into_slice(c, whole, value, sizes[-1], axis, start)
    raise NotImplementedError(f"a write through {name}")


def total(c: Context, *sizes: Size) -> Size:
    """Return the sum of sizes, known or not."""
    parts = [size.expression if isinstance(size, Dim) else size for size in sizes]
    result = sum(parts)
    return result if isinstance(result, int) else c.symbols.size(result)


def _negative(c: Context, size: Size) -> Size:
    return c.symbols.size(-size.expression) if isinstance(size, Dim) else -size


def into_select(c: Context, whole: ir.Value, value: ir.Value, axis: int, index: Size) -> ir.Value:
    """Put ``value`` where ``select(axis, index)`` looks into ``whole``."""
    axis = c.axis(whole, axis)
    wide = c.op("Unsqueeze", value, [axis])
    sizes = list(c.sizes_of(whole))
    sizes[axis] = 1
    return into_slice(c, whole, wide, sizes, axis, index)


def into_slice(
    c: Context,
    whole: ir.Value,
    value: ir.Value,
    sizes: Sequence[Size],
    axis: int = 0,
    start: Any = None,
    end: Any = None,
    step: int = 1,
) -> ir.Value:
    """Put ``value``, of shape ``sizes``, where ``slice(axis, start, end, step)`` looks into ``whole``."""
    axis = c.axis(whole, axis)
    begin = 0 if start is None else start
    size, length = c.sizes_of(whole)[axis], sizes[axis]
    if not isinstance(begin, (int, Dim)):
        raise NotImplementedError("a write through a slice that starts at a tensor")
    if isinstance(begin, int) and begin < 0:
        begin = max(begin + size, 0) if isinstance(size, int) else total(c, size, begin)
    if length == 0:
        return whole
    if step != 1:
        return _into_steps(c, whole, value, axis, begin, length, step)
    return _joined(c, whole, value, axis, begin, length)


def _joined(c: Context, whole: ir.Value, value: ir.Value, axis: int, begin: Size, length: Size) -> ir.Value:
    parts = [value]
    if begin != 0:
        parts.insert(0, c.op("Slice", whole, [0], c.vector([begin]), [axis]))
    stop = total(c, begin, length)
    left = total(c, c.sizes_of(whole)[axis], _negative(c, stop))
    if left != 0:
        # Counted from the end where only the size of the axis is unknown: this needs no size.
        first = -left if isinstance(left, int) and not isinstance(stop, int) else stop
        parts.append(c.op("Slice", whole, c.vector([first]), [END], [axis]))
    return parts[0] if len(parts) == 1 else c.op("Concat", *parts, axis=axis)


def _into_steps(
    c: Context, whole: ir.Value, value: ir.Value, axis: int, begin: Size, length: Size, step: int
) -> ir.Value:
    size = c.sizes_of(whole)[axis]
    if not (isinstance(size, int) and isinstance(begin, int) and isinstance(length, int)):
        raise NotImplementedError("a write through a strided slice of an extent that is not known")
    return _by_table(c, whole, value, axis, [begin + step * i for i in range(length)], size)


def _by_table(c: Context, whole: ir.Value, value: ir.Value, axis: int, places: Sequence[int], size: int) -> ir.Value:
    """Overwrite ``places`` along an axis: Concat of old and new, and a Gather that picks from the two."""
    table = list(range(size))
    for position, place in enumerate(places):
        table[place] = size + position
    both = c.op("Concat", whole, value, axis=axis)
    return c.op("Gather", both, c.const(table, ir.DataType.INT64), axis=axis)


def _into_diagonal(
    c: Context, whole: ir.Value, value: ir.Value, offset: int = 0, first: int = 0, second: int = 1
) -> ir.Value:
    order, height, width = diagonal_axes(c, whole, first, second)
    sizes = [c.sizes_of(whole)[axis] for axis in order]
    turned = c.op("Transpose", whole, perm=order)
    c.symbols.remember(turned, sizes)
    flat = c.reshape(turned, [*sizes[:-2], height * width])
    places = diagonal_places(height, width, offset)
    filled = _by_table(c, flat, value, len(sizes) - 2, places, height * width)
    c.symbols.remember(filled, [*sizes[:-2], height * width])
    back = [order.index(axis) for axis in range(len(order))]
    return c.op("Transpose", c.reshape(filled, sizes), perm=back)


def diagonal_axes(c: Context, x: ir.Value, first: int, second: int) -> tuple[list[int], int, int]:
    """Return the order that brings the diagonal's two axes to the end, and their extents."""
    a, b = c.axis(x, first), c.axis(x, second)
    height, width = c.sizes_of(x)[a], c.sizes_of(x)[b]
    if not (isinstance(height, int) and isinstance(width, int)):
        raise NotImplementedError("the diagonal of an extent that is not known")
    return [*(axis for axis in range(c.rank(x)) if axis not in (a, b)), a, b], height, width


def diagonal_places(height: int, width: int, offset: int) -> list[int]:
    """Return where the diagonal's elements stand in the flattened matrix."""
    cells = itertools.product(range(height), range(width))
    return [row * width + column for row, column in cells if column - row == offset]


def _unpermuted(c: Context, value: ir.Value, name: str, args: Sequence[Any]) -> ir.Value:
    import torch

    # Axes of different sizes show where each one went.
    probe = torch.empty(list(range(2, 2 + c.rank(value))), device="meta")
    permuted = getattr(torch.ops.aten, name)(probe, *args)
    axes = [size - 2 for size in permuted.shape]
    return c.op("Transpose", value, perm=[axes.index(axis) for axis in range(len(axes))])
