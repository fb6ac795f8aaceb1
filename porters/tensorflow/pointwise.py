"""Operators that work on each point of a channels-last value by itself, and how each of them runs channels first."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from porters.folding import replace_weight
from porters.fusions.editor import Editor
from porters.fusions.match import Dim, array, attribute, dims, made_by, private
from zoo.derived import DERIVED, LAYOUT, relaid
from zoo.graph import PARAMETER, is_parameter

ELEMENTWISE = frozenset({
    "Abs", "Add", "Cast", "Celu", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish",
    "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "Pow", "Reciprocal", "Relu", "Selu", "Sigmoid", "Sin",
    "Softplus", "Softsign", "Sqrt", "Sub", "Swish", "Tanh",
})  # fmt: skip
# A normalisation in half precision computes in float32 inside, its definition does not.
_NORMALIZED = (ir.DataType.FLOAT, ir.DataType.DOUBLE)


def operands(node: ir.Node, rank: int) -> list[ir.Value] | None:
    """Return what a node reads that is computed, all of ``rank`` axes; ``None`` where it cannot run channels first."""
    if node.domain or len(node.outputs) != 1 or not _is_known(node, rank):
        return None
    data = [item for item in node.inputs if item is not None and not item.is_initializer()]
    if not data or any(len(dims(item) or ()) != rank for item in (*data, node.outputs[0])):
        return None
    return data


def _is_known(node: ir.Node, rank: int) -> bool:
    fixed = [item for item in node.inputs if item is not None and item.is_initializer()]
    if node.op_type in ELEMENTWISE:
        return all(_is_vector(item) for item in fixed)
    if node.op_type == "LayerNormalization":
        along = attribute(node, "axis", -1) in (-1, rank - 1) and node.outputs[0].dtype in _NORMALIZED
        return along and fixed == list(node.inputs[1:]) and all(_is_vector(item) for item in fixed)
    return node.op_type == "MatMul" and fixed == [node.inputs[1]] and _is_matrix(fixed[0])


def _is_vector(value: ir.Value) -> bool:
    """Say whether a fixed operand lies along the last axis, or is one number."""
    sizes = dims(value) or []
    return _is_free(value) and all(size == 1 for size in sizes[:-1])


def _is_matrix(value: ir.Value) -> bool:
    return is_parameter(value) and _is_free(value) and len(dims(value) or ()) == 2


def _is_free(value: ir.Value) -> bool:
    """Say whether a fixed operand can be written in another order: a small constant, or a weight read once."""
    if not is_parameter(value):
        return array(value) is not None
    assert value.const_value is not None
    metadata = value.const_value.metadata_props
    return private(value) and len(value.uses()) == 1 and LAYOUT not in metadata and DERIVED not in metadata


# -- running channels first --------------------------------------------------------------------------------------------


class PointwiseRunner:
    """Turns operators whose operands are channels first already.

    Attributes:
        relaid: Names of the weights that were written anew, with the orders of their axes.
    """

    def __init__(self, editor: Editor, rank: int) -> None:
        self.relaid: dict[str, str] = {}
        self._editor = editor
        self._rank = rank

    def run(self, node: ir.Node) -> None:
        """Let ``node`` run channels first; its result keeps its name and what is noted on it."""
        turn: Mapping[str, Callable[[ir.Node], None]] = {
            "LayerNormalization": self._normalization, "MatMul": self._product, "Add": self._sum,
        }  # fmt: skip
        turn.get(node.op_type, self._elementwise)(node)

    def _elementwise(self, node: ir.Node) -> None:
        for position, item in enumerate(node.inputs):
            if item is not None and item.is_initializer():
                node.replace_input_with(position, self._column(item))

    def _sum(self, node: ir.Node) -> None:
        """Let a convolution that nothing else reads add a vector itself."""
        fixed = [item for item in node.inputs if item is not None and item.is_initializer()]
        conv = next((found for found in (made_by(item, "Conv") for item in node.inputs) if found is not None), None)
        whole = fixed and (dims(fixed[0]) or [1])[-1] == (dims(node.outputs[0]) or [None, None])[1]
        if conv is None or not whole or len(conv.inputs) != 2 or not private(conv.outputs[0]) or not _is_point(conv):
            self._elementwise(node)
            return
        inputs = [*conv.inputs, self._flat(fixed[0])]
        self._editor.fuse("Conv", inputs, node, [conv, node], _attributes(conv))

    def _product(self, node: ir.Node) -> None:
        """Write a product with a matrix as a convolution over single points."""
        x, matrix = node.inputs
        assert x is not None
        assert matrix is not None
        units = "1" * (self._rank - 2)
        kernel = self._weight(matrix, f"IO->OI{units}")
        self._editor.fuse("Conv", [x, kernel], node, [node], {"kernel_shape": [1] * len(units)})

    def _normalization(self, node: ir.Node) -> None:
        """Write a layer normalisation as ONNX's operator defines it, along axis 1."""
        x, result, epsilon = node.inputs[0], node.outputs[0], float(attribute(node, "epsilon", 1e-5))
        assert x is not None
        assert result.dtype is not None
        full = dims(result) or []
        low = [full[0], 1, *full[2:]]

        def step(op_type: str, *inputs: ir.Value, shape: list[Dim] = full) -> ir.Value:
            attributes = {"keepdims": 1} if op_type == "ReduceMean" else {}
            made = self._editor.node(
                op_type, inputs, before=node, dtype=result.dtype, shape=shape, attributes=attributes
            )
            return made.outputs[0]

        channels = self._editor.vector([1])
        centred = step("Sub", x, step("ReduceMean", x, channels, shape=low))
        variance = step("ReduceMean", step("Mul", centred, centred), channels, shape=low)
        shift = self._editor.constant(np.array(epsilon, result.dtype.numpy()))
        deviation = step("Sqrt", step("Add", variance, shift, shape=low), shape=low)
        value = step("Div", centred, deviation)
        for op_type, item in zip(("Mul", "Add"), node.inputs[1:], strict=False):
            value = step(op_type, value, self._column(item)) if item is not None else value
        self._editor.take_over(result, value)

    # -- fixed operands -----------------------------------------------------------------------------------------------

    def _column(self, value: ir.Value) -> ir.Value:
        """Return a vector along the last axis as one along axis 1; a single number as it is."""
        sizes = dims(value) or []
        if all(size == 1 for size in sizes) and len(sizes) <= self._rank:
            return value
        before = "1" * (len(sizes) - 1)
        return self._vector(value, f"{before}C->C" + "1" * (self._rank - 2))

    def _flat(self, value: ir.Value) -> ir.Value:
        sizes = dims(value) or []
        return value if len(sizes) == 1 else self._vector(value, "1" * (len(sizes) - 1) + "C->C")

    def _vector(self, value: ir.Value, layout: str) -> ir.Value:
        held = array(value)
        return self._weight(value, layout) if held is None else self._editor.constant(relaid(held, layout))

    def _weight(self, value: ir.Value, layout: str) -> ir.Value:
        tensor = value.const_value
        assert tensor is not None
        axes = layout.partition("->")[2]
        sizes = dict(zip(layout.partition("->")[0], tensor.shape.numpy(), strict=True))
        metadata = {PARAMETER: tensor.metadata_props[PARAMETER], LAYOUT: layout}
        name = str(value.name)

        def compute() -> ir.TensorProtocol:
            return ir.Tensor(np.ascontiguousarray(relaid(tensor.numpy(), layout)))

        self.relaid[name] = layout
        extent = [int(sizes[axis]) if axis in string.ascii_letters else 1 for axis in axes]
        return replace_weight(self._editor, value, compute, extent, metadata)


def _is_point(conv: ir.Node) -> bool:
    return set(attribute(conv, "kernel_shape", [0])) == {1} and attribute(conv, "group", 1) == 1


def _attributes(node: ir.Node) -> dict[str, object]:
    return {key: item.value for key, item in node.attributes.items()}
