"""The graphs of the published models, once ported: where they are, and which measurements belong to each."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import onnx_ir as ir

from zoo.ascend.published.mapping import Mapped, covering, mapped
from zoo.ascend.published.table import CHIPS, Row, usable
from zoo.errors import UserError

GRAPH, INDEX = "model.onnx", "index.json"
COMMAND = "python -m tests.benchmarks.published_graphs -o {}"


@dataclasses.dataclass(frozen=True)
class Measured:
    """A usable row of the table and the model that it is a measurement of."""

    entry: Mapped
    row: Row


def measured(chip: str) -> list[Measured]:
    """Return the usable rows of a chip (``ascend310p3``) whose model is mapped, in the table's order."""
    found = ((covering(row), row) for row in usable(chip))
    return [Measured(entry, row) for entry, row in found if entry is not None]


def load_graph(directory: Path, key: str) -> ir.Model:
    """Return the graph of an entry; its weights are external data that is not there.

    Raises:
        UserError: If it has not been ported.
    """
    file = directory / key / GRAPH
    if not file.is_file():
        hint = COMMAND.format(directory)
        raise UserError("the graph has not been ported", place=str(file), expected=GRAPH, got="no file", hint=hint)
    return ir.load(str(file))


def ported(directory: Path) -> list[Mapped]:
    """Return the entries whose graph is there."""
    return [entry for entry in mapped() if (directory / entry.key / GRAPH).is_file()]


def write_index(directory: Path) -> Path:
    """Write ``index.json``: for every graph that is there its source, its inputs and what was measured of it."""
    rows: dict[str, list[tuple[str, int | None, float | None]]] = {}
    for chip in filter(None, CHIPS.values()):
        for item in measured(chip):
            rows.setdefault(item.entry.key, []).append((chip, item.row.batch, item.row.samples_per_s))
    index = {
        entry.key: {
            "source": entry.source,
            "family": entry.family,
            "agreement": entry.agreement,
            "inputs": {spec.name: list(spec.shape) for spec in entry.inputs},
            "rows": rows.get(entry.key, []),
        }
        for entry in ported(directory)
    }
    partial = directory / f"{INDEX}.partial"
    partial.write_text(json.dumps(index, indent=1), encoding="utf-8")
    os.replace(partial, directory / INDEX)
    return directory / INDEX
