"""Reads a FuncGraph into a flat graph: calls inlined, captured variables as weights, identities dropped."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from porters.tensorflow.arrays import ARRAYS, as_list_operation
from porters.tensorflow.frames import restructure
from porters.tensorflow.node import CONST, INPUT, WEIGHT, Edge, FlatGraph, Node, State, Variable
from porters.tensorflow.operation import plain

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Control flow -> the attributes that name its bodies, and how many operands the bodies do not get.
CONTROL = {
    **dict.fromkeys(("If", "StatelessIf"), (("then_branch", "else_branch"), 1)),
    **dict.fromkeys(("Case", "StatelessCase"), (("branches",), 1)),
    **dict.fromkeys(("While", "StatelessWhile"), (("cond", "body"), 0)),
}
# Operations that return their inputs; those of the second set only where an assertion holds.
IDENTITIES = frozenset(
    {
        *("Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "ReadVariableOp", "DebugIdentityV2"),
        *("CheckNumerics", "CheckNumericsV2", "EnsureShape", "PlaceholderWithDefault"),
    }
)
LayerOf = Callable[[Any], str]
# Stands for what is computed further on and comes round again, in the loops of TensorFlow 1.
LATER = Edge(Node("Later", "", "", [], [None], [None], lambda name: None), 0)


def flatten(graph: Any, captured: Mapping[str, Any], layer_of: LayerOf) -> FlatGraph:
    """Return ``graph`` (a FuncGraph) flat.

    Args:
        graph: The graph; its own inputs come first among ``graph.inputs``, the captured ones follow.
        captured: Name of a captured placeholder -> :class:`Variable`, :class:`State`, or the array it stands for.
        layer_of: Returns the layer path of an operation.
    """
    reader = _Reader(layer_of, graph)
    edges: dict[str, Edge] = {}
    inputs: list[Node] = []
    for tensor in graph.inputs:
        held = captured.get(tensor.name)
        if held is None:
            node = reader.add(tensor.op, INPUT, [], payload=len(inputs))
            # A tensor in the middle of a graph may be fed too, which need not be its operation's only result.
            node.shapes, node.dtypes = [_shape(tensor)], [_dtype(tensor)]
            inputs.append(node)
        elif isinstance(held, State):
            node = reader.state(tensor, held)
        elif isinstance(held, Variable):
            node = reader.weight(tensor.op, held)
        else:
            node = reader.add(tensor.op, CONST, [], payload=held)
        edges[tensor.name] = Edge(node, 0)
    reader.read(graph, edges, "", "")
    states = sorted(reader.states, key=lambda node: int(node.payload))
    outputs = [edges[tensor.name] for tensor in graph.outputs]
    # What the name of a state stands for in the end is its value after the run.
    outputs += [edges[reader.states[node]] for node in states]
    flat = FlatGraph(reader.nodes, [*inputs, *states], outputs, reader.writes)
    restructure(flat)
    return flat


class _Reader:
    """Collects nodes; one weight node for each variable, however often it is read, in bodies too."""

    def __init__(self, layer_of: LayerOf, root: Any, outer: _Reader | None = None) -> None:
        self.root = root
        self.nodes: list[Node] = []
        self.layer_of = layer_of
        self.weights: dict[int, Node] = outer.weights if outer else {}
        self.writes: list[Node] = outer.writes if outer else []
        # Node of a state -> the name of the placeholder by which the graph knows it.
        self.states: dict[Node, str] = {}

    def read(self, graph: Any, edges: dict[str, Edge], prefix: str, layer: str) -> None:
        """Append the graph's operations; ``edges`` maps names of tensors and grows."""
        cycles: list[tuple[Node, Any]] = []
        for op in graph.get_operations():
            outputs = op.outputs
            if outputs and all(tensor.name in edges for tensor in outputs):
                continue
            sources = [edges.get(tensor.name, LATER) for tensor in op.inputs]
            here = layer or self.layer_of(op)
            if op.type == "AssignVariableOp" and self.is_state(op.inputs[0].name, graph):
                edges[op.inputs[0].name] = sources[1]  # what reads it from here on reads this
                continue
            if op.type.startswith("Assign"):
                self.writes.append(self.add(op, op.type, sources, prefix=prefix, layer=here))
            if not outputs:
                continue
            if op.type in IDENTITIES:
                results = sources
            elif op.type in CALLS:
                results = self.call(op, graph, sources, prefix, here)
            elif op.type in ARRAYS:
                results = as_list_operation(op, sources, functools.partial(self.add, prefix=prefix, layer=here))
            else:
                kind = CONST if op.type == "Const" else op.type
                payload = _constant(op) if kind == CONST else None
                node = self.add(op, kind, sources, payload=payload, prefix=prefix, layer=here)
                if op.type in CONTROL:
                    node.bodies = self.bodies(op, graph, sources, node.name, here)
                results = [Edge(node, index) for index in range(len(outputs))]
                if LATER in sources:
                    cycles.append((node, op))
            found = {tensor.name: edge for tensor, edge in zip(outputs, results, strict=False)}
            edges.update({name: edge for name, edge in found.items() if name not in edges})
        for node, op in cycles:
            node.inputs = [edges[tensor.name] for tensor in op.inputs]

    def call(self, op: Any, graph: Any, sources: list[Edge], prefix: str, layer: str) -> list[Edge]:
        """Inline the function that ``op`` calls and return what it returns."""
        body = _function_body(graph, self.root, op.get_attr("f").name, op.inputs)
        edges = {tensor.name: edge for tensor, edge in zip(body.inputs, sources, strict=True)}
        self.read(body, edges, f"{prefix}{op.name}/", layer)
        return [edges[tensor.name] for tensor in body.outputs]

    def bodies(self, op: Any, graph: Any, sources: list[Edge], name: str, layer: str) -> dict[str, FlatGraph]:
        """Return the flat bodies of control flow; a weight or constant that stays the same is read from outside."""
        attributes, skipped = CONTROL[op.type]
        named: dict[str, Any] = {}
        for attribute in attributes:
            held = op.get_attr(attribute)
            several = held if isinstance(held, list) else [held]
            named |= {f"{attribute}_{at}" if several is held else attribute: item for at, item in enumerate(several)}
        # What a loop carries has the shapes of its results, which hold in every round.
        like = op.outputs if "body" in named else op.inputs[skipped:]
        found = {key: _function_body(graph, self.root, item.name, like) for key, item in named.items()}
        operands = sources[skipped:]
        fixed = _unchanged(found["body"]) if "body" in found else set(range(len(operands)))
        return {key: self.body(body, operands, fixed, f"{name}/{key}/", layer) for key, body in found.items()}

    def body(self, graph: Any, operands: list[Edge], fixed: set[int], prefix: str, layer: str) -> FlatGraph:
        """Return one body as a flat graph; ``fixed`` are the operands that are the same whenever it runs."""
        reader = _Reader(self.layer_of, self.root, self)
        edges: dict[str, Edge] = {}
        inputs: list[Node] = []
        for at, (tensor, operand) in enumerate(zip(graph.inputs, operands, strict=True)):
            node = reader.add(tensor.op, INPUT, [], payload=at, prefix=prefix, layer=layer)
            inputs.append(node)
            outside = at in fixed and operand.node.op in (CONST, WEIGHT)
            edges[tensor.name] = operand if outside else Edge(node, 0)
        reader.read(graph, edges, prefix, layer)
        return FlatGraph(reader.nodes, inputs, [edges[tensor.name] for tensor in graph.outputs], [])

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

    def state(self, tensor: Any, state: State) -> Node:
        """Return the node of a state, which comes in from outside."""
        node = self.add(tensor.op, INPUT, [], payload=state.index)
        node.shapes, node.dtypes = [state.shape], [state.dtype]
        self.states[node] = tensor.name
        return node

    def is_state(self, name: str, graph: Any) -> bool:
        """Say whether ``name`` is a state of the outermost graph: what a function of its own writes is lost outside."""
        return graph is self.root and name in self.states.values()

    def weight(self, op: Any, variable: Variable) -> Node:
        """Return the node of a variable."""
        if id(variable) not in self.weights:
            node = self.add(op, WEIGHT, [], payload=variable)
            node.shapes, node.dtypes = [variable.shape], [variable.dtype]
            self.weights[id(variable)] = node
        return self.weights[id(variable)]


