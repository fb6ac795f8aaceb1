"""Which public package builds which published model, on which input, and which rows of the table it covers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from zoo.ascend.published.table import Row
from zoo.errors import UserError
from zoo.inputs import InputSpec, parse_input

SOURCES = Path(__file__).parent / "sources.yaml"
AGREEMENTS = ("exact", "same architecture", "nearest variant")


@dataclasses.dataclass(frozen=True)
class Published:
    """Which rows of the table an entry means.

    Attributes:
        model: The published name.
        input: What the row's input has in it.
        source: What the row's source has in it.
    """

    model: str
    input: str = ""
    source: str = ""

    def means(self, row: Row) -> bool:
        """Say whether ``row`` is one of them."""
        return row.model == self.model and self.input in row.input and self.source in row.source


@dataclasses.dataclass(frozen=True)
class Mapped:
    """A model that a public package builds and that was published; see the head of ``sources.yaml``.

    Attributes:
        key: Name of the entry, and of the folder of its graph.
        source: The source reference, as ``zooport port`` takes it.
        config: The configuration of an architecture of transformers, or more arguments of another package's builder.
        family: Models of one family stay in one fold of a validation.
        inputs: The signature; ``batch`` is the only symbolic dimension.
        published: What it is in the table.
        agreement: One of :data:`AGREEMENTS`.
        note: What is uncertain.
    """

    key: str
    source: str
    config: Mapping[str, Any] | None
    family: str
    inputs: tuple[InputSpec, ...]
    published: tuple[Published, ...]
    agreement: str
    note: str

    def covers(self, row: Row) -> bool:
        """Say whether ``row`` is a measurement of this model, at a batch that its graph can have."""
        return (self.batched or row.batch == 1) and any(item.means(row) for item in self.published)

    @property
    def batched(self) -> bool:
        """Whether the batch is symbolic; the graph of a model whose batch is not is that of one sample."""
        return any("batch" in spec.shape for spec in self.inputs)


@functools.cache
def mapped(path: Path = SOURCES) -> tuple[Mapped, ...]:
    """Return every entry of ``sources.yaml``, in its order.

    Raises:
        UserError: If an entry cannot be read.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = tuple(_entry(key, entry) for key, entry in entries.items())
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise UserError("the map of published models cannot be read", place=str(path), got=repr(error)) from error
    return found


def covering(row: Row, path: Path = SOURCES) -> Mapped | None:
    """Return the entry that a row is a measurement of, or None."""
    return next((entry for entry in mapped(path) if entry.covers(row)), None)


def _entry(key: str, entry: Mapping[str, Any]) -> Mapped:
    if entry["agreement"] not in AGREEMENTS:
        raise UserError("the agreement is unknown", place=key, expected=", ".join(AGREEMENTS), got=entry["agreement"])
    published: Sequence[str | Mapping[str, str]] = entry["published"]
    return Mapped(
        key=key,
        source=entry["source"],
        config=entry.get("config"),
        family=entry["family"],
        inputs=tuple(parse_input(text) for text in entry["inputs"]),
        published=tuple(Published(item) if isinstance(item, str) else Published(**item) for item in published),
        agreement=entry["agreement"],
        note=entry.get("note", ""),
    )
