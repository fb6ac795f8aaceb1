"""Computes what depends on constants and static shapes alone, so that no shape arithmetic reaches the chip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator
from onnx_ir.passes import InPlacePass, PassResult

# Larger results would be new weights: they cost memory and are no arithmetic on shapes.
_ELEMENTS: Final = 1 << 12
# Results of these depend on more than their inputs, or are not worth a constant; what was quantised stays so, for the
# cube to take as integers.
_KEPT: Final = frozenset(
    (
        "Constant", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli",
        "Multinomial", "QuantizeLinear", "DequantizeLinear",
    )
)  # fmt: skip


class FoldConstantsPass(InPlacePass):
    """Replace standard operators on small constants, and ``Shape`` of static shapes, by their results."""

    def call(self, model: ir.Model) -> PassResult:
        """Fold in topological order, so that whole chains of shape arithmetic fall."""
        opset = model.graph.opset_imports.get("", 0)
        folded = 0
        for node in list(model.graph):
            result = _result(node, opset)
            if result is None:
                continue
            constant = _constant(node.outputs[0], result)
            model.graph.insert_before(node, constant)
            ir.convenience.replace_all_uses_with(node.outputs[0], constant.outputs[0], replace_graph_outputs=True)
            constant.outputs[0].name, node.outputs[0].name = node.outputs[0].name, None
            model.graph.remove(node, safe=True)
            folded += 1
        return PassResult(model, modified=folded > 0)


def _result(node: ir.Node, opset: int) -> np.ndarray | None:
    """Return what ``node`` always computes, or None where that depends on the run or is large."""
    if node.domain or len(node.outputs) != 1 or node.op_type in _KEPT:
        return None
    if any(
        attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for attribute in node.attributes.values()
    ):
        return None
    shape = node.outputs[0].shape
    if shape is not None and shape.is_static() and int(np.prod(shape.numpy(), dtype=np.int64)) > _ELEMENTS:
        return None
    if node.op_type in ("Shape", "Size"):
        return _of_shape(node)
    if not any(value is not None for value in node.inputs):
        return None
    inputs = [None if value is None else small_constant(value) for value in node.inputs]
    if any(value is not None and item is None for value, item in zip(node.inputs, inputs, strict=True)):
        return None
    result = _evaluate(node, inputs, opset)
    return result if result is not None and result.size <= _ELEMENTS else None


def small_constant(value: ir.Value) -> np.ndarray | None:
    """Return the elements of ``value`` where they are constant and few, else None."""
    if value.is_graph_input():
        return None
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None or tensor.size > _ELEMENTS or isinstance(tensor, ir.ExternalTensor):
        return None
    return tensor.numpy()


def _of_shape(node: ir.Node) -> np.ndarray | None:
    """Return the result of ``Shape`` or ``Size`` of a static shape."""
    value = node.inputs[0]
    if value is None or value.shape is None:
        return None
    if node.op_type == "Size":
        return np.array(np.prod(value.shape.numpy()), np.int64) if value.shape.is_static() else None
    dims = list(value.shape)[node.attributes.get_int("start", 0) : node.attributes.get_int("end", len(value.shape))]
    return np.array(dims, np.int64) if all(isinstance(dim, int) for dim in dims) else None


def _evaluate(node: ir.Node, inputs: Sequence[np.ndarray | None], opset: int) -> np.ndarray | None:
    """Run ``node`` alone in ONNX's reference implementation; None where that cannot."""
    names = ["" if item is None else f"i{index}" for index, item in enumerate(inputs)]
    proto = ir.serde.serialize_node(node)
    del proto.input[:], proto.output[:], proto.metadata_props[:]
    proto.input.extend(names)
    proto.output.append("o")
    given = [onnx.ValueInfoProto(name=name) for name in names if name]
    graph = onnx.helper.make_graph([proto], "node", given, [onnx.ValueInfoProto(name="o")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    feed = {name: item for name, item in zip(names, inputs, strict=True) if item is not None}
    try:
        (result,) = ReferenceEvaluator(model).run(None, feed)
    # The reference implementation raises whatever its NumPy code does; such a node is simply left in the graph.
    except Exception:
        return None
    return np.asarray(result)


def _constant(value: ir.Value, result: np.ndarray) -> ir.Node:
    """Return a ``Constant`` node of ``result``, typed as ``value``."""
    if value.dtype is not None and value.dtype.numpy() != result.dtype:
        result = result.astype(value.dtype.numpy())
    node = ir.node("Constant", [], {"value": ir.tensor(result)})
    node.outputs[0].type = ir.TensorType(ir.DataType.from_numpy(result.dtype))
    node.outputs[0].shape = ir.Shape(result.shape)
    return node
