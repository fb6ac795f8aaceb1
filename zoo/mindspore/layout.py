"""Lays statements out as ruff and black do, so that what is written needs no formatter."""

from __future__ import annotations

WIDTH = 100
_OPEN, _CLOSE = "([{", ")]}"


def statement(text: str, indent: int) -> list[str]:
    """Return the lines of a statement: one where it fits, else broken at its last brackets."""
    margin = " " * indent
    if len(margin) + len(text) <= WIDTH:
        return [margin + text]
    begin = _last_bracket(text)
    if begin is None:
        return [margin + text]
    head, inside, tail = text[: begin + 1], text[begin + 1 : _matching(text, begin)], text[_matching(text, begin) :]
    if not inside:
        return [margin + text]
    comprehension = " for " in _top_level(inside)
    magic = inside.endswith(",")
    if len(margin) + 4 + len(inside) <= WIDTH and not magic:
        return [margin + head, f"{margin}    {inside}", margin + tail]
    lines = [margin + head]
    parts = _comprehension(inside) if comprehension else split(inside)
    for part in parts:
        broken = statement(part if comprehension else f"{part},", indent + 4)
        lines += broken
    return [*lines, margin + tail]


def split(text: str) -> list[str]:
    """Return the parts of ``text`` between commas that are in no brackets and no strings."""
    parts, depth, begin, quoted = [], 0, 0, False
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif char == "," and not depth:
            parts.append(text[begin:at].strip())
            begin = at + 1
    return [*parts, last] if (last := text[begin:].strip()) else parts


def _comprehension(text: str) -> list[str]:
    flat = _top_level(text)
    at = flat.index(" for ")
    return [text[:at], text[at + 1 :]]


def _top_level(text: str) -> str:
    """Return ``text`` with everything in brackets blanked out."""
    depth, flat = 0, ""
    for char in text:
        if char in _CLOSE:
            depth -= 1
        flat += " _"[depth > 0] if depth else char
        if char in _OPEN:
            depth += 1
    return flat


def _last_bracket(text: str) -> int | None:
    """Return where the bracket opens that the text's last one closes."""
    stripped = text.rstrip(":,")
    if not stripped or stripped[-1] not in _CLOSE:
        return None
    depth = 0
    for at in range(len(stripped) - 1, -1, -1):
        if stripped[at] in _CLOSE:
            depth += 1
        elif stripped[at] in _OPEN:
            depth -= 1
            if not depth:
                return at
    return None


def _matching(text: str, begin: int) -> int:
    depth = 0
    for at in range(begin, len(text)):
        if text[at] in _OPEN:
            depth += 1
        elif text[at] in _CLOSE:
            depth -= 1
            if not depth:
                return at
    return len(text)
