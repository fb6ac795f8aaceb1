"""``.npz`` files: each array read by itself, without pickles."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from weight_maps.tensors import Spec
from zoo.errors import UserError

if TYPE_CHECKING:
    from weight_maps.checkpoint import Checkpoint


class NpzFile:
    """The arrays of an ``.npz``."""

    def __init__(self, file: Path, specs: Mapping[str, Spec]) -> None:
        self._file, self._specs = file, specs

    def specs(self) -> Mapping[str, Spec]:
        """Return the specs of the arrays' headers."""
        return self._specs

    def read(self, name: str) -> np.ndarray:
        """Return one array."""
        with zipfile.ZipFile(self._file) as archive, archive.open(f"{name}.npy") as stream:
            array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
            return array


def read_npz(file: Path) -> NpzFile:
    """Open an ``.npz``; only headers are read.

    Raises:
        UserError: If an entry is no plain array.
    """
    specs = {}
    with zipfile.ZipFile(file) as archive:
        for entry in archive.namelist():
            with archive.open(entry) as stream:
                version = np.lib.format.read_magic(stream)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(stream)
            if dtype.hasobject or not entry.endswith(".npy"):
                raise UserError("the file holds Python objects", place=f"{file}: {entry}", expected="plain arrays")
            specs[entry.removesuffix(".npy")] = Spec(tuple(int(size) for size in shape), str(dtype))
    return NpzFile(file, specs)


def write_npz(stage: Checkpoint, file: Path) -> None:
    """Write an ``.npz``, one array after the other.

    Raises:
        UserError: If a dtype is none of NumPy's own.
    """
    odd = [name for name, spec in stage.specs().items() if spec.dtype not in np.sctypeDict]
    if odd:
        raise UserError("NumPy's format has no such dtype", place=str(file), got=f"{odd[0]} {stage.specs()[odd[0]]}")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in stage.specs():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, stage.read(name), allow_pickle=False)
