"""Writes a graph and its weights: ``model.onnx`` whose tensors point into a genuine safetensors file."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.graph import INLINE_BYTES, is_parameter

if TYPE_CHECKING:
    import onnx_ir as ir

# safetensors' names of dtypes, https://huggingface.co/docs/safetensors (format section).
_DTYPES = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E5M2": "float8_e5m2",
    "INT64": "int64",
    "INT32": "int32",
    "INT16": "int16",
    "INT8": "int8",
    "UINT64": "uint64",
    "UINT32": "uint32",
    "UINT16": "uint16",
    "UINT8": "uint8",
    "BOOL": "bool",
}


def save(model: ir.Model, directory: Path, weights: str = "model.safetensors", graph: str = "model.onnx") -> int:
    """Write ``model`` and its weights into ``directory`` and return the bytes of weights.

    Every parameter goes to the safetensors file whatever its size; constants of at most 1 KiB stay in the graph,
    where shape inference can see them. The same model gives the same bytes.
    """
    import onnx_ir as ir

    outside = {name: value for name, value in _initializers(model).items() if _goes_outside(value)}
    file = directory / weights
    if outside:
        _write_safetensors(file, outside)
        offsets = _offsets(file)
        for name, value in outside.items():
            value.const_value = _external(value, offsets[name], weights, directory)
    proto = ir.serde.serialize_model(model)
    (directory / graph).write_bytes(proto.SerializeToString(deterministic=True))
    return file.stat().st_size if outside else 0


def _write_safetensors(file: Path, values: dict[str, ir.Value]) -> None:
    import numpy as np
    import safetensors

    alive = []  # TensorSpec holds bare pointers: the arrays must outlive the call.
    specs = {}
    for name, value in values.items():
        tensor = value.const_value
        assert tensor is not None
        array = np.ascontiguousarray(tensor.numpy())
        alive.append(array)
        specs[name] = safetensors.TensorSpec(
            dtype=_DTYPES[tensor.dtype.name],
            shape=list(tensor.shape.numpy()),
            data_ptr=array.ctypes.data,
            data_len=array.nbytes,
        )
    safetensors.serialize_file(specs, str(file), None)


def _external(value: ir.Value, span: tuple[int, int], weights: str, directory: Path) -> ir.ExternalTensor:
    import onnx_ir as ir

    tensor = value.const_value
    assert tensor is not None
    begin, end = span
    return ir.ExternalTensor(
        weights,
        begin,
        end - begin,
        tensor.dtype,
        shape=ir.Shape(tensor.shape.numpy()),
        name=str(value.name),
        metadata_props=dict(tensor.metadata_props),
        base_dir=directory,
    )


def _initializers(model: ir.Model) -> dict[str, ir.Value]:
    values = dict(model.graph.initializers)
    for graph in model.graph.subgraphs():
        values.update(graph.initializers)
    return values


def _goes_outside(value: ir.Value) -> bool:
    tensor = value.const_value
    if tensor is None or tensor.dtype.name not in _DTYPES:
        return False
    return is_parameter(value) or tensor.nbytes > INLINE_BYTES


def _offsets(file: Path) -> dict[str, tuple[int, int]]:
    # Layout: 8 bytes little-endian header length, the JSON header, then the tensors; offsets count from there.
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    return {
        name: (entry["data_offsets"][0] + 8 + length, entry["data_offsets"][1] + 8 + length)
        for name, entry in header.items()
    }


def summarize(model: ir.Model) -> dict[str, int]:
    """Return how many parameters (tensors and elements) the graph carries."""
    tensors = [value.const_value for value in _initializers(model).values() if is_parameter(value)]
    return {"tensors": len(tensors), "elements": sum(tensor.size for tensor in tensors if tensor is not None)}
