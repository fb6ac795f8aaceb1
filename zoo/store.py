"""Writes a graph and its weights: ``model.onnx`` whose tensors point into a genuine safetensors file."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.graph import INLINE_BYTES, is_parameter

if TYPE_CHECKING:
    import onnx_ir as ir

# safetensors' names of dtypes in its header, https://huggingface.co/docs/safetensors (format section).
_DTYPES = {
    "FLOAT": "F32",
    "DOUBLE": "F64",
    "FLOAT16": "F16",
    "BFLOAT16": "BF16",
    "FLOAT8E4M3FN": "F8_E4M3",
    "FLOAT8E5M2": "F8_E5M2",
    "INT64": "I64",
    "INT32": "I32",
    "INT16": "I16",
    "INT8": "I8",
    "UINT64": "U64",
    "UINT32": "U32",
    "UINT16": "U16",
    "UINT8": "U8",
    "BOOL": "BOOL",
}


WEIGHTS, GRAPH = "model.safetensors", "model.onnx"


def save(
    model: ir.Model, directory: Path, beside: Mapping[str, ir.TensorProtocol] | None = None, *, absent: bool = False
) -> int:
    """Write ``model`` and its weights into ``directory`` and return the bytes of weights.

    Every parameter goes to the safetensors file whatever its size; constants of at most 1 KiB stay in the graph,
    where shape inference can see them. The same model gives the same bytes.

    Args:
        model: The graph; its tensors are on disk afterwards.
        directory: Where the two files go.
        beside: Tensors that go to the safetensors file and are not in the graph.
        absent: Whether to leave the safetensors file out; the graph refers to it as if it were there.
    """
    import onnx_ir as ir

    outside = {name: value for name, value in _initializers(model).items() if _goes_outside(value)}
    tensors = dict(beside or {}) | {name: _tensor(value) for name, value in outside.items()}
    file = directory / WEIGHTS
    if tensors:
        order, header, offsets = _layout(tensors)
        if not absent:
            _write_safetensors(file, tensors, order, header)
        for name, value in outside.items():
            value.const_value = _external(value, offsets[name], directory)
    proto = ir.serde.serialize_model(model)
    (directory / GRAPH).write_bytes(proto.SerializeToString(deterministic=True))
    return (directory / WEIGHTS).stat().st_size if tensors and not absent else 0


def _layout(tensors: Mapping[str, ir.TensorProtocol]) -> tuple[list[str], bytes, dict[str, tuple[int, int]]]:
    """Return the order of tensors in a safetensors file, its header, and where each of them begins and ends.

    The order is the library's: widest elements first, then by name, which keeps every tensor aligned; the header is
    padded with spaces to a multiple of 8 bytes as it does.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    entries, spans, end = {}, {}, 0
    for name in order:
        tensor = tensors[name]
        begin, end = end, end + tensor.nbytes
        shape = [int(size) for size in tensor.shape.numpy()]
        entries[name] = {"dtype": _DTYPES[tensor.dtype.name], "shape": shape, "data_offsets": [begin, end]}
        spans[name] = begin, end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    header = struct.pack("<Q", len(text)) + text
    return order, header, {name: (begin + len(header), end + len(header)) for name, (begin, end) in spans.items()}


def _write_safetensors(file: Path, tensors: Mapping[str, ir.TensorProtocol], order: list[str], header: bytes) -> None:
    """Write tensors one after the other, so that a lazy one is in memory only while it is written.

    The library's own serialiser wants all of them at once.
    """
    with file.open("wb") as stream:
        stream.write(header)
        for name in order:
            array = np.ascontiguousarray(tensors[name].numpy())
            stream.write(array.reshape(-1).view(np.uint8).data)


def _tensor(value: ir.Value) -> ir.TensorProtocol:
    assert value.const_value is not None
    return value.const_value


def _external(value: ir.Value, span: tuple[int, int], directory: Path) -> ir.ExternalTensor:
    import onnx_ir as ir

    tensor = _tensor(value)
    begin, end = span
    return ir.ExternalTensor(
        WEIGHTS,
        begin,
        end - begin,
        tensor.dtype,
        shape=ir.Shape(tensor.shape.numpy()),
        name=str(value.name),
        metadata_props=dict(tensor.metadata_props),
        base_dir=directory,
    )


def read_tensor(tensor: ir.TensorProtocol) -> np.ndarray:
    """Return a tensor's elements; those of a file are read, not mapped: mapped pages would stay counted as memory."""
    import onnx_ir as ir

    if not isinstance(tensor, ir.ExternalTensor):
        return tensor.numpy()
    dtype, shape = tensor.dtype.numpy(), tensor.shape.numpy()
    count = int(np.prod(shape, dtype=np.int64))
    return np.fromfile(tensor.path, dtype=dtype, count=count, offset=tensor.offset or 0).reshape(shape)


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


def summarize(model: ir.Model) -> dict[str, int]:
    """Return how many parameters (tensors and elements) the graph carries."""
    tensors = [value.const_value for value in _initializers(model).values() if is_parameter(value)]
    return {"tensors": len(tensors), "elements": sum(tensor.size for tensor in tensors if tensor is not None)}
