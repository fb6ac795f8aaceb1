"""The one flat buffer in which cuDNN keeps a recurrent network, to matrices and biases of each layer and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weight_maps.rules.rule import MisfitError, only

if TYPE_CHECKING:
    import numpy as np

    from weight_maps.tensors import Spec

# cuDNN's gates in the order of linLayerID (cudnnGetRNNWeightParams): LSTM input, forget, new, output; GRU reset,
# update, new. PyTorch's weight_ih_l0 stacks them in the same order.
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class _Layout:
    """Where the parts of the buffer are: all matrices layer by layer (input, then state), then all biases so."""

    cell: str
    inputs: int
    units: int
    layers: int

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the parts' shapes in the buffer's order."""
        gates = GATES.get(self.cell)
        if gates is None:
            raise MisfitError(f"cudnn knows the cells {', '.join(GATES)}, got {self.cell!r}")
        rows = gates * self.units
        matrices: list[tuple[int, ...]] = []
        for layer in range(self.layers):
            matrices += [(rows, self.units if layer else self.inputs), (rows, self.units)]
        return matrices + [(rows,)] * (2 * self.layers)

    def order(self) -> list[int]:
        """Return the parts' places in the order in which rules name them: w_ih, w_hh, b_ih, b_hh of each layer."""
        half = 2 * self.layers
        return [
            place
            for layer in range(self.layers)
            for place in (2 * layer, 2 * layer + 1, half + 2 * layer, half + 2 * layer + 1)
        ]


@dataclass(frozen=True)
class CudnnUnpack(_Layout):
    """Takes the buffer of a one-directional network apart into w_ih, w_hh, b_ih, b_hh of each layer.

    Attributes:
        cell: ``lstm``, ``gru`` or ``rnn``.
        inputs: Width of the network's input.
        units: Width of the state.
        layers: How many layers.
    """

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the specs of matrices (gates times units, width) and biases (gates times units)."""
        spec = only(given, "cudnn_unpack")
        shapes = self.shapes()
        needed = sum(math.prod(shape) for shape in shapes)
        if spec.shape != (needed,):
            raise MisfitError(f"cudnn_unpack takes a buffer of {needed} elements, the tensor is {spec}")
        return [replace(spec, shape=shapes[place]) for place in self.order()]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return matrices and biases."""
        parts, end = [], 0
        for shape in self.shapes():
            begin, end = end, end + math.prod(shape)
            parts.append(arrays[0][begin:end].reshape(shape))
        return [parts[place] for place in self.order()]

    def inverse(self, given: Sequence[Spec] | None) -> CudnnPack:
        """Return the rule that makes the buffer again."""
        return CudnnPack(self.cell, self.inputs, self.units, self.layers)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost."""
        return True


@dataclass(frozen=True)
class CudnnPack(_Layout):
    """Makes cuDNN's buffer of w_ih, w_hh, b_ih, b_hh of each layer; attributes as in :class:`CudnnUnpack`."""

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the spec of the buffer."""
        shapes = self.shapes()
        wanted = [shapes[place] for place in self.order()]
        if [spec.shape for spec in given] != wanted:
            got = ", ".join(map(str, given[:4]))
            raise MisfitError(f"cudnn_pack takes tensors of {[list(shape) for shape in wanted]}, got {got}")
        return [replace(given[0], shape=(sum(math.prod(shape) for shape in shapes),))]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the buffer."""
        import numpy as np

        places = self.order()
        return [np.concatenate([arrays[places.index(place)].reshape(-1) for place in range(len(places))])]

    def inverse(self, given: Sequence[Spec] | None) -> CudnnUnpack:
        """Return the rule that takes the buffer apart."""
        return CudnnUnpack(self.cell, self.inputs, self.units, self.layers)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost."""
        return True
