"""Faults in arithmetic: other functions, other precision, values cut off."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from parity.selftest.faults.fault import fault
from parity.surgery import computed, constant, insert_before, number, require, shape_of

_PRODUCTS = ("Conv", "Gemm", "MatMul")
_SIMILAR = {
    "Sigmoid": "HardSigmoid", "HardSwish": "Swish", "Swish": "HardSwish", "Softplus": "Relu", "Relu": "Softplus",
    "Mish": "Swish", "Elu": "Selu", "Tanh": "Softsign",
}  # fmt: skip


@fault("an activation that looks alike", *_SIMILAR)
def _similar_activation(graph: ir.Graph, node: ir.Node) -> None:
    node.op_type = _SIMILAR[node.op_type]
    node.attributes.clear()


@fault("an activation left out", "Relu", "Gelu", "Swish", "HardSwish", "Tanh", "Sigmoid", "LeakyRelu", "Elu", "Mish")
def _activation_lost(graph: ir.Graph, node: ir.Node) -> None:
    node.op_type = "Identity"
    node.attributes.clear()


@fault("ReLU6 for ReLU: values saturate", "Relu")
def _saturation(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    low, high = (
        constant(graph, np.asarray(edge, np.float32), f"fault_{name}") for name, edge in (("low", -3.0), ("high", 3.0))
    )
    return insert_before(graph, node, 0, ("Clip", {"inputs": [low, high]}))


@fault("a clip's upper end lost", "Clip")
def _clip_lost(graph: ir.Graph, node: ir.Node) -> None:
    require(len(node.inputs) > 2 and node.inputs[2] is not None)
    node.replace_input_with(2, None)


@fault("operands rounded to float16", *_PRODUCTS, "Attention")
def _half_precision(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    require(computed(node.inputs[0]))
    half, whole = ({"to": kind} for kind in (ir.DataType.FLOAT16, ir.DataType.FLOAT))
    return insert_before(graph, node, 0, ("Cast", half), ("Cast", whole))


@fault("float16 overflows: a scale was applied too late", *_PRODUCTS)
def _half_overflow(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    require(computed(node.inputs[0]))
    up, down = (
        constant(graph, np.asarray(by, np.float32), f"fault_{name}")
        for name, by in (("up", 65504.0), ("down", 1 / 65504))
    )
    half, whole = ({"to": kind} for kind in (ir.DataType.FLOAT16, ir.DataType.FLOAT))
    steps = (("Mul", {"inputs": [up]}), ("Cast", half), ("Cast", whole), ("Mul", {"inputs": [down]}))
    return insert_before(graph, node, 0, *steps)


@fault("eight bits without a calibrated scale", *_PRODUCTS)
def _coarse_quantisation(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    require(computed(node.inputs[0]))
    scale, zero = (
        constant(graph, np.asarray(0.05, np.float32), "fault_scale"),
        constant(graph, np.asarray(0, np.int8), "fault_zero"),
    )
    return insert_before(
        graph, node, 0, ("QuantizeLinear", {"inputs": [scale, zero]}), ("DequantizeLinear", {"inputs": [scale, zero]})
    )


@fault("the largest for the mean", "GlobalAveragePool", "AveragePool", "ReduceMean")
def _mean_for_largest(graph: ir.Graph, node: ir.Node) -> None:
    node.op_type = {"GlobalAveragePool": "GlobalMaxPool", "AveragePool": "MaxPool", "ReduceMean": "ReduceMax"}[
        node.op_type
    ]
    node.attributes.pop("count_include_pad", None)


@fault("a variance over n - 1 for one over n", "LayerNormalization", "RMSNormalization")
def _degrees_of_freedom(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    shape, axis = shape_of(node.inputs[0]), int(number(node, "axis", -1))
    count = int(np.prod([int(size) for size in shape[axis:] if isinstance(size, int)]))
    require(len(shape[axis:]) == sum(isinstance(size, int) for size in shape[axis:]) and count > 1)
    value = node.inputs[1]
    require(value is not None)
    factor = constant(graph, np.asarray(((count - 1) / count) ** 0.5, np.float32), "fault_ddof")
    return insert_before(graph, node, 1, ("Mul", {"inputs": [factor]}))


@fault("the difference taken the other way round", "Sub", "Div")
def _operands_reversed(graph: ir.Graph, node: ir.Node) -> None:
    left, right = node.inputs
    require(shape_of(left) == shape_of(right))
    node.replace_input_with(0, right)
    node.replace_input_with(1, left)


@fault("a factor left out", "Mul", "Div")
def _factor_lost(graph: ir.Graph, node: ir.Node) -> None:
    left, right = node.inputs
    require(
        computed(left) and right is not None and not computed(right) and shape_of(left) == shape_of(node.outputs[0])
    )
    node.op_type = "Identity"
    node.resize_inputs(1)
