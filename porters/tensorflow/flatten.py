"""Reads a FuncGraph into a flat graph: calls inlined, captured variables as weights, identities dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from porters.tensorflow.node import CONST, INPUT, WEIGHT, Edge, FlatGraph, Node, Variable

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Operations that return their inputs; those of the second set only where an assertion holds.
IDENTITIES = frozenset(
    {
        *("Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "ReadVariableOp", "DebugIdentityV2"),
        *("CheckNumerics", "CheckNumericsV2", "EnsureShape", "PlaceholderWithDefault"),
    }
)
LayerOf = Callable[[Any], str]


def flatten(graph: Any, captured: Mapping[str, Any], layer_of: LayerOf) -> FlatGraph:
    """Return ``graph`` (a FuncGraph) flat.

    Args:
        graph: The graph; its own inputs come first among ``graph.inputs``, the captured ones follow.
        captured: Name of a captured placeholder -> :class:`Variable`, or the array it stands for.
        layer_of: Returns the layer path of an operation.
    """
    reader = _Reader(layer_of)
    edges: dict[str, Edge] = {}
    inputs: list[Node] = []
    for tensor in graph.inputs:
        held = captured.get(tensor.name)
        if held is None:
            node = reader.add(tensor.op, INPUT, [], payload=len(inputs))
            inputs.append(node)
        elif isinstance(held, Variable):
            node = reader.weight(tensor.op, held)
        else:
            node = reader.add(tensor.op, CONST, [], payload=held)
        edges[tensor.name] = Edge(node, 0)
    reader.read(graph, edges, "", "")
    return FlatGraph(reader.nodes, inputs, [edges[tensor.name] for tensor in graph.outputs], reader.writes)


class _Reader:
    """Collects nodes; one weight node for each variable, however often it is read."""

    def __init__(self, layer_of: LayerOf) -> None:
        self.nodes: list[Node] = []
        self.layer_of = layer_of
        self.weights: dict[int, Node] = {}
        self.writes: list[Node] = []

    def read(self, graph: Any, edges: dict[str, Edge], prefix: str, layer: str) -> None:
        """Append the graph's operations; ``edges`` maps names of tensors and grows."""
        for op in graph.get_operations():
            outputs = op.outputs
            if outputs and outputs[0].name in edges:
                continue
            sources = [edges[tensor.name] for tensor in op.inputs]
            here = layer or self.layer_of(op)
            if op.type.startswith("Assign"):
                self.writes.append(self.add(op, op.type, sources, prefix=prefix, layer=here))
            if not outputs:
                continue
            if op.type in IDENTITIES:
                results = sources
            elif op.type in CALLS:
                results = self.call(op, graph, sources, prefix, here)
            else:
                kind = CONST if op.type == "Const" else op.type
                payload = _constant(op) if kind == CONST else None
                node = self.add(op, kind, sources, payload=payload, prefix=prefix, layer=here)
                results = [Edge(node, index) for index in range(len(outputs))]
            edges.update({tensor.name: edge for tensor, edge in zip(outputs, results, strict=False)})

    def call(self, op: Any, graph: Any, sources: list[Edge], prefix: str, layer: str) -> list[Edge]:
        """Inline the function that ``op`` calls and return what it returns."""
        body = _function_body(graph, op.get_attr("f").name)
        edges = {tensor.name: edge for tensor, edge in zip(body.inputs, sources, strict=True)}
        self.read(body, edges, f"{prefix}{op.name}/", layer)
        return [edges[tensor.name] for tensor in body.outputs]

    def add(
        self, op: Any, kind: str, inputs: list[Edge], payload: Any = None, prefix: str = "", layer: str | None = None
    ) -> Node:
        """Append a node for TensorFlow's ``op``."""
        node = Node(
            kind,
            prefix + op.name,
            self.layer_of(op) if layer is None else layer,
            inputs,
            [_shape(tensor) for tensor in op.outputs],
            [_dtype(tensor) for tensor in op.outputs],
            op.get_attr,
            payload,
            op,
        )
        self.nodes.append(node)
        return node

    def weight(self, op: Any, variable: Variable) -> Node:
        """Return the node of a variable."""
        if id(variable) not in self.weights:
            node = self.add(op, WEIGHT, [], payload=variable)
            node.shapes, node.dtypes = [variable.shape], [variable.dtype]
            self.weights[id(variable)] = node
        return self.weights[id(variable)]


def _function_body(graph: Any, name: str) -> Any:
    from tensorflow.python.framework import function_def_to_graph

    function = graph._get_function(name)
    body = getattr(function, "graph", None)
    if body is None:
        body = function_def_to_graph.function_def_to_graph(function.cached_definition)
    return body


def _constant(op: Any) -> np.ndarray | None:
    import tensorflow as tf

    array: np.ndarray = tf.make_ndarray(op.get_attr("value"))
    return array


def _shape(tensor: Any) -> tuple[int | None, ...] | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())


def _dtype(tensor: Any) -> np.dtype[Any] | None:
    import tensorflow as tf

    if tensor.dtype in (tf.resource, tf.variant, tf.string):
        return None
    kind: np.dtype[Any] = np.dtype(tensor.dtype.as_numpy_dtype)
    # NumPy has TensorFlow's quantised types as records of one integer.
    return kind if kind.names is None else kind[0].base
