"""Names of tensors as patterns: literal text and placeholders that match in one naming and are filled in in the other.

{name}        one segment of a name (no ``.`` and no ``/``)
{path*}       any text, several segments too
{i:int}       an integer;  {i:0..11} one of a range;  {i+1} the integer as this side spells it, one higher
{p:q|k|v}     one of these words
{p@table}     a word of a table: the source side spells it as the table's key, the target side as its value
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from zoo.errors import UserError

Captures = Mapping[str, str]
Tables = Mapping[str, Mapping[str, str]]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_BODY = re.compile(
    r"(?P<name>[a-z_][a-z0-9_]*)"
    r"(?:(?P<deep>\*)|(?P<offset>[+-]\d+)|@(?P<table>\w+)|:(?P<low>\d+)\.\.(?P<high>\d+)|:(?P<kind>int)"
    r"|:(?P<words>[^{}]+))?"
)
_INTEGER = "(?:0|[1-9][0-9]*)"


@dataclass(frozen=True)
class Placeholder:
    """One placeholder as one side spells it.

    Attributes:
        name: What it is called; the same name is the same text on both sides.
        deep: Whether it may span segments.
        integer: Whether it is an integer.
        offset: How much higher this side counts.
        low: Least integer, as the side without offset counts.
        high: Largest integer, ``None`` where there is no largest.
        words: Canonical word -> what this side spells; empty where any segment will do.
    """

    name: str
    deep: bool = False
    integer: bool = False
    offset: int = 0
    low: int = 0
    high: int | None = None
    words: Mapping[str, str] = field(default_factory=dict)

    def expression(self) -> str:
        """Return the regular expression of what this side spells."""
        if self.words:
            return "|".join(re.escape(word) for word in sorted(self.words.values(), key=len, reverse=True))
        return _INTEGER if self.integer else ".+" if self.deep else r"[^./]+"

    def read(self, text: str) -> str | None:
        """Return the canonical value of what stands in a name, ``None`` where it is out of range."""
        if self.words:
            return next(key for key, word in self.words.items() if word == text)
        if not self.integer:
            return text
        value = int(text) - self.offset
        return str(value) if value >= self.low and (self.high is None or value <= self.high) else None

    def spell(self, value: str) -> str:
        """Return what this side writes for a canonical value."""
        if self.words:
            return self.words[value]
        return str(int(value) + self.offset) if self.integer else value


@dataclass(frozen=True)
class Pattern:
    """A name with placeholders, compiled for one side of a rule.

    Attributes:
        text: As it stands in the map.
        parts: Literal text and placeholders in turn.
    """

    text: str
    parts: tuple[str | Placeholder, ...]
    _compiled: re.Pattern[str] = field(repr=False, compare=False)

    @property
    def variables(self) -> frozenset[str]:
        """The names of its placeholders."""
        return frozenset(part.name for part in self.parts if isinstance(part, Placeholder))

    def match(self, name: str) -> dict[str, str] | None:
        """Return the canonical value of each placeholder, ``None`` where the name does not match."""
        found = self._compiled.fullmatch(name)
        if found is None:
            return None
        values: dict[str, str] = {}
        for index, part in enumerate(part for part in self.parts if isinstance(part, Placeholder)):
            value = part.read(found.group(f"g{index}"))
            if value is None or values.setdefault(part.name, value) != value:
                return None
        return values

    def fill(self, values: Captures) -> str:
        """Return the name for canonical values of all placeholders."""
        return "".join(part if isinstance(part, str) else part.spell(values[part.name]) for part in self.parts)

    def matching(self, names: Iterable[str], values: Captures) -> list[str]:
        """Return the names that match with these values of the placeholders that ``values`` knows."""
        found = ((name, self.match(name)) for name in names)
        return [name for name, got in found if got is not None and all(values.get(k, v) == v for k, v in got.items())]


def compile_patterns(
    sources: Iterable[str], targets: Iterable[str], tables: Tables, place: str
) -> tuple[list[Pattern], list[Pattern]]:
    """Compile both sides of a rule; what one side declares of a placeholder holds on both.

    Args:
        sources: Patterns of the source naming.
        targets: Patterns of the target naming.
        tables: The map's tables.
        place: Where the rule stands, for errors.

    Raises:
        UserError: If a placeholder cannot be read, or its table is unknown or not one to one.
    """
    split = [[_split(text, side, tables, place) for text in texts] for side, texts in ((0, sources), (1, targets))]
    declared: dict[str, Placeholder] = {}
    for parts in (parts for texts in split for _, parts in texts):
        for part in parts:
            if isinstance(part, Placeholder):
                declared[part.name] = _merged(declared.get(part.name), part)
    compiled = [[_pattern(text, parts, declared) for text, parts in texts] for texts in split]
    return compiled[0], compiled[1]


def _split(text: str, side: int, tables: Tables, place: str) -> tuple[str, list[str | Placeholder]]:
    parts: list[str | Placeholder] = []
    end = 0
    for found in _PLACEHOLDER.finditer(text):
        parts += [text[end : found.start()]] if found.start() > end else []
        parts.append(_placeholder(found.group(1), side, tables, f"{place}: {text}"))
        end = found.end()
    return text, [*parts, text[end:]] if end < len(text) else parts


def _placeholder(body: str, side: int, tables: Tables, place: str) -> Placeholder:
    found = _BODY.fullmatch(body)
    if found is None:
        raise UserError(
            f"the placeholder {{{body}}} cannot be read",
            place=place,
            expected="{name}, {path*}, {i:int}, {i:0..11}, {i+1}, {p:q|k|v} or {p@table}",
            got=f"{{{body}}}",
        )
    name = found["name"]
    if found["table"]:
        return Placeholder(name, words=_table(found["table"], side, tables, place))
    if found["low"]:
        return Placeholder(name, integer=True, low=int(found["low"]), high=int(found["high"]))
    if found["words"]:
        return Placeholder(name, words={word: word for word in found["words"].split("|")})
    counted = found["kind"] is not None or found["offset"] is not None
    return Placeholder(name, deep=found["deep"] is not None, integer=counted, offset=int(found["offset"] or 0))


def _table(name: str, side: int, tables: Tables, place: str) -> Mapping[str, str]:
    table = tables.get(name)
    if table is None:
        raise UserError(
            f"there is no table {name!r}", place=place, expected=", ".join(tables) or "a table in `tables:`", got=name
        )
    if len(set(table.values())) < len(table):
        raise UserError(f"the table {name!r} is not one to one", place=place, got=dict(table))
    return {key: value if side else key for key, value in table.items()}


def _merged(known: Placeholder | None, new: Placeholder) -> Placeholder:
    """Return what is declared of a placeholder by two of its spellings; offset and words stay each side's own."""
    if known is None:
        return new
    tighter = known if known.high is not None else new
    return replace(
        known,
        deep=known.deep or new.deep,
        integer=known.integer or new.integer,
        low=tighter.low,
        high=tighter.high,
        words=known.words or new.words,
    )


def _pattern(text: str, parts: list[str | Placeholder], declared: Mapping[str, Placeholder]) -> Pattern:
    whole: list[str | Placeholder] = []
    expression = ""
    count = 0
    for part in parts:
        if isinstance(part, str):
            whole.append(part)
            expression += re.escape(part)
            continue
        known = declared[part.name]
        merged = replace(known, offset=part.offset, words=part.words or known.words)
        whole.append(merged)
        expression += f"(?P<g{count}>{merged.expression()})"
        count += 1
    return Pattern(text, tuple(whole), re.compile(expression))
