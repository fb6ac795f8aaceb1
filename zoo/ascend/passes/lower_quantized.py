"""Turns convolutions and matrix products on dequantised int8 operands into the int8 operators of the cube."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from zoo.ascend.functions import DOMAIN, add_functions
from zoo.ascend.hardware import Chip
from zoo.ascend.precision import PRECISION, REASON, Settings

INT8: Final = "int8"
_TYPES = (ir.DataType.INT8, ir.DataType.UINT8)
# Operator -> the axis of the result that the columns of the right operand become.
_COLUMNS = {"Conv": 1, "MatMul": -1, "Gemm": -1}


@dataclass(frozen=True)
class _Operand:
    """A dequantised operand: integers, their zero point (None: 0), and scales along an axis of theirs."""

    integers: ir.Value
    zero_point: ir.Value | None
    scale: np.ndarray
    axis: int

    def is_scaled_along(self, axis: int) -> bool:
        """Whether there is one scale for all, or one for each element of ``axis``."""
        rank = _rank(self.integers)
        return self.scale.size == 1 or (rank is not None and self.axis % rank == axis % rank)


class LowerQuantizedPass(InPlacePass):
    """Lower Conv, MatMul and Gemm between DequantizeLinear and whatever follows: int8 x int8 -> int32 on the cube.

    The int32 sum (bias included, quantised by the product of the scales) is scaled to float and rounded to fp16 on its
    way out, as AscendDequant does; the QuantizeLinear that follows is AscendQuant, on the vector unit. Modes that keep
    float32 results leave the rounding out. An operand with more than one zero point, a scale that is not a constant,
    or a Gemm with factors or a transposed left operand stays in floating point.
    """

    def __init__(self, chip: Chip, settings: Settings) -> None:
        super().__init__()
        self._chip, self._settings = chip, settings

    def call(self, model: ir.Model) -> PassResult:
        """Lower every node of the graph and its subgraphs."""
        used: set[str] = set()
        for node in list(model.graph.all_nodes()):
            if not node.domain and node.op_type in _COLUMNS and "int8" in self._chip.cube_inputs:
                used.update(self._lower(node, model))
        add_functions(model, sorted(used), self._chip.saturates)
        return PassResult(model, modified=bool(used))

    def _lower(self, node: ir.Node, model: ir.Model) -> list[str]:
        left, right = _operand(node.inputs[0]), _operand(node.inputs[1])
        if left is None or right is None or left.scale.size != 1 or not _plain(node):
            return []
        transposed = "T" if node.op_type == "Gemm" and node.attributes.get_int("transB") else ""
        if not right.is_scaled_along(0 if node.op_type == "Conv" or transposed else -1):
            return []
        factors = (left.scale.astype(np.float64) * right.scale.astype(np.float64)).ravel()
        bias = _bias(node, factors)
        if bias is not None and bias.size == 0:
            return []
        narrow = self._settings.mode.cube in ("fp16", "lists")
        name = f"{node.op_type}{transposed}Int8{'Bias' if bias is not None else ''}{'' if narrow else '_fp32'}"
        rank = 4 if node.op_type == "Conv" else 2
        shape = [-1 if axis == _COLUMNS[node.op_type] % rank else 1 for axis in range(rank)]
        inputs = [left.integers, right.integers, left.zero_point or _zero(node, left, "x"),
                  right.zero_point or _zero(node, right, "w"),
                  _constant(node, "scale", factors.astype(np.float32).reshape(shape))]  # fmt: skip
        if bias is not None:
            inputs.append(_constant(node, "bias", bias.reshape(shape)))
        _replace(node, name, inputs)
        return [name]


def _plain(node: ir.Node) -> bool:
    if node.op_type != "Gemm":
        return node.op_type != "Conv" or (node.inputs[0] is not None and _rank(node.inputs[0]) in (None, 4))
    factors = node.attributes.get_float("alpha", 1.0), node.attributes.get_float("beta", 1.0)
    return factors == (1.0, 1.0) and not node.attributes.get_int("transA")


def _rank(value: ir.Value) -> int | None:
    return None if value.shape is None else value.shape.rank()


def _operand(value: ir.Value | None) -> _Operand | None:
    """Return what ``value`` was dequantised from, if it was."""
    producer = value.producer() if value is not None else None
    if producer is None or producer.op_type != "DequantizeLinear" or producer.domain:
        return None
    integers, scale, *rest = producer.inputs
    zero_point = rest[0] if rest else None
    constant = ir.convenience.get_const_tensor(scale) if scale is not None else None
    if integers is None or constant is None or integers.dtype not in _TYPES:
        return None
    if zero_point is not None:
        points = ir.convenience.get_const_tensor(zero_point)
        if points is None or len(set(points.numpy().ravel().tolist())) > 1:
            return None
        if points.size > 1:
            # One zero point for all is the same as the same one for each.
            zero_point = _constant(producer, "zero", points.numpy().ravel()[0])
    axis = producer.attributes.get_int("axis", 1)
    return _Operand(integers, zero_point, constant.numpy(), 1 if axis is None else axis)


def _bias(node: ir.Node, factors: np.ndarray) -> np.ndarray | None:
    """Return the bias in units of the sum, int32; empty where it is no constant, None where there is none."""
    value = node.inputs[2] if len(node.inputs) > 2 else None
    if value is None:
        return None
    producer = value.producer()
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is not None:
        # AMCT quantises a float bias so; half to even as NumPy rounds.
        rounded: np.ndarray = np.rint(tensor.numpy().astype(np.float64).ravel() / factors).astype(np.int32)
        return rounded
    if producer is not None and producer.op_type == "DequantizeLinear" and producer.inputs[0] is not None:
        integers = ir.convenience.get_const_tensor(producer.inputs[0])
        if integers is not None and integers.dtype == ir.DataType.INT32:
            sums: np.ndarray = integers.numpy().ravel()
            return sums
    return np.empty(0, np.int32)


def _zero(node: ir.Node, operand: _Operand, name: str) -> ir.Value:
    kind = operand.integers.dtype
    assert kind is not None
    return _constant(node, f"{name}_zero", np.zeros((), kind.numpy()))


def _constant(node: ir.Node, name: str, content: np.ndarray) -> ir.Value:
    """Return a constant for ``node``, made right before it."""
    made = ir.node("Constant", [], {"value": ir.tensor(np.asarray(content))}, name=f"{node.name}.{name}")
    value = made.outputs[0]
    value.name, value.dtype = f"{node.name}.{name}", ir.DataType.from_numpy(np.asarray(content).dtype)
    value.shape = ir.Shape(np.asarray(content).shape)
    made.metadata_props.update({PRECISION: "exact", REASON: "a constant"})
    node.prepend(made)
    return value


def _replace(node: ir.Node, name: str, inputs: list[ir.Value]) -> None:
    """Turn ``node`` into the call ``name``; dequantisations that nobody else reads go."""
    before = [value for value in node.inputs if value is not None]
    node.domain, node.op_type, node.version = DOMAIN, name, None
    node.resize_inputs(len(inputs))
    for index, value in enumerate(inputs):
        node.replace_input_with(index, value)
    node.metadata_props[PRECISION] = INT8
    if name.startswith("Gemm"):
        node.attributes.clear()
    for value in before:
        producer = value.producer()
        if producer is not None and not value.uses() and not value.is_graph_output() and producer.graph is not None:
            producer.graph.remove(producer, safe=True)
