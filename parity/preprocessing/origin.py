"""Where an original keeps its own preprocessing: by the source reference in the card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.catalog import find_card, package_file


def origin(card: Mapping[str, Any]) -> tuple[str, str]:
    """Return (scheme, rest) of the card's source, a catalogue's card followed to what it is made of.

    ``transformers`` is followed only to a directory: an architecture without one has no preprocessing of its own.
    """
    scheme, _, rest = str(card["source"].get("reference") or "").partition(":")
    if scheme == "card":
        name, _, framework = rest.partition("@")
        sources = find_card(name)["sources"]
        source = sources[framework or next(iter(sources))]
        if "transformers" in source:
            return "transformers", str(package_file(source["transformers"]))
        scheme, _, rest = str(source.get("reference", "")).partition(":")
    if scheme == "transformers" and not Path(rest).expanduser().is_dir():
        return "", ""
    return scheme, rest


def directory(card: Mapping[str, Any]) -> Path | None:
    """Return the directory of a transformers model, ``None`` where the source is none."""
    scheme, rest = origin(card)
    return Path(rest).expanduser() if scheme == "transformers" else None
