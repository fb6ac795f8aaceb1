"""The model card: what is written in ``card.yaml`` and what makes a legal one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import UserError

SCHEMA = 1
# key -> type, for the keys every card of an artifact must have.
REQUIRED: Mapping[str, type] = {
    "schema": int,
    "name": str,
    "task": str,
    "source": dict,
    "port": dict,
    "inputs": list,
    "outputs": list,
}


class _Dumper(yaml.SafeDumper):
    """Keeps the order of keys and writes short lists such as shapes on one line."""


def _represent_list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    flow = all(isinstance(item, (int, float, str, bool)) for item in items) and len(str(items)) < 90
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # PyYAML writes the line breaks of Unicode as they are and then reads them as spaces, unless they are escaped.
    style = '"' if any(mark in text for mark in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(tuple, lambda dumper, items: _represent_list(dumper, list(items)))


def dump_card(card: Mapping[str, Any]) -> str:
    """Return the card as YAML, keys in the order given; holds no time and no path, so equal ports are equal files."""
    return yaml.dump(dict(card), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def read_card(file: Path) -> dict[str, Any]:
    """Read and check a card.

    Raises:
        UserError: Naming the key that is missing or of the wrong type.
    """
    try:
        card = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError("the card cannot be read", place=str(file), got=str(error).splitlines()[0]) from error
    if not isinstance(card, dict):
        raise UserError(
            "the card is not a mapping",
            place=str(file),
            expected=", ".join(REQUIRED),
            got=type(card).__name__,
        )
    for key, kind in REQUIRED.items():
        if not isinstance(card.get(key), kind):
            raise UserError(
                f"the card's key {key!r} is missing or of the wrong type",
                place=str(file),
                expected=kind.__name__,
                got=repr(card.get(key))[:80],
            )
    if card["schema"] != SCHEMA:
        raise UserError("the card has another schema version", place=str(file), expected=SCHEMA, got=card["schema"])
    checked: dict[str, Any] = card
    return checked
