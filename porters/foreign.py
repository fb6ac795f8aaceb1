"""Loads a checkpoint of another naming into a model: the weight map is applied, proven, and its ledger kept."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weight_maps.tensors import Spec

LEDGER = "weight-map.json"


@dataclass(frozen=True)
class ForeignNaming:
    """How the names of ``--weights`` become the model's own.

    Attributes:
        map: A YAML file, or the name of a map that ships.
        parameters: Values of the map's parameters.
        ledger: What became of every tensor; filled in when the weights are loaded.
    """

    map: str
    parameters: Mapping[str, int] = field(default_factory=dict)
    ledger: dict[str, Any] = field(default_factory=dict, compare=False)


@contextlib.contextmanager
def in_own_naming(file: Path, naming: ForeignNaming | None, own: Mapping[str, Spec]) -> Iterator[Path]:
    """Yield the checkpoint under the model's own names: ``file`` itself, or what the map makes of it.

    Args:
        file: The checkpoint as it was given.
        naming: The map, ``None`` where the names are the model's own.
        own: Shape and dtype of every tensor of the model by name.

    Raises:
        UserError: If the map does not use every tensor of both sides exactly once.
    """
    if naming is None:
        yield file
        return
    from weight_maps.apply import apply_map
    from weight_maps.weight_map import find_map

    with tempfile.TemporaryDirectory(prefix="zooport-") as folder:
        out = Path(folder) / "own.safetensors"
        ledger = apply_map(find_map(naming.map, naming.parameters), file, out, own)
        naming.ledger.update(ledger.to_json())
        yield out


def entry(naming: ForeignNaming | None) -> dict[str, Any]:
    """Return what the card says of the map, nothing where there is none; the whole ledger is a file of its own."""
    if naming is None:
        return {}
    ledger = naming.ledger
    kept = {key: ledger[key] for key in ("map", "map_sha256", "parameters", "totals")}
    return {"map": {**kept, "identical_on_the_way_back": len(ledger["round_trip"]["identical"]), "ledger": LEDGER}}
