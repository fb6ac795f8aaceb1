"""GGUF files: tensors that are not quantised, mapped into memory one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from weight_maps.tensors import Spec, numpy_dtype
from zoo.errors import UserError

# ggml's types that hold plain numbers (ggml.h, enum ggml_type), by the names that NumPy and ml_dtypes give them.
_PLAIN = {
    "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
}  # fmt: skip


class GgufFile:
    """The tensors of a GGUF file.

    Args:
        found: What the ``gguf`` package read, by name; the elements stay on disk.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._found = found
        # ggml counts axes from the innermost.
        self._specs = {
            name: Spec(tuple(int(size) for size in reversed(item.shape)), _PLAIN[item.tensor_type.name])
            for name, item in found.items()
        }

    def specs(self) -> Mapping[str, Spec]:
        """Return the specs of the file's index."""
        return self._specs

    def read(self, name: str) -> np.ndarray:
        """Return one tensor."""
        spec = self._specs[name]
        return np.array(self._found[name].data).view(numpy_dtype(spec.dtype)).reshape(spec.shape)


def read_gguf(file: Path) -> GgufFile:
    """Open a GGUF file; only its index is read.

    Raises:
        UserError: If a tensor is quantised: what it stood for is lost, and no map could prove its way back.
    """
    import gguf

    found = {item.name: item for item in gguf.GGUFReader(str(file)).tensors}
    quantised = {name: item.tensor_type.name for name, item in found.items() if item.tensor_type.name not in _PLAIN}
    if quantised:
        first = next(iter(quantised))
        raise UserError(
            f"{len(quantised)} tensors of the file are quantised, the first is {first!r}",
            place=str(file),
            expected=", ".join(_PLAIN),
            got=", ".join(sorted(set(quantised.values()))),
            hint="take the F16 or BF16 file of the same model",
        )
    return GgufFile(found)
