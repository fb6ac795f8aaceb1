"""Reads a sweep's table into facts and says what it comes to: coverage by family, and failures by their cause."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from parity.sweeps.row import Row
from parity.sweeps.table import TABLE
from reports import read
from reports.facts import Sweep, SweepRow
from zoo.errors import UserError, missing_extra

# What differs between two failures of one cause: addresses, quoted names, paths, numbers.
_VARIES = (
    (re.compile(r"0x[0-9a-fA-F]+"), "N"),
    (re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`"), "'…'"),
    (re.compile(r"\S*/\S*"), "…"),
    (re.compile(r"\d+(?:\.\d+)?"), "N"),
)
_LONGEST_CAUSE = 200
EXAMPLES = 5


@dataclass(frozen=True)
class Family:
    """How the models of one family fared; ``counted`` are those whose original runs."""

    name: str
    models: int
    counted: int
    passed: int

    @property
    def share(self) -> float | None:
        """Passed of counted, ``None`` where no original runs."""
        return self.passed / self.counted if self.counted else None


@dataclass(frozen=True)
class Cluster:
    """Failures of one cause: the stage, what their messages have in common, and the models."""

    stage: str
    cause: str
    rows: tuple[SweepRow, ...]


def is_sweep(path: Path) -> bool:
    """Whether a directory holds the table of a sweep."""
    return (path / TABLE).is_file()


def read_sweep(path: Path) -> Sweep:
    """Return the sweep in the directory ``path``.

    Raises:
        UserError: If its table cannot be read, or pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise missing_extra("pyarrow", "sweep", "a sweep's table") from error
    try:
        found = pq.read_table(path / TABLE).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UserError("the sweep's table cannot be read", place=str(path / TABLE), got=str(error)) from error
    return Sweep(
        path.resolve().name, tuple(_row(item) for item in sorted(found, key=lambda row: str(row.get("source"))))
    )


def _row(data: dict[str, object]) -> SweepRow:
    return SweepRow(
        source=read.text(data.get("source")) or "unnamed",
        family=read.text(data.get("family")),
        status=read.text(data.get("status")),
        stage=read.text(data.get("stage")),
        verdict=read.text(data.get("verdict")),
        ratio=read.number(data.get("ratio")),
        seconds=read.number(data.get("seconds")),
        peak_rss_bytes=read.number(data.get("peak_rss_bytes")),
        nodes=read.integer(data.get("nodes")),
        fallback=read.text(data.get("fallback")),
        error=read.text(data.get("error")),
    )


def passes(row: SweepRow) -> bool:
    """Whether the model was ported and its verdict is ``pass``, by the sweep's own rule."""
    return _as_swept(row).passes


def counts(row: SweepRow) -> bool:
    """Whether the original runs at all, so that a failure is the port's, by the sweep's own rule."""
    return _as_swept(row).counts


def _as_swept(row: SweepRow) -> Row:
    return Row(row.source, row.family or "", row.status or "", row.stage or "", row.verdict or "")


def families(rows: Iterable[SweepRow]) -> list[Family]:
    """Return coverage by family: the least covered first, larger families before smaller ones."""
    grouped: dict[str, list[SweepRow]] = {}
    for row in rows:
        grouped.setdefault(row.family or "–", []).append(row)
    found = [Family(name, len(of), sum(map(counts, of)), sum(map(passes, of))) for name, of in grouped.items()]
    return sorted(found, key=lambda family: (family.share is None, family.share, -family.models, family.name))


def clusters(rows: Iterable[SweepRow]) -> list[Cluster]:
    """Return what does not pass, by stage and by what its messages have in common, the largest first."""
    grouped: dict[tuple[str, str], list[SweepRow]] = {}
    for row in rows:
        if not passes(row):
            grouped.setdefault((row.stage or "–", cause(row.error or row.verdict or "–")), []).append(row)
    found = [Cluster(stage, words, tuple(of)) for (stage, words), of in grouped.items()]
    return sorted(found, key=lambda cluster: (-len(cluster.rows), cluster.stage, cluster.cause))


def cause(error: str) -> str:
    """Return an error's first line without what differs from model to model."""
    first = next((line.strip() for line in error.splitlines() if line.strip()), "–")
    for pattern, instead in _VARIES:
        first = pattern.sub(instead, first)
    return first if len(first) <= _LONGEST_CAUSE else f"{first[: _LONGEST_CAUSE - 1]}…"


def tally(rows: Sequence[SweepRow]) -> dict[str, int]:
    """Return how many models pass, do not, and have an original that does not run."""
    passed, counted = sum(map(passes, rows)), sum(map(counts, rows))
    return {"pass": passed, "fail": counted - passed, "none": len(rows) - counted}
