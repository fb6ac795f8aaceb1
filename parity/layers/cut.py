"""Cuts a port into layers: between values that the original has as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from zoo.graph import HANDLE, INLINE_BYTES


@dataclass(frozen=True)
class Layer:
    """The part of a graph that computes some values, which the original has, from others that it has.

    Attributes:
        nodes: Its operators in order.
        inputs: What it reads: values that the original has, and inputs of the graph.
        weights: The tensors that it reads.
        outputs: What it computes, with the handle of each.
    """

    nodes: Sequence[ir.Node]
    inputs: Sequence[ir.Value]
    weights: Sequence[ir.Value]
    outputs: Mapping[ir.Value, str]


def cut(graph: ir.Graph, known: Iterable[str]) -> list[Layer]:
    """Return the layers of ``graph`` in order, between the values whose handles are ``known``."""
    handles = set(known)
    kept = {
        value: value.metadata_props[HANDLE]
        for node in graph
        for value in node.outputs
        if value.metadata_props.get(HANDLE) in handles
    }
    order = {node: place for place, node in enumerate(graph)}
    layers = []
    for node in graph:
        outputs = {value: kept[value] for value in node.outputs if value in kept}
        if outputs:
            layers.append(_layer(node, outputs, kept, order))
    return layers


def _layer(
    last: ir.Node, outputs: Mapping[ir.Value, str], kept: Mapping[ir.Value, str], order: Mapping[ir.Node, int]
) -> Layer:
    nodes, inputs, weights = {last}, dict[ir.Value, None](), dict[ir.Value, None]()
    pending = list(reads(last))
    while pending:
        value = pending.pop()
        producer = value.producer()
        if value.is_initializer():
            weights[value] = None
        elif producer is None or value in kept:
            inputs[value] = None
        elif producer not in nodes:
            nodes.add(producer)
            pending += reads(producer)
    return Layer(sorted(nodes, key=order.__getitem__), list(inputs), list(weights), outputs)


def reads(node: ir.Node) -> list[ir.Value]:
    """Return what a node reads of its own graph, by itself and from within its sub-graphs."""
    found = [value for value in node.inputs if value is not None]
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            found += _outer(attribute.as_graph())
    return found


def _outer(body: ir.Graph) -> list[ir.Value]:
    """Return what a sub-graph reads of the graphs around it."""
    own = {*body.inputs, *body.initializers.values()} | {value for node in body for value in node.outputs}
    found = [value for node in body for value in reads(node) if value not in own]
    return found + [value for value in body.outputs if value not in own]


def as_model(layer: Layer, opset_imports: Mapping[str, int], ir_version: int) -> onnx.ModelProto:
    """Return a layer as a model of its own; large weights are inputs of it, small ones stay constants."""
    constants = [value for value in layer.weights if is_constant(value)]
    given = [*layer.inputs, *(value for value in layer.weights if not is_constant(value))]
    graph = onnx.helper.make_graph(
        [ir.serde.serialize_node(node) for node in layer.nodes],
        "layer",
        [_info(value) for value in given],
        [_info(value) for value in layer.outputs],
        [_constant(value) for value in constants],
    )
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in opset_imports.items()]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def is_constant(value: ir.Value) -> bool:
    """Say whether a tensor is small enough to stay in a layer's graph, where runtimes can see its elements."""
    return value.const_value is not None and value.const_value.nbytes <= INLINE_BYTES


def _info(value: ir.Value) -> onnx.ValueInfoProto:
    # Without sizes: another case has others, and runtimes do not need them.
    dtype = value.dtype if value.dtype is not None else ir.DataType.UNDEFINED
    rank = len(value.shape) if value.shape is not None else None
    return onnx.helper.make_tensor_value_info(str(value.name), int(dtype), None if rank is None else [None] * rank)


def _constant(value: ir.Value) -> onnx.TensorProto:
    assert value.const_value is not None
    # As a tensor of its own: a weight's bytes lie in a file.
    proto: onnx.TensorProto = ir.serde.serialize_tensor(ir.Tensor(value.const_value.numpy(), name=value.name))
    return proto
