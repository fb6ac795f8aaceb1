"""One operator of an ONNX graph, run by itself in its own precision or in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from porters.onnx.kernels import KERNELS
from porters.porter import PrecisionUnavailableError
from zoo.errors import UserError
from zoo.inputs import Feed

_Run = Callable[[Feed], list[np.ndarray]]

_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
# Attributes that name an element type.
_TYPED = ("to", "dtype", "output_dtype")
_IR_VERSION = 10


class SingleRuns:
    """Runs nodes of one model one at a time, and keeps what it has loaded.

    Args:
        opset: The version of the standard operators that the nodes are of.
        wide: Whether floats are float64 throughout: constants, casts and random numbers too.
    """

    def __init__(self, opset: int, *, wide: bool) -> None:
        self._opset = opset
        self._wide = wide
        self._loaded: dict[tuple[Any, ...], _Run] = {}

    def run(self, node: ir.Node, known: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return the results of ``node``; ``known`` holds what it and its bodies read, by name.

        Raises:
            PrecisionUnavailableError: If no runtime computes it in this precision.
        """
        names = reads(node)
        if self._wide and node.op_type in KERNELS:
            arrays = [None if value is None else known[str(value.name)] for value in node.inputs]
            try:
                return [np.asarray(item) for item in KERNELS[node.op_type](node, arrays)]
            except NotImplementedError as error:
                raise self._unavailable(node, error) from error
        feed = {name: known[name] for name in names}
        key = (node, *((str(item.dtype), item.ndim) for item in feed.values()))
        if key not in self._loaded:
            self._loaded[key], results = self._load(node, feed)
            return results
        return self._loaded[key](feed)

    def _unavailable(self, node: ir.Node, error: Exception) -> PrecisionUnavailableError:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        precision = "in float64" if self._wide else "alone"
        return PrecisionUnavailableError(f"{node.op_type} ({node.name}) does not run {precision}: {lines[0][:200]}")

    def _load(self, node: ir.Node, feed: Feed) -> tuple[_Run, list[np.ndarray]]:
        """Return a runtime for ``node`` and its first results.

        It is ONNX Runtime, or the standard's evaluator where that has no such kernel.
        """
        from zoo.executors.onnxruntime import load

        model = self._model(node, feed)
        try:
            session = load(model.SerializeToString(), optimize=False, threads=1)
            results = session.run(feed)  # some kernels say only now that they lack the type
        except UserError:
            run = self._by_definition(node, model)
            return run, run(feed)
        return lambda given: list(session.run(given).values()), list(results.values())

    def _by_definition(self, node: ir.Node, model: onnx.ModelProto) -> _Run:
        from onnx.reference import ReferenceEvaluator

        def run(given: Feed) -> list[np.ndarray]:
            try:
                return [np.asarray(item) for item in ReferenceEvaluator(model).run(None, dict(given))]
            except Exception as error:  # it raises what NumPy raises
                raise self._unavailable(node, error) from error

        return run

    def _model(self, node: ir.Node, feed: Feed) -> onnx.ModelProto:
        proto = ir.to_proto(node)
        assert isinstance(proto, onnx.NodeProto)
        if self._wide:
            _widen(proto)
        inputs = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim
            )
            for name, array in feed.items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in proto.output if name]
        graph = onnx.helper.make_graph([proto], "single", inputs, outputs)
        opset = onnx.helper.make_opsetid("", self._opset)
        return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)


def reads(node: ir.Node) -> list[str]:
    """Return the names of what ``node`` reads, and its bodies from around them, each once."""
    names = [str(value.name) for value in node.inputs if value is not None]
    for body in _bodies(node):
        names += list(_from_around(body))
    return list(dict.fromkeys(names))


def _bodies(node: ir.Node) -> Iterator[ir.Graph]:
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def _from_around(body: ir.Graph) -> Iterator[str]:
    own = {value.name for value in body.inputs} | set(body.initializers)
    for node in body:
        own |= {value.name for value in node.outputs}
    wanted: Sequence[str] = [str(value.name) for value in body.outputs]
    for node in body:
        wanted = [*wanted, *reads(node)]
    yield from (name for name in wanted if name not in own)


def _widen(node: onnx.NodeProto) -> None:
    """Make float64 of every float that ``node`` names or holds, in its bodies too."""
    for attribute in node.attribute:
        if attribute.name in _TYPED and attribute.i in _FLOATS:
            attribute.i = onnx.TensorProto.DOUBLE
        elif attribute.type == onnx.AttributeProto.TENSOR:
            _widen_tensor(attribute.t)
        for body in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
            for tensor in body.initializer:
                _widen_tensor(tensor)
            for value in (*body.input, *body.output, *body.value_info):
                if value.type.tensor_type.elem_type in _FLOATS:
                    value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
            for inner in body.node:
                _widen(inner)


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in _FLOATS:
        array = onnx.numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
