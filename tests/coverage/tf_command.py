"""The command of the TensorFlow coverage runs: goes over named groups of samples, keeps rows, prints their page."""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from porters.tensorflow import runtime
from tests.coverage.tf_judge import Row

Group = TypeVar("Group")
# What of a row makes the command fail.
MATTERS = ("wrong", "broken")


def run(
    description: str | None,
    groups: Callable[[], Mapping[str, Group]],
    judge: Callable[[str, Group], Row],
    page: Callable[[Mapping[str, Row]], str],
) -> int:
    """Read the command line and do what it says; a run that is stopped goes on where it was.

    Args:
        description: The documentation of the command.
        groups: Returns what there is to judge, by name.
        judge: Returns the row of a name.
        page: Returns the page of all rows.
    """
    options = _options(description)
    runtime.keras()
    rows = read(options.out)
    if options.table:
        sys.stdout.write(page(rows))
        return 0
    _go_over(options, groups(), judge, rows)
    return 1 if any(row.status in MATTERS for row in rows.values()) else 0


def _options(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--only", default="*", help="names, as a shell pattern; several with commas")
    parser.add_argument("--again", action="store_true", help="judge the chosen names anew")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this long")
    parser.add_argument("--table", action="store_true", help="print the page only")
    return parser.parse_args()


def _go_over(
    options: argparse.Namespace,
    groups: Mapping[str, Group],
    judge: Callable[[str, Group], Row],
    rows: dict[str, Row],
) -> None:
    ends = time.monotonic() + options.minutes * 60
    patterns = options.only.split(",")
    for name, group in sorted(groups.items()):
        if time.monotonic() > ends:
            break
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns) or (name in rows and not options.again):
            continue
        started = time.monotonic()
        rows[name] = judge(name, group)
        with options.out.open("a") as file:
            file.write(json.dumps(asdict(rows[name])) + "\n")
        took = time.monotonic() - started
        sys.stderr.write(f"{name:40} {rows[name].status:12} {took:5.1f} s  {rows[name].reason[:300]}\n")


def read(file: Path) -> dict[str, Row]:
    """Return the rows of a file by name, the last one where there are several."""
    if not file.exists():
        return {}
    rows = [Row(**json.loads(line)) for line in file.read_text().splitlines()]
    return {row.op: row for row in rows}
