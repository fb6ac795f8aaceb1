"""Sizes of memory in words."""

from __future__ import annotations

import re

from zoo.errors import UserError

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def parse_bytes(text: str) -> int:
    """Return what ``2GiB``, ``1.5 GB``, ``512MiB`` or a number of bytes says, in bytes.

    Raises:
        UserError: If it says no size above 0.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    size = int(float(match[1]) * _UNITS[match[2]]) if match and match[2] in _UNITS else 0
    if size <= 0:
        raise UserError("this is no size of memory", expected="a number with a unit, such as 2GiB or 512MiB", got=text)
    return size


def said(size: float) -> str:
    """Return a size in bytes as text in MiB or GiB."""
    return f"{size / 2**30:.2f} GiB" if size >= 1 << 30 else f"{size / 2**20:.0f} MiB"
