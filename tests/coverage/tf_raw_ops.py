"""Holds the TensorFlow porter against samples of every op of ``tf.raw_ops`` that has a meaning in inference.

    python -m tests.coverage.tf_raw_ops -o OUT.jsonl [--only PATTERN] [--again] [--minutes M]
    python -m tests.coverage.tf_raw_ops -o OUT.jsonl --table > docs/tensorflow-ops.md

An op is right only if every sample of it is. A run that is stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from porters.tensorflow import runtime
from tests.coverage.tf_judge import Row, judge_op
from tests.coverage.tf_samples.sample import load


def main() -> int:
    """Go over the ops."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--only", default="*", help="names, as a shell pattern; several with commas")
    parser.add_argument("--again", action="store_true", help="judge the chosen ops anew")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this long")
    parser.add_argument("--table", action="store_true", help="print the page only")
    options = parser.parse_args()
    runtime.keras()
    rows = read(options.out)
    if not options.table:
        _go_over(options, rows)
        return 1 if any(row.status in ("wrong", "broken") for row in rows.values()) else 0
    from tests.coverage.tf_table import page

    sys.stdout.write(page(rows))
    return 0


def _go_over(options: argparse.Namespace, rows: dict[str, Row]) -> None:
    ends = time.monotonic() + options.minutes * 60
    patterns = options.only.split(",")
    for name, samples in sorted(load().items()):
        if time.monotonic() > ends:
            break
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns) or (name in rows and not options.again):
            continue
        started = time.monotonic()
        rows[name] = judge_op(name, samples)
        with options.out.open("a") as file:
            file.write(json.dumps(asdict(rows[name])) + "\n")
        took = time.monotonic() - started
        sys.stderr.write(f"{name:40} {rows[name].status:12} {took:5.1f} s  {rows[name].reason[:250]}\n")


def read(file: Path) -> dict[str, Row]:
    """Return the rows of a file by op, the last one where there are several."""
    if not file.exists():
        return {}
    rows = [Row(**json.loads(line)) for line in file.read_text().splitlines()]
    return {row.op: row for row in rows}


if __name__ == "__main__":
    sys.exit(main())
