"""Operations on lists of tensors: TensorFlow's TensorLists, which its TensorArrays are."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Dim, product
from porters.tensorflow.lists import (
    Accumulator,
    as_list,
    element_shape,
    filled,
    gathered,
    joined,
    of_items,
    reserved,
    scattered,
    written,
    zeros,
)
from porters.tensorflow.node import Node
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor


def _element_dtype(node: Node) -> ir.DataType:
    kind = node.attr("element_dtype")
    if not (kind.is_floating or kind.is_integer or kind.is_bool):
        raise Untranslatable(f"a list of {kind.name}")
    return ir.DataType.from_numpy(np.dtype(kind.as_numpy_dtype))


@translates("TensorListReserve")
def reserve(ctx: Context, node: Node, element: Tensor, length: Tensor) -> Tensor:
    """Translate a list of zeros; its elements are written where their shape is known."""
    held, shape = reserved(_element_dtype(node), length), element_shape(node, element)
    return held if shape is None else of_items(filled(ctx, held, shape))


@translates("EmptyTensorList")
def empty(ctx: Context, node: Node, element: Tensor, most: Tensor) -> Tensor:
    """Translate a list without elements."""
    return reserved(_element_dtype(node), ctx.constant(np.zeros((), np.int32)))


@translates("TensorListFromTensor")
def from_tensor(ctx: Context, node: Node, tensor: Tensor, element: Tensor) -> Tensor:
    """Translate the rows of a tensor as a list."""
    return of_items(tensor)


@translates("TensorListStack")
def stack(ctx: Context, node: Node, held: Tensor, element: Tensor) -> Tensor:
    """Translate a list as a tensor."""
    return _items(ctx, node, held, element)


def _items(ctx: Context, node: Node, held: Tensor, element: Tensor | None, index: int | None = None) -> Tensor:
    known = as_list(held)
    if known.items is not None:
        return known.items
    shape = element_shape(node, element, index)
    if shape is None:
        raise Untranslatable("elements of a list are read before one of a known shape is written")
    return filled(ctx, known, shape)


@translates("TensorListGetItem")
def get_item(ctx: Context, node: Node, held: Tensor, index: Tensor, element: Tensor) -> Tensor:
    """Translate one element."""
    return gathered(ctx, _items(ctx, node, held, element, 0), index)


@translates("TensorListSetItem")
def set_item(ctx: Context, node: Node, held: Tensor, index: Tensor, item: Tensor) -> Tensor:
    """Translate a list with one element replaced."""
    if isinstance(held, Accumulator):
        return Accumulator((), item.dtype, item)
    return written(ctx, as_list(held), index, item, grows=bool(node.attr("resize_if_index_out_of_bounds")))


@translates("TensorListPushBack")
def push_back(ctx: Context, node: Node, held: Tensor, item: Tensor) -> Tensor:
    """Translate a list with an element more."""
    if isinstance(held, Accumulator):
        return Accumulator((), item.dtype, item)
    items = filled(ctx, as_list(held), item.shape)
    return of_items(joined(ctx, [items, ctx.reshape(item, (1, *item.shape))]))


@translates("TensorListPopBack")
def pop_back(ctx: Context, node: Node, held: Tensor, element: Tensor) -> list[Tensor]:
    """Translate a list without its last element, and that element."""
    items = _items(ctx, node, held, element, 1)
    value = ctx.value(items)
    rest = ctx.op("Slice", value, [0], [-1], [0], shape=(items.shape[0] - 1, *items.shape[1:]))
    last = ctx.builder.const(np.array(-1, np.int64))
    return [of_items(rest), ctx.op("Gather", value, last, axis=0, shape=items.shape[1:])]


@translates("TensorListLength")
def length(ctx: Context, node: Node, held: Tensor) -> Tensor:
    """Translate the number of elements."""
    known = as_list(held)
    size = known.size()
    if size is not None:
        return ctx.constant(np.array(size, dtype=object if not isinstance(size, int) else np.int32), ir.DataType.INT32)
    if known.length is None:
        raise Untranslatable("a list of unknown length")
    return known.length


def _is_everything(indices: Tensor, size: Dim | None) -> bool:
    """Say whether indices are all of ``size`` places in order."""
    places = indices.array
    if places is None or places.dtype == object or not isinstance(size, int):
        return False
    return bool(places.tolist() == list(range(size)))


@translates("TensorListGather")
def gather(ctx: Context, node: Node, held: Tensor, indices: Tensor, element: Tensor) -> Tensor:
    """Translate several elements as a tensor; all of them in order are the list's."""
    items = as_list(held).items
    if items is not None and _is_everything(indices, items.shape[0]):
        return items
    return gathered(ctx, _items(ctx, node, held, element), indices)


