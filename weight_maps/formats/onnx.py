"""The initializers of an ONNX file, external data included."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weight_maps.tensors import Spec

if TYPE_CHECKING:
    import numpy as np


class OnnxInitializers:
    """The initializers of the main graph by name."""

    def __init__(self, tensors: Mapping[str, Any], directory: Path) -> None:
        import onnx

        self._tensors, self._directory = tensors, directory
        self._specs = {
            name: Spec(tuple(tensor.dims), str(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)))
            for name, tensor in tensors.items()
        }

    def specs(self) -> Mapping[str, Spec]:
        """Return the specs of the initializers."""
        return self._specs

    def read(self, name: str) -> np.ndarray:
        """Return one initializer; onnx refuses external data outside the file's own folder."""
        import numpy as np
        from onnx import numpy_helper

        array: np.ndarray = numpy_helper.to_array(self._tensors[name], str(self._directory))
        return np.array(array)


def read_onnx(file: Path) -> OnnxInitializers:
    """Open an ONNX file; external data is read when it is asked for."""
    import onnx

    model = onnx.load(str(file), load_external_data=False)
    return OnnxInitializers({tensor.name: tensor for tensor in model.graph.initializer}, file.parent)
