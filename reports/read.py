"""Reads values out of parsed JSON and YAML without trusting their shape: what is absent or odd becomes ``None``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def mapping(value: Any) -> Mapping[str, Any]:
    """Return ``value`` if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def records(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list; anything else counts as no record."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def sequence(value: Any) -> list[Any]:
    """Return a list, or none of it where it is something else."""
    return value if isinstance(value, list) else []


def number(value: Any) -> float | None:
    """Return a number, with ``"inf"``, ``"-inf"`` and ``"nan"`` read as the floats they stand for."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    return _NON_FINITE.get(value) if isinstance(value, str) else None


def integer(value: Any) -> int | None:
    """Return a whole number, ``None`` for anything else."""
    as_number = number(value)
    if as_number is None or not math.isfinite(as_number) or as_number != int(as_number):
        return None
    return int(as_number)


def text(value: Any) -> str | None:
    """Return a scalar as text; ``None``, empty text and containers count as absent."""
    if value is None or isinstance(value, (Mapping, list)):
        return None
    return str(value) or None


def plain(value: Any) -> str | None:
    """Return any value as one line for a person: mappings as ``key: value``, lists joined by commas."""
    if isinstance(value, Mapping):
        parts = [f"{key}: {plain(item)}" for key, item in value.items() if plain(item) is not None]
        return "; ".join(parts) or None
    if isinstance(value, list):
        return ", ".join(plain(item) or "–" for item in value) or None
    return text(value)


def texts(value: Any) -> tuple[str, ...]:
    """Return a list (or one scalar) as lines of text."""
    items = value if isinstance(value, list) else [value]
    return tuple(line for item in items if (line := plain(item)) is not None)


def pairs(value: Any) -> dict[str, str]:
    """Return a mapping as text to text, in its own order."""
    return {str(key): line for key, item in mapping(value).items() if (line := plain(item)) is not None}


def shape(value: Any) -> str | None:
    """Return a shape as ``1 × 3 × 224 × 224``; a scalar's empty shape is ``scalar``."""
    if not isinstance(value, (list, tuple)):
        return text(value)
    return " × ".join(str(size) for size in value) or "scalar"


def interval(value: Any) -> tuple[float, float] | None:
    """Return ``[lo, hi]`` as a pair, ``None`` unless both ends are numbers."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    low, high = number(value[0]), number(value[1])
    return None if low is None or high is None else (low, high)
