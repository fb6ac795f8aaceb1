"""The verb ``zooport report``: options and output; all work is in ``reports.rendering``."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.verb import Verb


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifacts", metavar="DIR", nargs="+", type=Path, help="artifact directory")
    parser.add_argument("-o", "--out", metavar="OUT", type=Path, required=True, help="directory of the report")
    parser.add_argument("--unsealed", action="store_true", help="take artifacts whose seal is broken")
    parser.add_argument("--json", action="store_true", help="print one JSON object with the written paths")


def _run(args: argparse.Namespace) -> int:
    from reports.rendering import FACTS, HTML, MARKDOWN, render
    from zoo.console import emit, emit_json, say

    count = len(args.artifacts)
    say(f"reading {count} artifact{'' if count == 1 else 's'}")
    index = render(args.artifacts, args.out, unsealed=args.unsealed)
    if args.json:
        names = {"html": HTML, "markdown": MARKDOWN, "json": FACTS}
        emit_json({key: str(index.with_name(name)) for key, name in names.items()})
    else:
        emit(str(index))
    return 0


REPORT = Verb(
    name="report",
    summary="write what artifacts have recorded as a web page, Markdown and JSON",
    configure=_configure,
    run=_run,
)
