"""Undoes mistakes in how a graph is wired: operands lost, swapped, in another order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import onnx_ir as ir

from parity.corrections.correction import Around, Attempt, correction
from parity.surgery import append_after, bypass, computed, constant, insert_before, number, require, shape_of

# Operands of attention that may stand in each other's place.
_OPERANDS = ("queries", "keys", "values")


def _reorder(order: Sequence[int], graph: ir.Graph, node: ir.Node) -> None:
    before = list(node.inputs)
    for place, index in enumerate(order):
        node.replace_input_with(place, before[index])


@correction("queries, keys and values in another order", "Attention")
def _queries_keys_values(node: ir.Node, around: Around) -> Iterator[Attempt]:
    for order in itertools.permutations(range(3)):
        if order != (0, 1, 2):
            words = ", ".join(_OPERANDS[index] for index in order)
            yield f"{words} for queries, keys, values", partial(_reorder, order)


@correction("the mask's sign turned", "Attention")
def _mask_sign(node: ir.Node, around: Around) -> Iterator[Attempt]:
    require(len(node.inputs) > 3 and node.inputs[3] is not None)
    mask = node.inputs[3]
    assert mask is not None
    op = "Not" if mask.dtype == ir.DataType.BOOL else "Neg"
    yield "the mask turned round", lambda graph, node: insert_before(graph, node, 3, (op, {}))


@correction("the mask lost, or one too many", "Attention")
def _mask_lost(node: ir.Node, around: Around) -> Iterator[Attempt]:
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        yield "no mask", lambda graph, node: node.replace_input_with(3, None)
        return
    for handle, array in around.results.items():
        if 2 <= array.ndim <= 4 and array.dtype.kind in "bf" and min(array.shape) > 0:
            yield f"the mask {handle}", partial(_masked, array)


def _masked(mask: np.ndarray, graph: ir.Graph, node: ir.Node) -> None:
    node.resize_inputs(max(4, len(node.inputs)))
    node.replace_input_with(3, constant(graph, mask, "corrected_mask"))


@correction("chunks taken in another order", "Split")
def _chunks_reordered(node: ir.Node, around: Around) -> Iterator[Attempt]:
    usual = tuple(range(len(node.outputs)))
    require(1 < len(usual) <= 4)
    for order in itertools.permutations(usual):
        if order != usual:
            yield f"chunks {list(order)}", partial(_chunks, order)


def _chunks(order: Sequence[int], graph: ir.Graph, node: ir.Node) -> None:
    require(not any(value.is_graph_output() for value in node.outputs))
    uses = [list(value.uses()) for value in node.outputs]
    for place, index in enumerate(order):
        for use in uses[place]:
            use.node.replace_input_with(use.idx, node.outputs[index])


@correction("parts joined in another order", "Concat")
def _parts_reordered(node: ir.Node, around: Around) -> Iterator[Attempt]:
    usual = tuple(range(len(node.inputs)))
    require(1 < len(usual) <= 5)
    for order in itertools.permutations(usual):
        if order != usual:
            yield f"parts {list(order)}", partial(_reorder, order)


@correction("operands the other way round", "Sub", "Div", "MatMul", "Pow", "Greater", "Less")
def _operands_reversed(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield "the operands the other way round", partial(_reorder, (1, 0))


@correction("an index one off", "Gather")
def _index_off(node: ir.Node, around: Around) -> Iterator[Attempt]:
    index, axis = node.inputs[1], int(number(node, "axis", 0))
    require(index is not None and index.is_initializer() and index.const_value is not None)
    assert index is not None
    assert index.const_value is not None
    require(index.const_value.size == 1)
    size, place = shape_of(node.inputs[0])[axis], index.const_value.numpy()
    require(isinstance(size, int))
    for by in (1, -1):
        if -int(size) <= int(place.reshape(())) + by < int(size):
            yield f"index {int(place.reshape(())) + by} for {int(place.reshape(()))}", partial(_index, place + by)


def _index(place: np.ndarray, graph: ir.Graph, node: ir.Node) -> None:
    node.replace_input_with(1, constant(graph, place.astype(np.int64), "corrected_index"))


@correction("flattened in the other layout (height, width, channels)", "Reshape", "Flatten")
def _flatten_order(node: ir.Node, around: Around) -> Iterator[Attempt]:
    require(len(shape_of(node.inputs[0])) == 4)
    for words, perm in (("channels last", [0, 2, 3, 1]), ("channels first", [0, 3, 1, 2])):
        yield f"{words} before flattening", partial(_transposed_before, perm)


def _transposed_before(perm: list[int], graph: ir.Graph, node: ir.Node) -> None:
    insert_before(graph, node, 0, ("Transpose", {"perm": perm}))


@correction("reduced over the wrong axis", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2")
def _reduced_axis(node: ir.Node, around: Around) -> Iterator[Attempt]:
    rank = len(shape_of(node.inputs[0]))
    require(len(node.inputs) > 1 and node.inputs[1] is not None and rank <= 5)
    for count in range(1, rank):
        for axes in itertools.combinations(range(rank), count):
            yield f"axes {list(axes)}", partial(_axes, axes)


def _axes(axes: tuple[int, ...], graph: ir.Graph, node: ir.Node) -> None:
    node.replace_input_with(1, constant(graph, np.array(axes, np.int64), "corrected_axes"))


@correction("a residual connection left out")
def _residual_lost(node: ir.Node, around: Around) -> Iterator[Attempt]:
    for handle, array in around.alike():
        yield f"{handle} added", partial(append_after, "Add", array)


@correction("a factor left out, or a gate")
def _factor_lost(node: ir.Node, around: Around) -> Iterator[Attempt]:
    for handle, array in around.alike():
        yield f"multiplied by {handle}", partial(append_after, "Mul", array)
    for inner in node.inputs:
        if inner is not None and computed(inner) and node.op_type == "Identity":
            for factor in (0.5, 2.0, 0.125, 255.0, 1 / 255, 2**-0.5, 2**0.5):
                yield f"multiplied by {factor:.6g}", partial(append_after, "Mul", np.asarray(factor, np.float32))


@correction("a factor or a term too many: an input that counts for nothing", "Mul", "Div", "Add", "Sub")
def _factor_too_many(node: ir.Node, around: Around) -> Iterator[Attempt]:
    constants = [not computed(value) for value in node.inputs]
    require(any(constants) and not all(constants))
    yield f"no {node.op_type}", lambda graph, node: bypass(graph, node, constants.index(False))


@correction("another value read than upstream reads")
def _another_operand(node: ir.Node, around: Around) -> Iterator[Attempt]:
    for place, value in enumerate(node.inputs):
        if value is None or not computed(value) or value.producer() is not None:
            continue  # only what comes into the layer
        for handle, array in around.results.items():
            if handle != value.name and _fits(array, value):
                yield f"{handle} for {value.name}", partial(_read_instead, place, array)


def _fits(array: np.ndarray, value: ir.Value) -> bool:
    dtype = value.dtype
    return (
        value.shape is not None
        and list(array.shape) == list(value.shape)
        and (dtype is not None and array.dtype == dtype.numpy())
    )


def _read_instead(place: int, array: np.ndarray, graph: ir.Graph, node: ir.Node) -> None:
    node.replace_input_with(place, constant(graph, array, "corrected_operand"))
