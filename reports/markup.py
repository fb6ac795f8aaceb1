"""The pieces of Markdown: escaped text, tables, commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*|\[\]~]|(?<![^\W_])_|_(?![^\W_]))")


def escape(value: str) -> str:
    """Return text that Markdown shows as it is: no HTML, no markup, one line."""
    one_line = " ".join(value.split())
    marked = _SPECIAL.sub(r"\\\1", one_line)
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def table(heads: Sequence[str], rows: Iterable[Sequence[str | None]], numbers: int = 0) -> list[str]:
    """Return a table whose last ``numbers`` columns are aligned to the right; cells are escaped."""
    left = len(heads) - numbers
    rule = [":--"] * left + ["--:"] * numbers
    body = [[escape(cell or "") for cell in row] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in ([escape(head) for head in heads], rule, *body)]


def code(command: str) -> str:
    """Return a command in as many backticks as it needs."""
    ticks = "`" * (max((len(run) for run in re.findall("`+", command)), default=0) + 1)
    pad = " " if len(ticks) > 1 else ""
    return f"{ticks}{pad}{' '.join(command.split())}{pad}{ticks}"


def fenced(commands: Sequence[str]) -> list[str]:
    """Return commands as a block of shell."""
    fence = "`" * max(3, max((len(run) + 1 for c in commands for run in re.findall("`+", c)), default=3))
    return [f"{fence}sh", *(" ".join(command.split()) for command in commands), fence]
