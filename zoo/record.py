"""Results are data: frozen dataclasses to JSON, floats kept exactly, files written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any


def to_json(value: Any) -> Any:
    """Return ``value`` (dataclasses, mappings, sequences, NumPy scalars) as plain JSON values.

    Infinities and NaN become the strings ``"inf"``, ``"-inf"`` and ``"nan"``: JSON has no spelling for them,
    and a reader that only knows standard JSON must still be able to parse the file.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((to_json(item) for item in value), key=str)  # the order of a set changes from run to run
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        return to_json(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Path):
        return str(value)
    return value


def dumps(value: Any) -> str:
    """Return ``value`` as JSON text with a fixed layout, so that equal results are equal files."""
    return json.dumps(to_json(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path`` and rename: readers see the old file or the new one, never half."""
    beside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
