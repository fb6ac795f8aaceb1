"""MindSpore's ``.ckpt``: a row of protobuf messages, read and written here without MindSpore.

The schema is MindSpore's ``checkpoint.proto``: Checkpoint {repeated Value value = 1}; Value {string tag = 1;
TensorProto tensor = 2}; TensorProto {repeated int64 dims = 1; string tensor_type = 2; bytes tensor_content = 3}.
A parameter of more than 512 MiB stands in several values of one tag, each with the dims of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from weight_maps.tensors import Spec, numpy_dtype
from zoo.errors import UserError

if TYPE_CHECKING:
    from weight_maps.checkpoint import Checkpoint

_DTYPES = {
    "Int8": "int8",
    "UInt8": "uint8",
    "Int16": "int16",
    "UInt16": "uint16",
    "Int32": "int32",
    "UInt32": "uint32",
    "Int64": "int64",
    "UInt64": "uint64",
    "Float16": "float16",
    "Float32": "float32",
    "Float64": "float64",
    "BFloat16": "bfloat16",
    "Bool": "bool",
}
_NAMES = {name: own for own, name in _DTYPES.items()}
# What save_checkpoint writes into one value at most (mindspore.train.serialization.SLICE_SIZE).
_SLICE = 512 << 20
# What save_checkpoint(crc_check=True) adds behind the last message: this word and ten bytes.
_CRC = b"crc_num"
_LENGTH_DELIMITED = 2


@dataclass(frozen=True)
class _Value:
    tag: str
    kind: str
    dims: tuple[int, ...]
    offset: int
    nbytes: int


class MindSporeFile:
    """The parameters of a MindSpore checkpoint."""

    def __init__(self, file: Path, parts: Mapping[str, list[_Value]]) -> None:
        self._file, self._parts = file, parts
        # MindSpore writes a scalar as one dimension of 1 or as none at all; the elements decide.
        self._specs = {name: Spec(found[0].dims, _DTYPES[found[0].kind]) for name, found in parts.items()}

    def specs(self) -> Mapping[str, Spec]:
        """Return the specs of the parameters."""
        return self._specs

    def read(self, name: str) -> np.ndarray:
        """Return one parameter."""
        spec, pieces = self._specs[name], []
        with self._file.open("rb") as stream:
            for part in self._parts[name]:
                stream.seek(part.offset)
                pieces.append(stream.read(part.nbytes))
        return np.frombuffer(bytearray(b"".join(pieces)), dtype=numpy_dtype(spec.dtype)).reshape(spec.shape)


def read_mindspore(file: Path) -> MindSporeFile:
    """Open a ``.ckpt``; the elements are skipped.

    Raises:
        UserError: If it is none, is encrypted, or holds what is no tensor.
    """
    parts: dict[str, list[_Value]] = {}
    with file.open("rb") as stream:
        for value in _values(stream, file.stat().st_size, file):
            if value.kind in _DTYPES:
                parts.setdefault(value.tag, []).append(value)
    for name, found in parts.items():
        spec = Spec(found[0].dims, _DTYPES[found[0].kind])
        if sum(part.nbytes for part in found) != spec.nbytes:
            raise UserError("a parameter has not as many bytes as its shape says", place=f"{file}: {name}", got=spec)
    if not parts:
        raise UserError("the checkpoint holds no tensors", place=str(file))
    return MindSporeFile(file, parts)


def _values(stream: BinaryIO, end: int, file: Path) -> Iterator[_Value]:
    while stream.tell() < end:
        begin = stream.tell()
        if stream.read(len(_CRC)) == _CRC:
            return
        stream.seek(begin)
        for number, offset, length in _fields(stream, _message_end(stream, end, file), file):
            if number == 1:
                tag = _text(stream, offset, length)
            elif number == 2:
                kind, dims, content = _tensor(stream, offset, length, file)
                yield _Value(tag, kind, dims, *content)


def _message_end(stream: BinaryIO, end: int, file: Path) -> int:
    key = _varint(stream)
    length = _varint(stream)
    if key != (1 << 3 | _LENGTH_DELIMITED) or stream.tell() + length > end:
        raise UserError("this is no MindSpore checkpoint, or an encrypted one", place=str(file))
    return stream.tell() + length


def _fields(stream: BinaryIO, end: int, file: Path) -> Iterator[tuple[int, int, int]]:
    """Yield number, offset and length of each field of a message; of a bare integer the value and length 0."""
    while stream.tell() < end:
        key = _varint(stream)
        if key & 7 == _LENGTH_DELIMITED:
            length = _varint(stream)
            offset = stream.tell()
            yield key >> 3, offset, length
            stream.seek(offset + length)
        elif key & 7 == 0:
            value = _varint(stream)
            here = stream.tell()
            yield key >> 3, value, 0
            stream.seek(here)
        else:
            raise UserError("this is no MindSpore checkpoint", place=str(file), got=f"a field of wire type {key & 7}")


def _tensor(stream: BinaryIO, offset: int, length: int, file: Path) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    stream.seek(offset)
    kind, dims, content = "", [], (offset, 0)
    for number, where, size in _fields(stream, offset + length, file):
        if number == 1 and size == 0:
            dims.append(where)
        elif number == 1:  # packed
            stream.seek(where)
            while stream.tell() < where + size:
                dims.append(_varint(stream))
        elif number == 2:
            kind = _text(stream, where, size)
        elif number == 3:
            content = where, size
    return kind, tuple(dims), content


def _text(stream: BinaryIO, offset: int, length: int) -> str:
    stream.seek(offset)
    return stream.read(length).decode()


def _varint(stream: BinaryIO) -> int:
    value = shift = 0
    while True:
        byte = stream.read(1)
        if not byte or shift > 63:
            raise ValueError("the file ends within a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7


# -- writing -------------------------------------------------------------------------------------------------------


def write_mindspore(stage: Checkpoint, file: Path) -> None:
    """Write a ``.ckpt`` that ``mindspore.load_checkpoint`` reads, one parameter after the other.

    Raises:
        UserError: If MindSpore has no such dtype.
    """
    with file.open("wb") as stream:
        for name, spec in stage.specs().items():
            if spec.dtype not in _NAMES:
                raise UserError("MindSpore's format has no such dtype", place=f"{file}: {name}", got=spec)
            array = np.ascontiguousarray(stage.read(name)).reshape(-1)
            count = max(1, -(-spec.nbytes // _SLICE))
            for piece in np.array_split(array, count):
                _write_value(stream, name, spec, piece)


def _write_value(stream: BinaryIO, name: str, spec: Spec, piece: np.ndarray) -> None:
    dims = b"".join(_key(1, 0) + _number(size) for size in spec.shape)
    kind = _NAMES[spec.dtype].encode()
    content = _key(3) + _number(piece.nbytes)
    tensor = dims + _key(2) + _number(len(kind)) + kind + content
    tag = name.encode()
    value = _key(1) + _number(len(tag)) + tag + _key(2) + _number(len(tensor) + piece.nbytes)
    stream.write(_key(1) + _number(len(value) + len(tensor) + piece.nbytes) + value + tensor)
    stream.write(piece.view(np.uint8).data)


def _key(number: int, wire: int = _LENGTH_DELIMITED) -> bytes:
    return _number(number << 3 | wire)


def _number(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
