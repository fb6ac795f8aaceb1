"""Walks the flat graph once and emits the static graph: composites whole, shape arithmetic already done."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from porters.porter import Unsupported, UnsupportedOpsError
from porters.tensorflow import registry, symbolic
from porters.tensorflow.channels import move_channels_first
from porters.tensorflow.context import Context
from porters.tensorflow.dims import Dim, Expr, onnx_shape, symbol
from porters.tensorflow.fold import evaluated
from porters.tensorflow.handles import Result
from porters.tensorflow.node import CONST, INPUT, WEIGHT, Edge, FlatGraph, Node
from porters.tensorflow.registry import Match, Unfinished, Untranslatable
from porters.tensorflow.tensor import Complex, Constant, Held, Tensor, Weight, is_complex, logical, permuted
from zoo.graph import GraphBuilder, Provenance
from zoo.inputs import InputSpec, numpy_dtype

# Operations that exist only with strings, tables or files: no numeric graph can hold them.
_HINT_TEXT = "cut the model at the first numeric tensor: strings, tables and files have no static form"
_HINT_COMPLEX = "no runtime returns complex numbers: let the model return their real and imaginary part"
_HINT_WRITE = (
    "the model writes this variable while it runs, and a static graph has no state: make it an input and an output, as"
    " the states of Keras' recurrent layers are"
)


class Walk:
    """One translation: which nodes are needed, what each became, and what could not be translated."""

    def __init__(self, graph: FlatGraph, inputs: Sequence[InputSpec], name: str) -> None:
        registry.load()
        self.graph = graph
        for edge in graph.read():
            edge.node.uses += 1
        self.specs = inputs
        self.context = Context(GraphBuilder(name), self._inline, self._known)
        self.done: dict[Node, list[Tensor]] = {}
        self.unsupported: list[Unsupported] = []
        self.matches: dict[Node, Match] = {}
        self.named: set[str] = set()
        self.needed: set[Node] = set()

    def model(self, outputs: Sequence[str]) -> ir.Model:
        """Translate and return the model, its outputs named ``outputs``.

        Raises:
            UnsupportedOpsError: Naming every operation that has no translation.
        """
        builder = self.context.builder
        for node, spec in zip(self.graph.inputs, self.specs, strict=True):
            self.done[node] = [self._input(spec)]
        reserved = [builder.unique(name) for name in outputs]
        self.needed = needed = self._needed()
        self._check(needed)
        for node in self.graph.nodes:
            if node in needed and node not in self.done:
                self._visit(node)
        for edge in self.graph.outputs:
            if edge.node in self.done and isinstance(self.done[edge.node][edge.output], Complex):
                self._refuse(edge.node, _HINT_COMPLEX)
        if self.unsupported:
            raise UnsupportedOpsError(self.unsupported)
        values = [self._output(edge, name) for edge, name in zip(self.graph.outputs, reserved, strict=True)]
        model = builder.finish(values)
        self.context.relaid |= move_channels_first(model.graph, self.context.reordered)
        return model

    # -- before: what is needed, and can it be done -----------------------------------------------------------------

    def _needed(self) -> set[Node]:
        needed: set[Node] = set()
        stack = [edge.node for edge in self.graph.outputs]
        while stack:
            node = stack.pop()
            if node in needed:
                continue
            needed.add(node)
            found = registry.match(node)
            if found is not None:
                self.matches[node] = found
            stack += [edge.node for edge in (found.inputs if found is not None else node.inputs)]
            stack += [edge.node for body in node.bodies.values() for edge in body.outputs]
        return needed

    def _check(self, needed: set[Node]) -> None:
        known = {CONST, INPUT, WEIGHT, *registry.TRANSLATORS, *registry.COMPLEX}
        unknown = [
            node
            for node in self.graph.everywhere()
            if node in needed and node.op not in known and node not in self.matches
        ]
        texts = [node for node in unknown if _is_text(node)]
        # Where numbers come out of them, the rest of the model begins.
        ends = [node.name for node in texts if node.dtypes and None not in node.dtypes]
        hint = f"{_HINT_TEXT}: at {', '.join(ends)}" if ends else _HINT_TEXT
        for node in unknown:
            self._refuse(node, hint if node in texts else "")
        for node in self.graph.writes:
            if node.inputs[0].node in needed:
                self._refuse(node, _HINT_WRITE)

    def _refuse(self, node: Node, hint: str) -> None:
        refusal = Unsupported(node.op, node.layer, node.name, hint)
        if refusal not in self.unsupported:  # a body may be translated more than once
            self.unsupported.append(refusal)

    # -- the walk -----------------------------------------------------------------------------------------------------

    def _visit(self, node: Node) -> None:
        found = self.matches.get(node)
        edges = found.inputs if found is not None else node.inputs
        if any(edge.node not in self.done for edge in edges):
            return  # what it reads is unsupported, which has been noted
        self.context.node = node
        with self.context.builder.source(Provenance(node.op, node.layer, "", node.name)):
            try:
                results = self._translate(node, found, [self.done[edge.node][edge.output] for edge in edges])
            except Untranslatable as reason:
                self._refuse(node, str(reason))
                return
            except Unfinished:
                return
        if results is not None:
            self.done[node] = [self._refined(node, index, tensor) for index, tensor in enumerate(results)]
            for index, tensor in enumerate(self.done[node]):
                if index < len(node.dtypes) and node.dtypes[index] == tensor.dtype.numpy():
                    self.context.is_result(tensor, Result.of(node, index))

    def _known(self, edge: Edge) -> Tensor | None:
        return self.done[edge.node][edge.output] if edge.node in self.done else None

    def _inline(self, graph: FlatGraph, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Translate a body where the context emits now, its inputs being ``tensors``; it can be done again."""
        outer, mine = self.context.node, [*graph.inputs, *graph.nodes]
        self.done |= {node: [tensor] for node, tensor in zip(graph.inputs, tensors, strict=True) if node.op == INPUT}
        try:
            for node in graph.nodes:
                if node in self.needed and node not in self.done:
                    self._visit(node)
            if any(edge.node not in self.done for edge in graph.outputs):
                raise Unfinished
            return [self.done[edge.node][edge.output] for edge in graph.outputs]
        finally:
            self.context.node = outer
            for node in mine:
                self.done.pop(node, None)

    def _translate(self, node: Node, found: Match | None, tensors: Sequence[Tensor]) -> Sequence[Tensor] | None:
        if found is not None:
            return [found.emit(self.context, *tensors)]
        if node.op == CONST:
            return [self._constant(node)]
        if node.op == WEIGHT:
            return [self._weight(node)]
        known = [tensor.array for tensor in tensors]
        arrays = symbolic.evaluate(node, known)
        if arrays is not None:
            return [self.context.constant(array, _dtype(node, index)) for index, array in enumerate(arrays)]
        array = self._folded(node, known)
        if array is not None:
            return [self.context.constant(array)]
        translator = registry.find(node, tensors)
        if translator is None:
            return None  # the check has noted it
        result = translator(self.context, node, *tensors)
        return [result] if isinstance(result, Tensor) else result

    @staticmethod
    def _folded(node: Node, known: Sequence[np.ndarray | None]) -> np.ndarray | None:
        import tensorflow as tf

        with tf.init_scope():
            return evaluated(node, known)

    def _refined(self, node: Node, index: int, tensor: Tensor) -> Tensor:
        """Put in the sizes that TensorFlow knows and the translation does not."""
        known = node.shapes[index] if index < len(node.shapes) else None
        if known is None or len(known) != tensor.rank or isinstance(tensor, Constant):
            return tensor
        shape: tuple[Dim, ...] = tuple(
            size if isinstance(dim, Expr) and size is not None else dim
            for dim, size in zip(tensor.shape, known, strict=True)
        )
        if shape != tensor.shape and isinstance(tensor, Held):
            tensor.shape = shape
            tensor.value.shape = ir.Shape(onnx_shape(permuted(shape, tensor.order)))
        return tensor

    # -- leaves and results -------------------------------------------------------------------------------------------

    def _input(self, spec: InputSpec) -> Tensor:
        dtype = ir.DataType.from_numpy(numpy_dtype(spec.dtype))
        value = self.context.builder.input(spec.name, dtype, spec.shape)
        return self.context.held(value, tuple(symbol(dim) if isinstance(dim, str) else dim for dim in spec.shape))

    def _constant(self, node: Node) -> Tensor:
        if node.dtypes[0] is None:
            raise Untranslatable(_HINT_TEXT)
        if is_complex(node.dtypes[0]):
            return Complex.of(*(self.context.constant(part.copy()) for part in (node.payload.real, node.payload.imag)))
        return self.context.constant(node.payload)

    @staticmethod
    def _weight(node: Node) -> Tensor:
        variable = node.payload
        dtype = ir.DataType.from_numpy(variable.dtype)
        return Weight(tuple(variable.shape), dtype, variable.name, variable.read)

    def _output(self, edge: Edge, name: str) -> ir.Value:
        self.context.node = edge.node
        with self.context.builder.source(Provenance(edge.node.op, edge.node.layer, "", edge.node.name)):
            tensor = self.done[edge.node][edge.output]
            value = self.context.value(tensor)
            if value.producer() is None or value.name in self.named:
                value = self.context.builder.op("Identity", value, shape=value.shape)
            if edge.node.dtypes[edge.output] == tensor.dtype.numpy():
                self.context.mark(value, Result.of(*edge), logical(tensor.rank))
        value.name = name
        self.named.add(name)
        return value


def _is_text(node: Node) -> bool:
    """Say whether an operation reads or makes what has no numbers: strings, tables, files."""
    return any(dtype is None for dtype in [*node.dtypes, *(edge.node.dtypes[edge.output] for edge in node.inputs)])


def _dtype(node: Node, index: int) -> ir.DataType:
    return ir.DataType.from_numpy(np.dtype(node.dtypes[index]))
