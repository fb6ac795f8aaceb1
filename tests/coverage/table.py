"""The Markdown tables of an operator coverage run: counts, counts by namespace, and the rest with its reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any


def markdown(rows: Iterable[Any]) -> str:
    """Return the tables for rows of ``tests.coverage.opinfo``."""
    rows = sorted(rows, key=lambda row: row.entry)
    total = Counter(row.status for row in rows)
    eligible = [row for row in rows if row.status != "no meaning"]
    share = total["right"] / max(len(eligible), 1)
    spaces = sorted({_space(row.entry) for row in rows})
    statuses = sorted(total, key=lambda status: -total[status])
    lines = [
        f"{len(rows)} entries, {len(eligible)} with a meaning to a graph, {total['right']} right ({share:.1%}).",
        "",
        "| namespace | " + " | ".join(statuses) + " |",
        "|---|" + "---|" * len(statuses),
    ]
    for space in [*spaces, "all"]:
        counts = Counter(row.status for row in rows if space in ("all", _space(row.entry)))
        lines.append(f"| {space} | " + " | ".join(str(counts[status]) for status in statuses) + " |")
    lines += ["", "| entry | status | samples | reason |", "|---|---|---|---|"]
    lines += [
        f"| `{row.entry}` | {row.status} | {_counts(row)} | {row.reason[:160].replace('|', '/')} |"
        for row in rows
        if row.status != "right"
    ]
    return "\n".join(lines) + "\n"


def _space(entry: str) -> str:
    parts = entry.split(".")
    return (
        parts[0]
        if parts[0] in ("linalg", "special", "fft", "masked", "signal")
        else ("nn.functional" if entry.startswith("nn.functional") else "torch")
    )


def _counts(row: Any) -> str:
    return ", ".join(f"{count} {status}" for status, count in row.counts.items())
