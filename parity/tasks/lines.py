"""Text data of one sample a line: columns of a TSV or a CSV, with or without a heading."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from zoo.errors import UserError

Parsed = TypeVar("Parsed")


def rows(file: Path, parse: Callable[[list[str]], Parsed], expected: str) -> Iterator[tuple[int, list[str], Parsed]]:
    """Yield (line number, columns, what ``parse`` made of them) of a TSV, or of a CSV where the name ends so.

    Lines that begin with ``#`` are comments; a first line that cannot be parsed is the heading.

    Raises:
        UserError: If the file does not exist, or naming the line that cannot be parsed.
    """
    if not file.is_file():
        raise UserError("the file does not exist", place=str(file), expected=f"{expected}, by line")
    with file.open(newline="", encoding="utf-8") as stream:
        for number, columns in _columns(stream, file.suffix == ".csv"):
            try:
                parsed = parse(columns)
            except (IndexError, ValueError) as error:
                if number == 1:
                    continue
                raise UserError(
                    "the line cannot be read",
                    place=f"{file}:{number}",
                    expected=expected,
                    got=" ".join(columns)[:80],
                ) from error
            yield number, columns, parsed


def _columns(stream: Iterator[str], comma: bool) -> Iterator[tuple[int, list[str]]]:
    if comma:
        reader = csv.reader(stream)
        yield from ((reader.line_num, row) for row in reader if row)
        return
    for number, line in enumerate(stream, 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.rstrip("\r\n").split("\t")
