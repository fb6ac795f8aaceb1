"""Keras weights: ``.weights.h5`` under the paths in the file, older ``.h5`` under ``layer/variable``, ``.keras``."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weight_maps.tensors import Spec
from zoo.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from weight_maps.checkpoint import Checkpoint

# The member of a .keras archive that holds the weights.
_WEIGHTS = "model.weights.h5"


class HdfDatasets:
    """Datasets of an open HDF5 file by name."""

    def __init__(self, handle: Any, paths: Mapping[str, str]) -> None:
        self._handle, self._paths = handle, paths
        self._specs = {
            name: Spec(tuple(int(size) for size in handle[path].shape), str(handle[path].dtype))
            for name, path in paths.items()
        }

    def specs(self) -> Mapping[str, Spec]:
        """Return the specs of the datasets."""
        return self._specs

    def read(self, name: str) -> np.ndarray:
        """Return one dataset."""
        array: np.ndarray = self._handle[self._paths[name]][()]
        return array


def read_weights_h5(file: Path) -> HdfDatasets:
    """Open what ``model.save_weights`` wrote; tensors are called by their paths, ``layers/dense/vars/0``."""
    import h5py

    return _plain(h5py.File(file, "r"))


def read_keras(file: Path) -> HdfDatasets:
    """Open the weights of a ``.keras`` archive, which are taken into memory.

    Raises:
        UserError: If there are none in it.
    """
    import h5py

    with zipfile.ZipFile(file) as archive:
        if _WEIGHTS not in archive.namelist():
            raise UserError("the archive holds no weights", place=str(file), expected=_WEIGHTS, got=archive.namelist())
        return _plain(h5py.File(io.BytesIO(archive.read(_WEIGHTS)), "r"))


def _plain(handle: Any) -> HdfDatasets:
    paths: list[str] = []
    handle.visititems(lambda path, item: paths.append(path) if hasattr(item, "shape") else None)
    return HdfDatasets(handle, {path: path for path in paths})


def read_h5(file: Path) -> HdfDatasets:
    """Open a legacy ``.h5`` of weights or of a whole model; tensors are called ``layer/variable``.

    The file says for each layer what its weights are called (``weight_names``), which is the order of
    ``layer.weights``; the model's own name and the ``:0`` of TensorFlow 1 are left off.
    """
    import h5py

    handle = h5py.File(file, "r")
    root = handle.get("model_weights", handle)
    if "layer_names" not in root.attrs:
        return _plain(handle)
    paths = {}
    for layer in map(_text, root.attrs["layer_names"]):
        for weight in map(_text, root[layer].attrs["weight_names"]):
            parts = weight.removesuffix(":0").split("/")
            own = parts[parts.index(layer) :] if layer in parts else [layer, parts[-1]]
            paths["/".join(own)] = f"{root.name}/{layer}/{weight}"
    return HdfDatasets(handle, paths)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def write_weights_h5(stage: Checkpoint, file: Path) -> None:
    """Write a ``.weights.h5`` whose datasets are called as the tensors are, one after the other.

    Raises:
        UserError: If the names are no paths of such a file, as ``model.load_weights`` wants them.
    """
    import h5py

    odd = [name for name in stage.specs() if "/vars/" not in f"/{name}"]
    if odd:
        raise UserError(
            "the names are none of a .weights.h5",
            place=str(file),
            expected="layers/dense/vars/0 and its like",
            got=odd[0],
            hint="write safetensors, or map to the names of such a file",
        )
    with h5py.File(file, "w") as handle:
        for name in stage.specs():
            handle[name] = stage.read(name)
