"""Evaluates a layer in float64 by the definition of its operators: what the graph says, whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

_NARROW = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
_WIDE = onnx.TensorProto.DOUBLE
# Attributes that name a dtype to compute or to answer in.
_DTYPES = ("to", "dtype", "stash_type", "softmax_precision")
# Operators that compute in float32 unless they are told otherwise.
_STASHED = ("LayerNormalization", "GroupNormalization", "RMSNormalization")


def by_definition(layer: onnx.ModelProto, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the results of ``layer`` on ``feed``, every float of it a float64.

    Raises:
        NotImplementedError: If ONNX's reference evaluator cannot run it.
    """
    from onnx.reference import ReferenceEvaluator

    model = onnx.ModelProto()
    model.CopyFrom(layer)
    _widen(model.graph)
    wide = {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in feed.items()}
    try:
        evaluator = ReferenceEvaluator(model)
        results = evaluator.run(None, wide)
    except Exception as error:  # it answers with whatever NumPy raises
        raise NotImplementedError(f"the reference evaluator does not run this layer: {error}") from error
    return dict(zip(evaluator.output_names, results, strict=True))


def _widen(graph: onnx.GraphProto) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in _NARROW:
            value.type.tensor_type.elem_type = _WIDE
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in _DTYPES and attribute.i in _NARROW:
                attribute.i = _WIDE
            elif attribute.type == onnx.AttributeProto.TENSOR:
                _widen_tensor(attribute.t)
            elif attribute.type == onnx.AttributeProto.GRAPH:
                _widen(attribute.g)
        if node.op_type in _STASHED and not any(item.name == "stash_type" for item in node.attribute):
            node.attribute.append(onnx.helper.make_attribute("stash_type", _WIDE))


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in _NARROW:
        array = onnx.numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
