"""The untouched PyTorch original: run in its own precision, in float64, and with a cube unit's rounding."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from porters.porter import Precision, PrecisionUnavailableError
from porters.pytorch.precision import cube_mode, default_dtype, doubled, eager_control_flow, promoted_mode
from zoo.inputs import Feed, InputSpec

if TYPE_CHECKING:
    import torch


@dataclass
class TorchOriginal:
    """See ``porters.porter.Original``; ``model`` is in eval mode."""

    model: torch.nn.Module
    reference: str
    name: str
    task: str
    inputs: Sequence[InputSpec]
    outputs: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    framework: str = "pytorch"
    _double: Any = field(default=None, repr=False)

    def run(self, feed: Feed, precision: Precision = "own") -> dict[str, np.ndarray]:
        """Run on ``feed``; see the protocol."""
        import torch

        tensors = {name: to_tensor(array) for name, array in feed.items()}
        with torch.no_grad():
            if precision == "own":
                result = self.model(**tensors)
            elif precision == "float64":
                result = self._run_double(tensors)
            else:
                result = self._run_cube(tensors)
        return {name: to_numpy(tensor) for name, tensor in named_outputs(result).items()}

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the state dict; tied weights stand under each of their names."""
        return {name: to_numpy(tensor) for name, tensor in self.model.state_dict().items()}

    def _run_double(self, tensors: dict[str, Any]) -> Any:
        import torch

        if self._double is None:
            try:
                self._double = doubled(copy.deepcopy(self.model))
            except Exception as error:
                raise PrecisionUnavailableError(f"the model cannot be copied to float64: {error}") from error
        wide = {name: item.double() if item.is_floating_point() else item for name, item in tensors.items()}
        try:
            with default_dtype(torch.float64), eager_control_flow(), promoted_mode():
                return self._double(**wide)
        except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
            raise PrecisionUnavailableError(f"the model does not run in float64: {error}") from error

    def _run_cube(self, tensors: dict[str, Any]) -> Any:
        import torch

        backend = torch.nn.attention.SDPBackend.MATH
        with torch.nn.attention.sdpa_kernel(backend), eager_control_flow(), cube_mode():
            return self.model(**tensors)


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """Return a NumPy array as a tensor of the same dtype; bfloat16 by its bits."""
    import torch

    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.ascontiguousarray(array))


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as a NumPy array; bfloat16 by its bits, complex numbers as trailing pairs."""
    import torch

    plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    if plain.is_complex():
        plain = torch.view_as_real(plain)
    if plain.dtype == torch.bfloat16:
        import ml_dtypes

        bits: np.ndarray = plain.view(torch.int16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    array: np.ndarray = plain.numpy()
    return array


def named_outputs(result: Any) -> dict[str, torch.Tensor]:
    """Return every tensor of a model's result by name, in torch's own order.

    A single tensor is ``output``; entries of mappings and dataclasses keep their names; entries of sequences are
    numbered. Values that are no tensors are left out.
    """
    import torch
    from torch.utils import _pytree as pytree

    if isinstance(result, torch.Tensor):
        return {"output": result}
    leaves, _ = pytree.tree_flatten_with_path(result)
    named: dict[str, torch.Tensor] = {}
    for path, leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            named[_path_name(path)] = leaf
    return named


def _path_name(path: Sequence[Any]) -> str:
    parts = []
    for key in path:
        part = getattr(key, "key", getattr(key, "idx", getattr(key, "name", None)))
        parts.append(str(part))
    name = "_".join(parts)
    return name if not name[:1].isdigit() else f"output_{name}"
