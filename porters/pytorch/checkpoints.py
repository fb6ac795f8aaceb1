"""Reads state dicts safely: safetensors and torch files, never by unpickling."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from porters.foreign import ForeignNaming, in_own_naming
from zoo.artifact import sha256
from zoo.errors import UserError, nearest

if TYPE_CHECKING:
    import torch

    from weight_maps.tensors import Spec

# Prefixes that wrappers put in front of every name.
_WRAPPERS = ("module.", "_orig_mod.")


def read_state_dict(file: Path, own: Collection[str] = ()) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return the tensors of a checkpoint and notes on what was stripped from their names.

    Args:
        file: ``.safetensors``, ``.safetensors.index.json`` (shards), or a torch file (``.pt``, ``.pth``, ``.bin``).
        own: The model's names; where one of these is met nothing more is stripped.

    Raises:
        UserError: If it cannot be read, or needs more than tensors to be unpickled (the global is named).
    """
    if not file.is_file():
        raise UserError("the checkpoint does not exist", place=str(file), hint="check --weights")
    tensors = _read(file)
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(tensors.get(key), dict):
            tensors = tensors[key]
    plain = {name: item for name, item in tensors.items() if hasattr(item, "dtype") and hasattr(item, "shape")}
    if not plain:
        raise UserError(
            "the checkpoint holds no tensors by name",
            place=str(file),
            expected="a state dict",
            got=", ".join(map(str, list(tensors)[:6])) or "nothing",
        )
    return _strip(plain, own)


def _read(file: Path) -> dict[str, Any]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            loaded: dict[str, Any] = dict(load_file(file))
            return loaded
        if file.name.endswith(".index.json"):
            shards = sorted(set(json.loads(file.read_text())["weight_map"].values()))
            merged: dict[str, Any] = {}
            for shard in shards:
                merged.update(_read(file.parent / Path(shard).name))
            return merged
        result = torch.load(file, map_location="cpu", weights_only=True, mmap=_is_zip(file))
    except UserError:
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise _unreadable(file, error) from error
    except Exception as error:
        raise (_refused if "GLOBAL" in str(error) else _unreadable)(file, error) from error
    if not isinstance(result, Mapping):
        raise UserError("the checkpoint is no state dict", place=str(file), got=type(result).__name__)
    return dict(result)


def _is_zip(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _unreadable(file: Path, error: Exception) -> UserError:
    return UserError(
        "the checkpoint cannot be read",
        place=str(file),
        expected="safetensors, or what torch.save wrote",
        got=(str(error).strip().splitlines() or [type(error).__name__])[0][:300],
        hint="is the file whole? compare its size and hash with the publisher's",
    )


def _refused(file: Path, error: Exception) -> UserError:
    text = str(error)
    wanted = text.partition("GLOBAL ")[2].partition(" ")[0]
    return UserError(
        "the checkpoint is a pickle that wants more than tensors; zooport never unpickles what it is handed",
        place=str(file),
        expected="tensors only (what torch.load(weights_only=True) accepts)",
        got=wanted,
        hint="save the state dict as safetensors where you trust the file: safetensors.torch.save_file(...)",
    )


def _strip(tensors: dict[str, Any], own: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    notes = []
    # Wrappers can be wrapped: a compiled model in DataParallel, or the other way round.
    while prefix := _wrapper(tensors, own):
        tensors = {name.removeprefix(prefix): item for name, item in tensors.items()}
        notes.append(f"prefix {prefix!r} stripped from every name of the checkpoint")
    return tensors, notes


def _wrapper(names: Collection[str], own: Collection[str]) -> str:
    if not set(own).isdisjoint(names):
        return ""
    return next((prefix for prefix in _WRAPPERS if all(name.startswith(prefix) for name in names)), "")


def load_into(model: torch.nn.Module, file: Path, naming: ForeignNaming | None = None) -> list[str]:
    """Load a checkpoint into ``model``; every name and shape must fit.

    Args:
        model: The model.
        file: The checkpoint.
        naming: How its names become the model's, where they are others.

    Raises:
        UserError: With the names that are missing, unexpected or of another shape.
    """
    own = model.state_dict()
    with in_own_naming(file, naming, _specs(own) if naming else {}) as named:
        tensors, notes = read_state_dict(named, own)
    # Saved by old torch versions without the counter that inference never reads.
    missing = [name for name in own if name not in tensors and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in tensors if name not in own]
    wrong = [n for n in own if n in tensors and tuple(own[n].shape) != tuple(tensors[n].shape)]
    if missing or unexpected or wrong:
        near = [f"{name} (near {nearest(name, missing, 1)})" if missing else name for name in unexpected]
        raise UserError(
            "the checkpoint does not fit the model",
            place=str(file),
            expected=_joined(_listed("missing", missing), _shapes(wrong, own)) or "no more names than the model's",
            got=_joined(_listed("unexpected", near), _shapes(wrong, tensors)) or "nothing in their place",
            hint="give the checkpoint of this architecture",
        )
    model.load_state_dict(tensors, strict=False)
    return notes


def _specs(own: Mapping[str, Any]) -> dict[str, Spec]:
    from weight_maps.formats.pytorch import TorchTensors

    return dict(TorchTensors(own).specs())


def _listed(label: str, names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{label}: {', '.join(names[:most])}{more}" if names else ""


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _shapes(names: list[str], tensors: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {list(tensors[name].shape)}" for name in names[:8])


def describe(file: Path) -> dict[str, str]:
    """Return the card's entry for a checkpoint file."""
    return {"name": file.name, "sha256": sha256(file)}