@translates("TensorListScatter", "TensorListScatterV2")
def scatter(ctx: Context, node: Node, tensor: Tensor, indices: Tensor, element: Tensor, *count: Tensor) -> Tensor:
    """Translate rows put where indices say; indices that are all places in order are the rows as they are."""
    places = indices.array
    if places is not None and places.dtype != object and places.tolist() == list(range(len(places))):
        wanted = count[0].array if count else None
        if wanted is None or int(wanted) in (-1, len(places)):
            return of_items(tensor)
    known = count[0].array if count else None
    if known is None or known.dtype == object or int(known) < 0:
        raise Untranslatable("rows scattered into a list of unknown length")
    blank = filled(ctx, reserved(tensor.dtype, count[0]), tensor.shape[1:])
    return of_items(scattered(ctx, blank, indices, tensor))


@translates("TensorListScatterIntoExistingList")
def scatter_into(ctx: Context, node: Node, held: Tensor, tensor: Tensor, indices: Tensor) -> Tensor:
    """Translate rows put into a list where indices say; a row for every place is the list."""
    if _is_everything(indices, as_list(held).size()):
        return of_items(tensor)
    return of_items(scattered(ctx, filled(ctx, as_list(held), tensor.shape[1:]), indices, tensor))


@translates("TensorListConcat", "TensorListConcatV2")
def concat(ctx: Context, node: Node, held: Tensor, *rest: Tensor) -> list[Tensor]:
    """Translate the elements joined along their first axis, and how long each is."""
    items = as_list(held).items
    if items is None or items.rank < 2:
        raise Untranslatable("elements of a list are joined before one of a known shape is written")
    count, first = items.shape[:2]
    lengths = ctx.op("Expand", ctx.builder.cast(ctx.size(first), ir.DataType.INT64), ctx.sizes([count]), shape=(count,))
    return [ctx.reshape(items, (product((count, first)), *items.shape[2:])), lengths]


@translates("TensorListSplit")
def split(ctx: Context, node: Node, tensor: Tensor, element: Tensor, lengths: Tensor) -> Tensor:
    """Translate a tensor cut into elements of one length."""
    known = lengths.array
    if known is None or known.dtype == object or len(set(known.tolist())) != 1:
        raise Untranslatable("a tensor cut into elements of different lengths")
    return of_items(ctx.reshape(tensor, (len(known), int(known[0]), *tensor.shape[1:])))


@translates("TensorListResize")
def resize(ctx: Context, node: Node, held: Tensor, size: Tensor) -> Tensor:
    """Translate a list made longer by zeros or cut."""
    known, array = as_list(held), size.array
    before = known.size()
    if known.items is None:
        return reserved(known.dtype, size)
    if array is None or array.dtype == object or not isinstance(before, int):
        raise Untranslatable("a list resized to a length that is not known")
    after = int(array)
    if after <= before:
        value = ctx.value(known.items)
        return of_items(ctx.op("Slice", value, [0], [after], [0], shape=(after, *known.items.shape[1:])))
    return of_items(joined(ctx, [known.items, *zeros(ctx, known.dtype, after - before, known.items.shape[1:])]))


@translates("TensorListConcatLists")
def concat_lists(ctx: Context, node: Node, first: Tensor, second: Tensor) -> Tensor:
    """Translate two lists, one behind the other."""
    ends = [as_list(first), as_list(second)]
    items = [held.items for held in ends if held.items is not None]
    unwritten = [held for held in ends if held.items is None]
    if any(held.size() != 0 for held in unwritten):
        raise Untranslatable("elements of a list are read before one of a known shape is written")
    return of_items(joined(ctx, items)) if items else unwritten[0]


@translates("TensorListElementShape")
def shape_of_elements(ctx: Context, node: Node, held: Tensor) -> Tensor:
    """Translate the shape of the elements."""
    items = as_list(held).items
    if items is None:
        raise Untranslatable("the shape of elements none of which is written")
    kind = ir.DataType.from_numpy(np.dtype(node.attr("shape_type").as_numpy_dtype))
    return ctx.constant(np.array([*items.shape[1:]], dtype=object), kind)
