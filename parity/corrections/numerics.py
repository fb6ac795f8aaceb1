"""Undoes mistakes in arithmetic: other functions, other precision, values cut off."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_ir as ir

from parity.corrections.correction import Around, Attempt, correction
from parity.surgery import bypass, constant, insert_before, number, require, shape_of

# Functions of one operand that stand in for one another; name -> (operator, attributes).
_FUNCTIONS: dict[str, tuple[str, dict[str, float | str]]] = {
    "Relu": ("Relu", {}), "Gelu": ("Gelu", {}), "Gelu (tanh)": ("Gelu", {"approximate": "tanh"}),
    "Gelu (sigmoid)": ("Swish", {"alpha": 1.702}), "Swish": ("Swish", {}), "HardSwish": ("HardSwish", {}),
    "Mish": ("Mish", {}), "Sigmoid": ("Sigmoid", {}), "HardSigmoid": ("HardSigmoid", {"alpha": 1 / 6}),
    "HardSigmoid of Keras 2": ("HardSigmoid", {"alpha": 0.2}), "Tanh": ("Tanh", {}), "Softplus": ("Softplus", {}),
    "Softsign": ("Softsign", {}), "Elu": ("Elu", {}), "Selu": ("Selu", {}), "LeakyRelu 0.01": ("LeakyRelu", {}),
    "LeakyRelu 0.1": ("LeakyRelu", {"alpha": 0.1}), "LeakyRelu 0.2": ("LeakyRelu", {"alpha": 0.2}),
    "Exp": ("Exp", {}), "Sqrt": ("Sqrt", {}), "Neg": ("Neg", {}), "Abs": ("Abs", {}), "Identity": ("Identity", {}),
}  # fmt: skip
_POOLS = {
    "GlobalMaxPool": "GlobalAveragePool", "GlobalAveragePool": "GlobalMaxPool", "MaxPool": "AveragePool",
    "AveragePool": "MaxPool", "ReduceMax": "ReduceMean", "ReduceMean": "ReduceMax", "ReduceSum": "ReduceMean",
}  # fmt: skip
_ROUNDING = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16})


@correction("another activation, or one left out", *sorted({op for op, _ in _FUNCTIONS.values()} - {"Exp", "Sqrt"}))
def _activation(node: ir.Node, around: Around) -> Iterator[Attempt]:
    for name, (op, attributes) in _FUNCTIONS.items():
        if op != node.op_type or attributes:
            yield f"{name} for {node.op_type}", partial(_function, op, attributes)
    yield f"Relu6 for {node.op_type}", _relu6


def _function(op: str, attributes: dict[str, float | str], graph: ir.Graph, node: ir.Node) -> None:
    node.op_type, node.version = op, None
    node.attributes.clear()
    for name, value in attributes.items():
        node.attributes[name] = (
            ir.AttrString(name, value) if isinstance(value, str) else ir.AttrFloat32(name, float(value))
        )


def _relu6(graph: ir.Graph, node: ir.Node) -> None:
    value = node.inputs[0]
    ends = [constant(graph, np.asarray(end, np.float32), f"corrected_{end}") for end in (0, 6)]
    node.op_type, node.version = "Clip", None
    node.attributes.clear()
    node.resize_inputs(3)
    for place, item in enumerate([value, *ends]):
        node.replace_input_with(place, item)


@correction("values saturate: a clip too many", "Clip")
def _saturation(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield "no clip", bypass
    yield "no lower end", lambda graph, node: node.replace_input_with(1, None)
    if len(node.inputs) > 2:
        yield "no upper end", lambda graph, node: node.replace_input_with(2, None)


@correction("a clip's end lost", "Clip")
def _clip_lost(node: ir.Node, around: Around) -> Iterator[Attempt]:
    for low, high in ((0.0, 6.0), (0.0, 1.0), (-1.0, 1.0), (-10.0, 10.0), (0.0, 20.0)):
        yield f"a clip to {low:g} .. {high:g}", partial(_clipped, low, high)


def _clipped(low: float, high: float, graph: ir.Graph, node: ir.Node) -> None:
    ends = [constant(graph, np.asarray(end, np.float32), f"corrected_{end}") for end in (low, high)]
    value = node.inputs[0]
    node.resize_inputs(3)
    for place, item in enumerate([value, *ends]):
        node.replace_input_with(place, item)


@correction("a precision of its own: rounded to half, or to eight bits, on the way", "Cast", "QuantizeLinear")
def _half_precision(node: ir.Node, around: Around) -> Iterator[Attempt]:
    back = next((use.node for use in node.outputs[0].uses()), None)
    require(back is not None and back.op_type in ("Cast", "DequantizeLinear"))
    narrow = node.op_type == "QuantizeLinear" or ir.DataType(number(node, "to")) in _ROUNDING
    require(narrow)
    yield "no rounding on the way", _unrounded


def _unrounded(graph: ir.Graph, node: ir.Node) -> None:
    """Let whoever reads a rounded value read it as it was."""
    for use in list(node.outputs[0].uses()):
        for inner in list(use.node.outputs[0].uses()):
            inner.node.replace_input_with(inner.idx, node.inputs[0])


@correction("the largest for the mean, or the sum", *_POOLS)
def _mean_for_largest(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield f"{_POOLS[node.op_type]} for {node.op_type}", partial(_retyped, _POOLS[node.op_type])


def _retyped(op: str, graph: ir.Graph, node: ir.Node) -> None:
    node.op_type, node.version = op, None
    node.attributes.pop("count_include_pad", None)


@correction("a variance over n - 1 for one over n, or the other way round", "LayerNormalization", "RMSNormalization")
def _degrees_of_freedom(node: ir.Node, around: Around) -> Iterator[Attempt]:
    shape, axis = shape_of(node.inputs[0]), int(number(node, "axis", -1))
    count = int(np.prod([int(size) for size in shape[axis:] if isinstance(size, int)]))
    require(count > 1)
    factor = ((count - 1) / count) ** 0.5
    for words, by in (("over n", 1 / factor), ("over n - 1", factor)):
        yield f"a variance {words}", partial(_scaled, by)


def _scaled(by: float, graph: ir.Graph, node: ir.Node) -> None:
    factor = constant(graph, np.asarray(by, np.float32), "corrected_ddof")
    insert_before(graph, node, 1, ("Mul", {"inputs": [factor]}))


@correction("channels of a picture in the other order", "Conv")
def _channel_order(node: ir.Node, around: Around) -> Iterator[Attempt]:
    require(shape_of(node.inputs[0])[1] == 3)
    yield "the other order of colours", _reversed_channels


def _reversed_channels(graph: ir.Graph, node: ir.Node) -> None:
    order = constant(graph, np.array([2, 1, 0]), "corrected_channels")
    insert_before(graph, node, 0, ("Gather", {"inputs": [order], "axis": 1}))
