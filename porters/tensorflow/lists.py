"""TensorFlow's lists of tensors, translated as what they hold: one tensor with the elements along its first axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import onnx_ir as ir

from porters.tensorflow.dims import Dim, Shape, as_dim
from porters.tensorflow.node import Node
from porters.tensorflow.registry import Untranslatable
from porters.tensorflow.tensor import Filled, Held, Tensor

if TYPE_CHECKING:
    from porters.tensorflow.context import Context


@final
@dataclass(eq=False)
class TensorList(Tensor):
    """A list; as a tensor of TensorFlow's it is a scalar.

    Attributes:
        items: The elements along axis 0; ``None`` while none was written whose shape would be known.
        length: Then: how many there are, an integer scalar.
    """

    items: Tensor | None = None
    length: Tensor | None = None

    def size(self) -> Dim | None:
        """Return the number of elements where it is known while translating."""
        if self.items is not None:
            return self.items.shape[0]
        array = None if self.length is None else self.length.array
        return None if array is None else as_dim(array.reshape(()).item())


@final
@dataclass(eq=False)
class Accumulator(Tensor):
    """A list that a loop only writes, one element each round; ``written`` is this round's."""

    written: Tensor | None = None


def of_items(items: Tensor) -> TensorList:
    """Return the list of the elements along axis 0."""
    return TensorList((), items.dtype, items)


def reserved(dtype: ir.DataType, length: Tensor) -> TensorList:
    """Return a list of ``length`` elements of zeros whose shape is not known yet."""
    return TensorList((), dtype, None, length)


def as_list(tensor: Tensor) -> TensorList:
    """Return ``tensor`` as the list that it is.

    Raises:
        Untranslatable: If a loop collects it, and something but the loop itself wants to read it.
    """
    if isinstance(tensor, TensorList):
        return tensor
    raise Untranslatable("a list is read that has no static form")


def filled(ctx: Context, held: TensorList, element: Shape) -> Tensor:
    """Return the elements, zeros of the shape ``element`` where none was written."""
    if held.items is not None:
        return held.items
    size = held.size()
    if size is not None:
        return Filled((size, *element), held.dtype, np.zeros((), held.dtype.numpy()))
    count = ctx.builder.cast(ctx.value(vector(ctx, held.length)), ir.DataType.INT64)
    extent = ctx.step("Concat", count, ctx.sizes(element), axis=0) if element else count
    zero = ctx.builder.const(np.zeros((), held.dtype.numpy()))
    return ctx.op("Expand", zero, extent, shape=(ctx.unknown(), *element), dtype=held.dtype)


def zeros(ctx: Context, dtype: ir.DataType, count: int, element: Shape) -> list[Tensor]:
    """Return ``count`` elements of zeros, nothing where it is none."""
    return [Filled((count, *element), dtype, np.zeros((), dtype.numpy()))] if count > 0 else []


def vector(ctx: Context, scalar: Tensor | None) -> Tensor:
    """Return a scalar as a vector of one element."""
    if scalar is None:
        raise Untranslatable("a list of unknown length")
    return ctx.reshape(scalar, (1,))


def written(ctx: Context, held: TensorList, index: Tensor, item: Tensor, *, grows: bool = False) -> TensorList:
    """Return the list with ``item`` at ``index``; a list of one element is that element.

    Args:
        ctx: Emits the nodes.
        held: The list.
        index: An integer scalar.
        item: The element.
        grows: Whether a list that is too short becomes longer by zeros.
    """
    row, size, place = ctx.reshape(item, (1, *item.shape)), held.size(), index.array
    if size == 1 and (place == 0 if place is not None else not grows):
        return of_items(row)
    items = filled(ctx, held, item.shape)
    if isinstance(size, int) and place is not None and int(place) >= size:
        return of_items(joined(ctx, [items, *zeros(ctx, held.dtype, int(place) - size, item.shape), row]))
    if grows and (place is None or not isinstance(size, int)):
        items = _reaching(ctx, items, index)
    return of_items(scattered(ctx, items, vector(ctx, index), row))


def _reaching(ctx: Context, items: Tensor, index: Tensor) -> Tensor:
    """Return ``items`` with as many zeros behind them as it takes to have one at ``index``."""
    value, element = ctx.value(items), items.shape[1:]
    needed = ctx.step("Add", ctx.builder.cast(ctx.value(vector(ctx, index)), ir.DataType.INT64), 1)
    missing = ctx.step("Sub", needed, ctx.step("Shape", value, start=0, end=1, shape=[1]))
    count = ctx.step("Max", missing, ctx.builder.const(np.zeros(1, np.int64)), shape=[1])
    extent = ctx.step("Concat", count, ctx.sizes(element), axis=0) if element else count
    more = ctx.step("Expand", ctx.builder.const(np.zeros((), items.dtype.numpy())), extent, dtype=items.dtype)
    return ctx.op("Concat", value, more, axis=0, shape=(ctx.unknown(), *element))


def scattered(ctx: Context, items: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Return ``items`` with rows replaced: ``updates`` go where the vector ``indices`` says."""
    where = ctx.builder.cast(ctx.value(ctx.reshape(indices, (*indices.shape, 1))), ir.DataType.INT64)
    return ctx.op("ScatterND", ctx.value(items), where, ctx.value(updates), shape=items.shape)


def gathered(ctx: Context, items: Tensor, indices: Tensor) -> Held:
    """Return the rows of ``items`` that ``indices`` (of any rank) names."""
    return ctx.op("Gather", ctx.value(items), ctx.value(indices), axis=0, shape=(*indices.shape, *items.shape[1:]))


def joined(ctx: Context, parts: Sequence[Tensor]) -> Tensor:
    """Return the rows of all ``parts``, one behind the other; a part without rows is left out."""
    parts = [part for part in parts if part.shape[0] != 0] or list(parts[-1:])
    if len(parts) == 1:
        return parts[0]
    total: Any = 0
    for part in parts:
        total = total + part.shape[0]
    return ctx.op("Concat", *(ctx.value(part) for part in parts), axis=0, shape=(total, *parts[-1].shape[1:]))


def element_shape(node: Node, given: Tensor | None, index: int | None = None) -> Shape | None:
    """Return the shape of an element where it is known.

    Args:
        node: The operation that asks.
        given: Its operand of that meaning: sizes, -1 for what is open, or -1 alone.
        index: Which of the node's results is an element, where one is.
    """
    array = None if given is None else given.array
    sizes: list[Any] | None = None
    if array is not None and array.ndim == 1:
        sizes = [None if item == -1 else as_dim(item) for item in array.tolist()]
    known = None if index is None else node.shapes[index]
    if known is not None:
        sizes = [a if a is not None else b for a, b in zip(sizes or [None] * len(known), known, strict=True)]
    return None if sizes is None or None in sizes else tuple(sizes)
