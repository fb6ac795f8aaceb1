"""What a card declares under ``postprocessing``: which output is what, and what the classes are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.errors import UserError


def declared(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the card's ``postprocessing``, empty where it declares none."""
    return card.get("postprocessing") or {}


def output(outputs: Mapping[str, np.ndarray], card: Mapping[str, Any], role: str, position: int) -> np.ndarray:
    """Return the output that plays ``role``.

    That is the one that ``postprocessing.outputs`` names; else the one of that name; else the one in ``position``.

    Raises:
        UserError: If there is no such output.
    """
    name = declared(card).get("outputs", {}).get(role, role)
    if name in outputs:
        return outputs[name]
    if name == role and position < len(outputs):
        return list(outputs.values())[position]
    raise UserError(
        f"there is no output for {role!r}",
        place="card.yaml: postprocessing.outputs",
        expected=", ".join(outputs),
        got=name,
    )


def index_of(label: str, names: Sequence[str], place: str) -> int:
    """Return the class that a label of the data means: an index, or one of ``names``.

    Raises:
        UserError: If it is neither.
    """
    if label in names:
        return list(names).index(label)
    if label.strip().isdigit():
        return int(label)
    raise UserError(
        "the label is no class of the model",
        place=place,
        expected=", ".join(map(str, names[:8])) or "a number, or names in card.yaml: postprocessing.labels",
        got=label,
    )


def labels_of(card: Mapping[str, Any]) -> list[str]:
    """Return the names of the classes in order, empty where the card declares none.

    ``postprocessing.labels`` is a list, or a mapping of indices to names as transformers' ``id2label``.
    """
    labels = declared(card).get("labels") or []
    if isinstance(labels, Mapping):
        top = max(int(index) for index in labels)
        named = {int(index): str(name) for index, name in labels.items()}
        return [named.get(index, "") for index in range(top + 1)]
    return [str(name) for name in labels]
