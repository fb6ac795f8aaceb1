"""Traces a model to a FuncGraph, and notes which layer each operation and which variable each capture belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from porters.tensorflow.node import State, Variable
from porters.tensorflow.operation import plain
from zoo.inputs import InputSpec, numpy_dtype


@dataclass(frozen=True)
class Traced:
    """A graph and what it refers to.

    Attributes:
        graph: The FuncGraph.
        captured: Name of a captured placeholder -> variable, state or array.
        layer_of: Returns the layer path of an operation.
    """

    graph: Any
    captured: Mapping[str, Variable | State | np.ndarray]
    layer_of: Callable[[Any], str]


def trace(
    call: Callable[..., Any],
    specs: Sequence[InputSpec],
    names: dict[int, str],
    states: Mapping[int, State] = MappingProxyType({}),
) -> Traced:
    """Trace ``call``, a Python function of one tensor for each input.

    Args:
        call: Runs the model; returns tensors.
        specs: The signature.
        names: ``id`` of a variable's handle -> the name under which its weights are written.
        states: ``id`` of a variable's handle -> the state that it is, an input and an output of its own.
    """
    from tensorflow.python.framework import func_graph

    layers: dict[str, str] = {}
    graph = func_graph.FuncGraph("model")

    def recorded(*tensors: Any) -> Any:
        with _Recorder(graph, layers):
            return call(*tensors)

    # What tf.function adds to this is not read here: a callable, and the control edges that keep effects in order
    # (the operations stand in the order in which they were made anyway).
    func_graph.func_graph_from_py_func(
        graph.name,
        recorded,
        None,
        None,
        signature=tuple(tensor_specs(specs)),
        func_graph=graph,
        add_control_dependencies=False,
    )
    return Traced(graph, _captured(graph, names, states), lambda op: layers.get(op.name) or scope(op))


def traced_function(concrete: Any, names: dict[int, str]) -> Traced:
    """Take the graph of a concrete function as it is; layers are its name scopes."""
    return Traced(concrete.graph, _captured(concrete.graph, names), scope)


def tensor_specs(specs: Sequence[InputSpec]) -> list[Any]:
    """Return a signature as TensorFlow writes it; symbolic sizes are open."""
    import tensorflow as tf

    return [
        tf.TensorSpec(
            [dim if isinstance(dim, int) else None for dim in spec.shape],
            tf.dtypes.as_dtype(numpy_dtype(spec.dtype)),
            name=_legal(spec.name),
        )
        for spec in specs
    ]


def _legal(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_.-/" else "_" for letter in name)


def scope(op: Any) -> str:
    """Return the name scope of an operation, which stands for its layer."""
    # An operation that stands in no scope is a place of its own.
    return str(op.name.rpartition("/")[0] or op.name)


def _captured(
    graph: Any, names: dict[int, str], states: Mapping[int, State] = MappingProxyType({})
) -> dict[str, Variable | State | np.ndarray]:
    variables = {id(variable.handle): variable for variable in graph.variables}
    known: dict[int, Variable] = {}
    found: dict[str, Variable | State | np.ndarray] = {}
    for outer, inner in graph.captures:
        if id(outer) in states:
            found[inner.name] = states[id(outer)]
            continue
        variable = variables.get(id(outer))
        if variable is None:
            found[inner.name] = plain(outer.numpy())
            continue
        if id(outer) not in known:
            name = names.get(id(outer), variable.name.removesuffix(":0"))
            dtype = np.dtype(variable.dtype.as_numpy_dtype)
            known[id(outer)] = Variable(name, tuple(variable.shape.as_list()), dtype, variable.numpy)
        found[inner.name] = known[id(outer)]
    return found


class _Recorder:
    """Notes the Keras layer in whose call each operation of one graph is created.

    TensorFlow's name scopes are made unique by suffixes that may collide with names of other layers, so they cannot
    tell. Keras holds the layers being called on a stack; this reads it whenever this graph (no other) grows.
    """

    def __init__(self, graph: Any, layers: dict[str, str]) -> None:
        self.graph = graph
        self.layers = layers

    def __enter__(self) -> None:
        create = self.graph._create_op_internal

        def recorded(*args: Any, **kwargs: Any) -> Any:
            op = create(*args, **kwargs)
            self.layers[op.name] = _current_layer()
            return op

        self.graph._create_op_internal = recorded

    def __exit__(self, *_: object) -> None:
        del self.graph._create_op_internal


def _current_layer() -> str:
    from keras.src.backend.common import global_state

    stack = global_state.get_global_attribute("name_scope_stack") or []
    # The outermost caller is the model, whose name does not stand in the paths of its variables.
    return "/".join(scope.caller.name for scope in stack[1:] if getattr(scope, "caller", None) is not None)
