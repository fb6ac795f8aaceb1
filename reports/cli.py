"""The verb ``zooport report``: options and output; all work is in ``reports.rendering`` and ``reports.diff``."""

from __future__ import annotations

import argparse
from pathlib import Path

from reports.language import LANGUAGES
from zoo.errors import UserError
from zoo.verb import Verb

_FORMS = ("html", "markdown", "json", "csv", "junit")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifacts", metavar="DIR", nargs="*", type=Path, help="artifact or sweep directory")
    parser.add_argument("-o", "--out", metavar="OUT", type=Path, help="directory of the report")
    parser.add_argument(
        "--format",
        metavar="LIST",
        default=",".join(_FORMS),
        help=f"which forms to write, separated by commas (default: {','.join(_FORMS)})",
    )
    parser.add_argument("--lang", choices=LANGUAGES, default="en", help="language of pages and Markdown (default: en)")
    parser.add_argument("--chip", metavar="CHIP", help="whose speed the index shows (default: the most compiled for)")
    parser.add_argument("--unsealed", action="store_true", help="take artifacts whose seal is broken")
    parser.add_argument("--json", action="store_true", help="print one JSON object with the written paths")
    diff = parser.add_argument_group("comparison, for continuous integration")
    diff.add_argument(
        "--diff",
        nargs=2,
        type=Path,
        metavar=("OLD", "NEW"),
        help="artifacts, folders of artifacts, or reports; exit 1 when a gate breaks",
    )
    diff.add_argument(
        "--gate",
        action="append",
        metavar="NAME[=LIMIT]",
        help="parity, accuracy[=POINTS], speed[=PERCENT], graph[=PERCENT] or none; repeatable (default: all four)",
    )


def _run(args: argparse.Namespace) -> int:
    if args.diff:
        from reports.diff_cli import run_diff

        return run_diff(args)
    if args.gate:
        raise UserError("a gate needs two sides to compare", expected="--diff OLD NEW", got="--gate alone")
    if not args.artifacts or not args.out:
        raise UserError(
            "nothing to report on" if not args.artifacts else "no place for the report",
            expected="zooport report DIR... -o OUT, or zooport report --diff OLD NEW",
        )
    return _report(args)


def _report(args: argparse.Namespace) -> int:
    from reports.rendering import FILES, render
    from zoo.console import emit, emit_json, say

    forms = _forms(args.format)
    count = len(args.artifacts)
    say(f"reading {count} director{'y' if count == 1 else 'ies'}")
    first = render(args.artifacts, args.out, unsealed=args.unsealed, forms=forms, lang=args.lang, chip=args.chip)
    if args.json:
        emit_json({form: str(args.out / FILES[form]) for form in FILES if form in forms})
    else:
        emit(str(first))
    return 0


def _forms(text: str) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [part for part in found if part not in _FORMS]
    if unknown or not found:
        raise UserError(
            "a report is not written in that form",
            place="--format",
            expected=", ".join(_FORMS),
            got=", ".join(unknown) or "nothing",
        )
    return found


REPORT = Verb(
    name="report",
    summary="write what artifacts and sweeps have recorded as a site, Markdown, JSON, CSV and JUnit; compare two",
    configure=_configure,
    run=_run,
)
