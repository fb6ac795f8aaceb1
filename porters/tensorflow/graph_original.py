"""The original that is a graph and not Python code: a SavedModel, a frozen graph, a checkpoint of TensorFlow 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from porters.porter import Precision, PrecisionUnavailableError
from porters.tensorflow.node import Variable
from porters.tensorflow.original import TensorFlowOriginal
from porters.tensorflow.trace import Traced, scope
from zoo.inputs import Feed, InputSpec

VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
# Floating-point constants of at least this many elements are the weights of a frozen graph.
WEIGHT_ELEMENTS = 256


@dataclass(frozen=True)
class GraphView:
    """The part of a graph that computes ``outputs`` from ``inputs``, as ``flatten`` reads it.

    Attributes:
        graph: The whole graph.
        inputs: The tensors that are fed, and behind them those of the variables.
        outputs: The tensors that are fetched.
        operations: The operations between them, in an order in which they can be computed.
    """

    graph: Any
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    operations: Sequence[Any]

    def get_operations(self) -> Sequence[Any]:
        """Return the operations."""
        return self.operations

    def as_default(self) -> Any:
        """Return the context in which the whole graph is the one at hand."""
        return self.graph.as_default()

    def _get_function(self, name: str) -> Any:
        return self.graph._get_function(name)


@dataclass
class GraphOriginal(TensorFlowOriginal):
    """A graph with values for its variables, run in a session of TensorFlow 1.

    Attributes:
        session: Holds the graph; its variables have their values.
        feeds: The tensors that the inputs are fed to, in order.
        fetches: The tensors of the outputs, in order.
    """

    session: Any = None
    feeds: Sequence[Any] = ()
    fetches: Sequence[Any] = ()
    _held: dict[str, Variable] | None = field(default=None, init=False, repr=False)

    def run(self, feed: Feed, precision: Precision = "own") -> dict[str, np.ndarray]:
        """Run the graph on ``feed``; see :meth:`porters.porter.Original.run`."""
        if precision == "float64":
            return self._run_wide(feed)
        if precision != "own":
            raise PrecisionUnavailableError(f"a graph cannot be rebuilt in {precision}: its types are written in it")
        fed = {tensor: feed[spec.name] for tensor, spec in zip(self.feeds, self.inputs, strict=True)}
        found = self.session.run(list(self.fetches), fed)
        return dict(zip(self.outputs, (np.asarray(item) for item in found), strict=True))

    def trace(self, specs: Sequence[InputSpec]) -> Traced:
        """Return the part of the graph that is run."""
        operations = needed_operations(self.fetches, self.feeds)
        held = self._weights(operations)
        variables = [op.outputs[0] for op in operations if op.name in held]
        view = GraphView(self.session.graph, [*self.feeds, *variables], self.fetches, operations)
        return Traced(view, {f"{name}:0": variable for name, variable in held.items()}, scope)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the variables, or a frozen graph's large constants, by name."""
        held = self._weights(needed_operations(self.fetches, self.feeds))
        return {variable.name: variable.read() for variable in held.values()}

    def _weights(self, operations: Iterable[Any]) -> dict[str, Variable]:
        """Return the weights by the name of the operation that holds them."""
        if self._held is None:
            taken = {*(spec.name for spec in self.inputs), *self.outputs}
            self._held = {}
            for op in operations:
                variable = self._weight(op, f"{op.name}.0" if op.name in taken else op.name)
                if variable is not None:
                    self._held[op.name] = variable
        return self._held

    def _weight(self, op: Any, name: str) -> Variable | None:
        if op.type in VARIABLES:
            kind = op.get_attr("dtype")
            shape, read = tuple(dim.size for dim in op.get_attr("shape").dim), self._reading(op)
            return Variable(name, shape, np.dtype(kind.as_numpy_dtype), lambda: np.asarray(self.session.run(read)))
        if op.type != "Const":
            return None
        kind, size = op.outputs[0].dtype, op.outputs[0].shape.num_elements()
        if not kind.is_floating or size is None or size < WEIGHT_ELEMENTS:
            return None
        return Variable(
            name, tuple(op.outputs[0].shape.as_list()), np.dtype(kind.as_numpy_dtype), lambda: _constant(op)
        )

    def _reading(self, op: Any) -> Any:
        """Return a tensor that is the value of a variable."""
        from tensorflow.python.ops import gen_resource_variable_ops

        if op.type != "VarHandleOp":
            return op.outputs[0]
        with self.session.graph.as_default():
            return gen_resource_variable_ops.read_variable_op(op.outputs[0], op.get_attr("dtype"))


def _constant(op: Any) -> np.ndarray:
    import tensorflow as tf

    array: np.ndarray = tf.make_ndarray(op.get_attr("value"))
    return array


def needed_operations(outputs: Iterable[Any], inputs: Iterable[Any]) -> list[Any]:
    """Return the operations that a session runs for ``outputs`` where ``inputs`` are fed, in the graph's own order."""
    fed = {tensor.name for tensor in inputs}
    found: dict[int, Any] = {}
    pending = [tensor.op for tensor in outputs if tensor.name not in fed]
    while pending:
        op = pending.pop()
        if id(op) in found:
            continue
        found[id(op)] = op
        pending += [tensor.op for tensor in op.inputs if tensor.name not in fed]
        pending += op.control_inputs
    return sorted(found.values(), key=lambda op: op._id)