def _unchanged(body: Any) -> set[int]:
    """Return which results of a loop's body are the operands of the same place."""
    names = {tensor.name: at for at, tensor in enumerate(body.inputs)}
    found = set()
    for at, returned in enumerate(body.outputs):
        tensor = returned
        while tensor.op.type == "Identity":
            tensor = tensor.op.inputs[0]
        if names.get(tensor.name) == at:
            found.add(at)
    return found


def _function_body(graph: Any, root: Any, name: str, operands: Sequence[Any]) -> Any:
    """Return the graph of a function; where it is known by its definition only, for operands of these shapes.

    Functions that functions call stand in the outermost graph (``root``) where all of them come from a file.
    """
    from tensorflow.python.framework import function_def_to_graph

    function = graph._get_function(name) or root._get_function(name)
    body = getattr(function, "graph", None)
    if body is None:
        shapes = [tensor.shape for tensor in operands]
        with root.as_default():  # where the functions that it calls itself are found
            body = function_def_to_graph.function_def_to_graph(function.cached_definition, input_shapes=shapes)
    return body


def _constant(op: Any) -> np.ndarray | None:
    import tensorflow as tf

    return plain(tf.make_ndarray(op.get_attr("value")))


def _shape(tensor: Any) -> tuple[int | None, ...] | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())


def _dtype(tensor: Any) -> np.dtype[Any] | None:
    import tensorflow as tf

    if tensor.dtype in (tf.resource, tf.variant, tf.string):
        return None
    kind: np.dtype[Any] = np.dtype(tensor.dtype.as_numpy_dtype)
    return plain(np.empty(0, kind)).dtype
