"""PyTorch checkpoints: mapped from the file, never unpickled beyond tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weight_maps.checkpoint import unreadable
from weight_maps.tensors import Spec
from zoo.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from weight_maps.checkpoint import Checkpoint
    from weight_maps.formats.safetensors import SafetensorsFile

# Entries under which training scripts keep the state dict.
_WRAPPERS = ("state_dict", "model", "model_state_dict")


class TorchTensors:
    """The tensors of a state dict, as arrays when they are asked for."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self._tensors = tensors
        self._specs = {
            name: Spec(tuple(int(size) for size in tensor.shape), str(tensor.dtype).removeprefix("torch."))
            for name, tensor in tensors.items()
        }

    def specs(self) -> Mapping[str, Spec]:
        """Return the specs of the state dict."""
        return self._specs

    def read(self, name: str) -> np.ndarray:
        """Return one tensor as an array of its own."""
        return to_numpy(self._tensors[name])


def to_numpy(tensor: Any) -> np.ndarray:
    """Return a torch tensor's elements; dtypes that NumPy lacks keep their bits (ml_dtypes)."""
    import torch

    from weight_maps.tensors import EXTENDED, numpy_dtype

    name = str(tensor.dtype).removeprefix("torch.")
    plain = tensor.detach().cpu().contiguous()
    if name not in EXTENDED:
        array: np.ndarray = plain.numpy().copy()
        return array
    bits = plain.view(torch.int16 if name == "bfloat16" else torch.uint8).numpy().copy()
    same: np.ndarray = bits.view(numpy_dtype(name))
    return same


def from_numpy(array: np.ndarray) -> Any:
    """Return an array as a torch tensor of the same bits."""
    import numpy as np
    import torch

    from weight_maps.tensors import EXTENDED

    name = str(array.dtype)
    whole = np.require(array, requirements=["C", "W"])
    if name not in EXTENDED:
        return torch.from_numpy(whole)
    bits = torch.from_numpy(whole.view(np.int16 if name == "bfloat16" else np.uint8))
    return bits.view(getattr(torch, name))


def read_pytorch(file: Path) -> Checkpoint:
    """Open a file of ``torch.save``.

    Raises:
        UserError: If it needs more than tensors to be unpickled, or holds no state dict.
    """
    import torch

    with file.open("rb") as stream:
        zipped = stream.read(4) == b"PK\x03\x04"
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # torch raises anything here: the file is the user's
        if "GLOBAL" not in str(error) and "weights_only" not in str(error):
            raise unreadable(file, error) from error
        raise UserError(
            "the checkpoint is a pickle that wants more than tensors; zooport never unpickles what it is handed",
            place=str(file),
            expected="tensors only (what torch.load(weights_only=True) accepts)",
            got=str(error).partition("GLOBAL ")[2].partition(" ")[0] or None,
            hint="save the state dict as safetensors where you trust the file",
        ) from error
    for key in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    tensors = (
        {str(name): item for name, item in loaded.items() if isinstance(item, torch.Tensor)}
        if isinstance(loaded, Mapping)
        else {}
    )
    if not tensors:
        raise UserError("the checkpoint holds no tensors by name", place=str(file), expected="a state dict")
    return TorchTensors(tensors)


def write_pytorch(stage: SafetensorsFile, file: Path) -> None:
    """Write a state dict; its tensors are mapped from the stage, so that torch.save holds none of them."""
    import torch

    torch.save({name: from_numpy(stage.mapped(name)) for name in stage.specs()}, file)
