"""Faults in how a graph is wired: operands lost, swapped, in another order, read from elsewhere."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from parity.selftest.faults.fault import fault
from parity.surgery import computed, constant, insert_before, number, require, set_number, shape_of


@fault("a residual connection left out", "Add")
def _residual_lost(graph: ir.Graph, node: ir.Node) -> None:
    left, right = node.inputs
    require(computed(left) and computed(right) and shape_of(left) == shape_of(right))
    node.op_type = "Identity"
    node.resize_inputs(1)


@fault("queries and keys swapped", "Attention")
def _queries_for_keys(graph: ir.Graph, node: ir.Node) -> None:
    _swap(node, 0, 1)


@fault("keys and values swapped", "Attention")
def _keys_for_values(graph: ir.Graph, node: ir.Node) -> None:
    _swap(node, 1, 2)


def _swap(node: ir.Node, first: int, second: int) -> None:
    left, right = node.inputs[first], node.inputs[second]
    require(left is not right and shape_of(left) == shape_of(right))
    node.replace_input_with(first, right)
    node.replace_input_with(second, left)


@fault("the mask lost", "Attention")
def _mask_lost(graph: ir.Graph, node: ir.Node) -> None:
    require(len(node.inputs) > 3 and node.inputs[3] is not None)
    node.replace_input_with(3, None)


@fault("the mask's sign turned", "Attention")
def _mask_sign(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    require(len(node.inputs) > 3 and node.inputs[3] is not None)
    mask = node.inputs[3]
    assert mask is not None
    require(mask.dtype in (ir.DataType.BOOL, ir.DataType.FLOAT))
    return insert_before(graph, node, 3, ("Not" if mask.dtype == ir.DataType.BOOL else "Neg", {}))


@fault("parts joined in another order", "Concat")
def _parts_reordered(graph: ir.Graph, node: ir.Node) -> None:
    require(len(node.inputs) > 1)
    first, last = node.inputs[0], node.inputs[-1]
    require(first is not last and computed(first) and computed(last) and shape_of(first) == shape_of(last))
    node.replace_input_with(0, last)
    node.replace_input_with(len(node.inputs) - 1, first)


@fault("chunks taken in another order", "Split")
def _chunks_reordered(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    first, second = node.outputs[:2]
    require(shape_of(first) == shape_of(second) and first.uses() and second.uses())
    ours, theirs = list(first.uses()), list(second.uses())
    require(not first.is_graph_output() and not second.is_graph_output())
    for use in ours:
        use.node.replace_input_with(use.idx, second)
    for use in theirs:
        use.node.replace_input_with(use.idx, first)
    return [use.node for use in (*ours, *theirs)]


@fault("an index one off", "Gather", "Slice")
def _index_off(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    axis = int(number(node, "axis", 0)) if node.op_type == "Gather" else -1
    index = node.inputs[1]
    require(node.op_type == "Gather" and computed(node.inputs[0]) and index is not None)
    assert index is not None
    require(index.is_initializer() and index.const_value is not None and index.const_value.size == 1)
    assert index.const_value is not None
    size, place = shape_of(node.inputs[0])[axis], int(index.const_value.numpy().reshape(()))
    require(isinstance(size, int) and int(size) > 1)
    moved = place + 1 if 0 <= place < int(size) - 1 else place - 1
    other = constant(graph, np.asarray(moved, np.int64).reshape(index.const_value.numpy().shape), "fault_index")
    node.replace_input_with(1, other)
    return [node]


@fault("flattened in the other layout (height, width, channels)", "Reshape", "Flatten")
def _flatten_order(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    before, after = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    require(len(before) == 4 and len(after) == 2 and before[1] != 1 and before[2:] != [1, 1])
    return insert_before(graph, node, 0, ("Transpose", {"perm": [0, 2, 3, 1]}))


@fault("an input frozen to the example's value", "Conv", "Gemm", "MatMul", "Gather", "Cast")
def _input_frozen(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    index = next((place for place, value in enumerate(node.inputs) if value in graph.inputs), None)
    require(index is not None)
    assert index is not None
    value = node.inputs[index]
    assert value is not None
    require(value.dtype is not None)
    zero = constant(graph, np.zeros((), value.dtype.numpy() if value.dtype else np.float32), "fault_frozen")
    return insert_before(graph, node, index, ("Mul", {"inputs": [zero]}))


@fault("the outputs in another order", "Identity", "Gemm", "MatMul", "Add", "LayerNormalization", "Concat", "Sigmoid")
def _outputs_reordered(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    require(len(graph.outputs) > 1 and node.outputs[0] is graph.outputs[0])
    first, second = graph.outputs[:2]
    graph.outputs[0], graph.outputs[1] = second, first
    return [item for value in (first, second) if (item := value.producer()) is not None]


@fault("a norm over the wrong axes", "LayerNormalization", "RMSNormalization")
def _norm_axis(graph: ir.Graph, node: ir.Node) -> None:
    shape = shape_of(node.inputs[0])
    axis = int(number(node, "axis", -1)) % len(shape)
    require(axis > 1)
    set_number(node, "axis", axis - 1)


@fault("the mean over the wrong axis", "ReduceMean", "ReduceSum", "ReduceMax")
def _reduced_axis(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    require(len(node.inputs) > 1 and node.inputs[1] is not None and number(node, "keepdims", 1))
    axes, rank = node.inputs[1], len(shape_of(node.inputs[0]))
    assert axes is not None
    require(axes.is_initializer() and axes.const_value is not None and axes.const_value.size == 1)
    assert axes.const_value is not None
    axis = int(axes.const_value.numpy().reshape(())) % rank
    require(rank > 2)
    other = axis - 1 if axis > 1 else axis + 1
    node.replace_input_with(1, constant(graph, np.array([other], np.int64), "fault_axis"))
    return [node]
