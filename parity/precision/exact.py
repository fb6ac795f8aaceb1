"""Computes one ONNX operator in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

_OPSET = 23


def exact(node: ir.Node, operands: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Return the first result of ``node`` on ``operands`` widened to float64; ``None`` where nothing here computes it.

    Convolutions, for which ONNX Runtime has no float64 kernel, are sums of matrix products; every other operator goes
    to ONNX Runtime, and to ONNX's reference evaluator where that has no kernel either.
    """
    wide = [
        None if item is None else item.astype(np.float64) if item.dtype == np.float32 else item for item in operands
    ]
    if node.op_type == "Conv" and wide[0] is not None and wide[1] is not None and wide[0].ndim == 4:
        return _convolution(node, wide[0], wide[1], wide[2] if len(wide) > 2 else None)
    model = _alone(node, wide)
    feed = {f"x{place}": item for place, item in enumerate(wide) if item is not None}
    result = _by_onnxruntime(model, feed)
    return result if result is not None else _by_reference(model, feed)


def _alone(node: ir.Node, operands: Sequence[np.ndarray | None]) -> ir.Model:
    """Return a model of ``node`` alone; its float operands and results are float64."""
    inputs = [
        None
        if item is None
        else ir.val(f"x{place}", ir.DataType.from_numpy(item.dtype), [int(size) for size in item.shape])
        for place, item in enumerate(operands)
    ]
    attributes = [attribute for attribute in node.attributes.values() if node.op_type != "Cast"]
    if node.op_type == "Cast":
        attributes = [ir.AttrInt64("to", int(ir.DataType.DOUBLE))]
    copy = ir.Node("", node.op_type, inputs, attributes, num_outputs=len(node.outputs), name="alone")
    copy.outputs[0].name, copy.outputs[0].type = "y0", ir.TensorType(ir.DataType.DOUBLE)
    for place, value in enumerate(copy.outputs[1:], 1):
        value.name = f"y{place}" if node.outputs[place].name else ""
    graph = ir.Graph(
        [value for value in inputs if value is not None], copy.outputs[:1], nodes=[copy],
        opset_imports={"": node.version or _opset(node)}, name="alone",
    )  # fmt: skip
    return ir.Model(graph, ir_version=10)


def _opset(node: ir.Node) -> int:
    graph = node.graph
    return graph.opset_imports.get("", _OPSET) if isinstance(graph, ir.Graph) and graph.opset_imports else _OPSET


def _by_onnxruntime(model: ir.Model, feed: dict[str, np.ndarray]) -> np.ndarray | None:
    from zoo.errors import UserError
    from zoo.executors.onnxruntime import load

    try:
        with load(ir.serde.serialize_model(model).SerializeToString(), optimize=False) as session:
            return next(iter(session.run(feed).values()))
    except UserError:  # no kernel for float64
        return None


def _by_reference(model: ir.Model, feed: dict[str, np.ndarray]) -> np.ndarray | None:
    from onnx.reference import ReferenceEvaluator

    try:
        result = ReferenceEvaluator(ir.serde.serialize_model(model)).run(None, feed)[0]
    except Exception:  # its operators raise anything on types that they were not written for
        return None
    return np.asarray(result)


def _convolution(node: ir.Node, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None) -> np.ndarray | None:
    """Return a convolution over two spatial axes as one matrix product for each place of the kernel."""
    strides = list(node.attributes.get_ints("strides", [1, 1]) or [1, 1])
    dilations = list(node.attributes.get_ints("dilations", [1, 1]) or [1, 1])
    pads = list(node.attributes.get_ints("pads", [0, 0, 0, 0]) or [0, 0, 0, 0])
    group = node.attributes.get_int("group", 1) or 1
    if node.attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "", None):
        return None
    padded = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    kernel = w.shape[2:]
    sizes = [
        (padded.shape[2 + axis] - dilations[axis] * (kernel[axis] - 1) - 1) // strides[axis] + 1 for axis in (0, 1)
    ]
    weights = w.reshape(group, w.shape[0] // group, *w.shape[1:])
    total = np.zeros((x.shape[0], group, w.shape[0] // group, sizes[0] * sizes[1]))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i * dilations[0], i * dilations[0] + strides[0] * (sizes[0] - 1) + 1, strides[0])
            columns = slice(j * dilations[1], j * dilations[1] + strides[1] * (sizes[1] - 1) + 1, strides[1])
            patch = padded[:, :, rows, columns].reshape(x.shape[0], group, x.shape[1] // group, -1)
            total += weights[None, :, :, :, i, j] @ patch
    result: np.ndarray = total.reshape(x.shape[0], w.shape[0], *sizes)
    return result if bias is None else result + bias.reshape(-1, 1, 1)
