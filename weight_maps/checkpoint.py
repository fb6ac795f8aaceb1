"""A checkpoint that is read tensor by tensor, whatever file it is in."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from zoo.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from weight_maps.tensors import Spec

_FORMATS = "weight_maps.formats"
# Ending of a file -> (module, reader). TensorFlow's own checkpoints are known by the files beside them.
READERS: Mapping[str, tuple[str, str]] = {
    ".safetensors": ("safetensors", "read_safetensors"),
    ".safetensors.index.json": ("safetensors", "read_sharded"),
    ".npz": ("npz", "read_npz"),
    ".ckpt": ("mindspore", "read_mindspore"),
    ".pt": ("pytorch", "read_pytorch"),
    ".pth": ("pytorch", "read_pytorch"),
    ".bin": ("pytorch", "read_pytorch"),
    ".tar": ("pytorch", "read_pytorch"),
    ".weights.h5": ("keras", "read_weights_h5"),
    ".h5": ("keras", "read_h5"),
    ".hdf5": ("keras", "read_h5"),
    ".keras": ("keras", "read_keras"),
    ".onnx": ("onnx", "read_onnx"),
    ".gguf": ("gguf", "read_gguf"),
}


class Checkpoint(Protocol):
    """Tensors by name, none of them read before it is asked for."""

    def specs(self) -> Mapping[str, Spec]:
        """Return shape and dtype of every tensor, in the order of the file."""
        ...

    def read(self, name: str) -> np.ndarray:
        """Return one tensor.

        Raises:
            UserError: If it cannot be read.
        """
        ...


class Tensors:
    """Arrays in memory as a checkpoint."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        from weight_maps.tensors import spec_of

        self._arrays = arrays
        self._specs = {name: spec_of(array) for name, array in arrays.items()}

    def specs(self) -> Mapping[str, Spec]:
        """Return the specs of the arrays."""
        return self._specs

    def read(self, name: str) -> np.ndarray:
        """Return an array."""
        return self._arrays[name]


def open_checkpoint(file: Path) -> Checkpoint:
    """Open a checkpoint by the ending of its name; nothing but its index is read.

    ``.ckpt`` is MindSpore's, unless the files of a TensorFlow checkpoint stand beside it.

    Raises:
        UserError: If there is no such file, its format is not known, or it cannot be read.
    """
    if _is_tensorflow(file):
        reader = "tensorflow", "read_tensorflow"
    elif not file.is_file():
        raise UserError(
            "the checkpoint does not exist",
            place=str(file),
            expected="a file, or the prefix of a TensorFlow checkpoint (what stands before .index)",
        )
    else:
        # The longest ending that fits: `.weights.h5` before `.h5`.
        ending = max((ending for ending in READERS if file.name.endswith(ending)), key=len, default=None)
        if ending is None:
            raise UserError(
                "the checkpoint's format is not known", place=str(file), expected=", ".join(READERS), got=file.suffix
            )
        reader = READERS[ending]
    module = importlib.import_module(f"{_FORMATS}.{reader[0]}")
    read: Callable[[Path], Checkpoint] = getattr(module, reader[1])
    try:
        opened = read(file)
    except UserError:
        raise
    except ImportError as error:
        raise UserError(
            f"{file.name} needs the package {error.name!r}, which is not installed", place=str(file)
        ) from error
    except Exception as error:  # the libraries raise a dozen kinds on files that are damaged or hostile
        raise unreadable(file, error) from error
    if not opened.specs():
        raise UserError("the checkpoint holds no tensors", place=str(file))
    return opened


def _is_tensorflow(file: Path) -> bool:
    """Return whether it is the prefix of a TensorFlow checkpoint (v2 has an index beside it), or a v1 file."""
    if file.with_name(file.name + ".index").is_file():
        return True
    if not file.is_file() or file.suffix != ".ckpt":
        return False
    with file.open("rb") as stream:
        stream.seek(-8, 2) if file.stat().st_size > 8 else stream.seek(0)
        # A v1 checkpoint is a LevelDB table, which ends with this number (tensorflow/core/lib/io/format.h).
        return stream.read(8) == (0xDB4775248B80FB57).to_bytes(8, "little")


def unreadable(file: Path, error: Exception) -> UserError:
    """Return the error for a file that its library cannot read."""
    said = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return UserError(
        "the checkpoint cannot be read",
        place=str(file),
        got=said[:300],
        hint="is the file whole? compare its size and hash with the publisher's",
    )
