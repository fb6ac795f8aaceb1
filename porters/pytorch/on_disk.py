"""Models whose weights stay on disk: built without them, captured without them, written tensor by tensor."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import onnx_ir as ir

from zoo.errors import UserError

if TYPE_CHECKING:
    import torch

# Checkpoints of more bytes than this are never loaded by a port.
LARGEST_LOADED = 2 << 30
# Tensors of more elements than this are made without memory; buffers computed in constructors stay real.
_REAL_ELEMENTS = 1 << 14
# safetensors' names of floating-point dtypes; everything is widened to float32, as `model.float()` would.
_DTYPES: Mapping[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
}
_INTEGERS: Mapping[str, Any] = {
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


@dataclass
class OnDisk:
    """Where the weights of a model without weights are.

    Attributes:
        tensors: Upstream name -> the tensor, read from its file when it is asked for.
        buffers: Values of the buffers that no checkpoint holds.
        absent: Whether there are no weights at all: only the graph is wanted.
    """

    tensors: Mapping[str, ir.TensorProtocol]
    buffers: Mapping[str, torch.Tensor] = field(default_factory=dict)
    absent: bool = False

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the weights by name, each read when it is asked for."""
        return _Read(self.tensors)


class _Read(Mapping[str, np.ndarray]):
    """Tensors as arrays, none of them held."""

    def __init__(self, tensors: Mapping[str, ir.TensorProtocol]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> np.ndarray:
        return self._tensors[name].numpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def without_memory() -> AbstractContextManager[Any]:
    """Return a mode in which large uninitialised tensors, as layers make them, take no memory (the meta device)."""
    import torch
    from torch.overrides import TorchFunctionMode

    class WithoutMemory(TorchFunctionMode):  # type: ignore[misc]  # torch is untyped here
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = dict(kwargs or {})
            if func is torch.empty and kwargs.get("device") is None and _elements(args, kwargs) > _REAL_ELEMENTS:
                kwargs["device"] = "meta"
            return func(*args, **kwargs)

    mode: AbstractContextManager[Any] = WithoutMemory()
    return mode


def _elements(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    sizes = kwargs.get("size", args[0] if len(args) == 1 and not isinstance(args[0], int) else args)
    count = 1
    for size in sizes:
        count *= int(size)
    return count


def build(make: Callable[[], torch.nn.Module]) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """Build a model on the meta device; the second part holds the buffers that its constructor computed."""
    with without_memory():
        model = make().eval()
    stored = set(model.state_dict())
    buffers = {
        name: item.detach().clone() for name, item in model.named_buffers() if name not in stored and not item.is_meta
    }
    return model.float().to("meta"), buffers


def read_headers(files: Iterable[Path]) -> dict[str, ir.TensorProtocol]:
    """Return the tensors of safetensors files by name, none of them read.

    Raises:
        UserError: If a file is no safetensors file or holds a dtype that is not known.
    """
    found: dict[str, ir.TensorProtocol] = {}
    for file in files:
        header, begin = _header(file)
        for name, entry in header.items():
            found[name] = _tensor(file, name, entry, begin)
    return found


def _header(file: Path) -> tuple[dict[str, Any], int]:
    # Layout: 8 bytes little-endian header length, the JSON header, then the tensors; offsets count from there.
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > file.stat().st_size:
                raise ValueError("the header is longer than the file")
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        last = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        if 8 + length + last > file.stat().st_size:
            raise ValueError("the file ends before its last tensor")
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise UserError("the checkpoint cannot be read", place=str(file), expected="safetensors", got=error) from error
    return header, 8 + length


def _tensor(file: Path, name: str, entry: Mapping[str, Any], begin: int) -> ir.TensorProtocol:
    kind = entry["dtype"]
    stored = _DTYPES.get(kind) or _INTEGERS.get(kind)
    if stored is None:
        known = ", ".join((*_DTYPES, *_INTEGERS))
        raise UserError("the checkpoint holds an unknown dtype", place=f"{file}: {name}", expected=known, got=kind)
    shape, start = list(entry["shape"]), begin + entry["data_offsets"][0]
    wanted = np.dtype(np.float32) if kind in _DTYPES else np.dtype(stored)

    def read() -> ir.TensorProtocol:
        # Read, not mapped: mapped pages would count as memory for as long as the file is open.
        count = int(np.prod(shape, dtype=np.int64))
        array = np.fromfile(file, dtype=stored, count=count, offset=start).reshape(shape)
        return ir.Tensor(array.astype(wanted, copy=False), name=name)

    return ir.LazyTensor(read, ir.DataType.from_numpy(wanted), ir.Shape(shape), name=name)


def bind(model: torch.nn.Module, stored: Mapping[str, ir.TensorProtocol], place: str) -> dict[str, ir.TensorProtocol]:
    """Return a tensor of the checkpoint for each name of the model's state dict; tied weights share one.

    Raises:
        UserError: With the names that are missing or of another shape.
    """
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    aliases = _aliases(model)
    bound, missing, wrong = {}, [], []
    for name, item in model.state_dict().items():
        candidates = [alias for known in aliases.get(name, [name]) for alias in _spellings(known, prefix)]
        found = next((stored[alias] for alias in candidates if alias in stored), None)
        if found is None:
            missing.append(name)
        elif tuple(found.shape.numpy()) != tuple(item.shape):
            wrong.append(f"{name}: {list(item.shape)} against {list(found.shape.numpy())}")
        else:
            bound[name] = found
    if missing or wrong:
        raise UserError(
            "the checkpoint does not fit the model",
            place=place,
            expected=f"weights for the whole of {type(model).__name__}",
            got="; ".join(["missing: " + ", ".join(missing[:8])] * bool(missing) + wrong[:8]),
            hint="give the checkpoint of this architecture",
        )
    return bound


def _aliases(model: torch.nn.Module) -> dict[str, list[str]]:
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {name: group for group in names.values() for name in group}


def _spellings(name: str, prefix: str) -> tuple[str, str, str]:
    # A head's checkpoint may hold the bare model's names, or the other way round.
    return name, name.removeprefix(prefix), prefix + name
