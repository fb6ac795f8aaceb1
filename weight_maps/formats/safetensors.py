"""safetensors, one file or several: the header is read, tensors when they are asked for."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from weight_maps.tensors import Spec, numpy_dtype
from zoo.errors import UserError

# safetensors' names of dtypes, https://huggingface.co/docs/safetensors (format section).
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
NAMES = {name: short for short, name in DTYPES.items()}
# The library's own limit on a header.
_LARGEST_HEADER = 100_000_000


class SafetensorsFile:
    """The tensors of one or several safetensors files."""

    def __init__(self, spans: Mapping[str, tuple[Path, int]], specs: Mapping[str, Spec]) -> None:
        self._spans, self._specs = spans, specs

    def specs(self) -> Mapping[str, Spec]:
        """Return the specs of the header."""
        return self._specs

    def read(self, name: str) -> np.ndarray:
        """Return one tensor; it is read, not mapped: mapped pages would stay counted as memory."""
        (file, offset), spec = self._spans[name], self._specs[name]
        array = np.fromfile(file, dtype=numpy_dtype(spec.dtype), count=spec.elements, offset=offset)
        if array.size != spec.elements:
            raise UserError("the checkpoint ends within a tensor", place=f"{file}: {name}")
        return array.reshape(spec.shape)

    def mapped(self, name: str) -> np.ndarray:
        """Return one tensor mapped from its file; what is written to it does not reach the file."""
        (file, offset), spec = self._spans[name], self._specs[name]
        if not spec.elements:
            return np.zeros(spec.shape, numpy_dtype(spec.dtype))
        return np.memmap(file, dtype=numpy_dtype(spec.dtype), mode="c", offset=offset, shape=spec.shape)


def read_safetensors(file: Path) -> SafetensorsFile:
    """Open one safetensors file.

    Raises:
        UserError: If its header cannot be read or says what the file does not hold.
    """
    spans, specs = _header(file)
    return SafetensorsFile(spans, specs)


def read_sharded(file: Path) -> SafetensorsFile:
    """Open the shards that ``model.safetensors.index.json`` names; all must stand beside it.

    Raises:
        UserError: If a shard is missing, or the index and the shards disagree.
    """
    try:
        where = {str(name): Path(shard).name for name, shard in json.loads(file.read_text())["weight_map"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError("the index of shards cannot be read", place=str(file), got=repr(error)) from error
    spans: dict[str, tuple[Path, int]] = {}
    specs: dict[str, Spec] = {}
    for shard in sorted(set(where.values())):
        found = file.with_name(shard)
        if not found.is_file():
            raise UserError("a shard of the checkpoint is missing", place=str(found), hint="fetch every shard")
        own, known = _header(found)
        spans |= own
        specs |= known
    if set(specs) != set(where):
        odd = sorted(set(specs) ^ set(where))
        raise UserError("the index and the shards do not name the same tensors", place=str(file), got=odd[:8])
    return SafetensorsFile(spans, specs)


def _header(file: Path) -> tuple[dict[str, tuple[Path, int]], dict[str, Spec]]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        first = stream.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else -1
        if not 0 < length <= min(size - 8, _LARGEST_HEADER):
            raise UserError("this is no safetensors file", place=str(file), got=f"a header of {length} bytes of {size}")
        entries = json.loads(stream.read(length))
    spans, specs = {}, {}
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        spec = Spec(tuple(int(dim) for dim in entry["shape"]), DTYPES[entry["dtype"]])
        begin, end = entry["data_offsets"]
        if end - begin != spec.nbytes or not 0 <= begin <= end <= size - 8 - length:
            raise UserError("a tensor is not where the header says", place=f"{file}: {name}", got=entry)
        spans[name], specs[name] = (file, 8 + length + begin), spec
    return spans, specs


def layout(specs: Mapping[str, Spec]) -> tuple[bytes, dict[str, int]]:
    """Return the header of a safetensors file, and where each tensor begins in the file.

    The order is the library's own (widest elements first, then by name), so that every tensor is aligned.
    """
    entries, begins, end = {}, {}, 0
    for name in sorted(specs, key=lambda name: (-numpy_dtype(specs[name].dtype).itemsize, name)):
        spec = specs[name]
        begin, end = end, end + spec.nbytes
        entries[name] = {"dtype": NAMES[spec.dtype], "shape": list(spec.shape), "data_offsets": [begin, end]}
        begins[name] = begin
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    header = struct.pack("<Q", len(text)) + text
    return header, {name: begin + len(header) for name, begin in begins.items()}
