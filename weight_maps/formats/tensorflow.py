"""TensorFlow checkpoints, version 1 and 2: read one variable at a time by TensorFlow's own reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weight_maps.tensors import Spec

if TYPE_CHECKING:
    import numpy as np


class TensorFlowCheckpoint:
    """The variables of a checkpoint."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        dtypes = reader.get_variable_to_dtype_map()
        # Strings and saved objects (a v2 checkpoint's graph of objects) are no tensors of numbers.
        self._specs = {
            name: Spec(tuple(int(size) for size in shape), dtypes[name].name)
            for name, shape in sorted(reader.get_variable_to_shape_map().items())
            if dtypes[name].name != "string"
        }

    def specs(self) -> Mapping[str, Spec]:
        """Return the specs of the variables."""
        return self._specs

    def read(self, name: str) -> np.ndarray:
        """Return one variable."""
        import numpy as np

        array: np.ndarray = np.asarray(self._reader.get_tensor(name))
        return array


def read_tensorflow(prefix: Path) -> TensorFlowCheckpoint:
    """Open a checkpoint by its prefix (what stands before ``.index``) or, version 1, its file."""
    import tensorflow as tf

    return TensorFlowCheckpoint(tf.train.load_checkpoint(str(prefix)))
