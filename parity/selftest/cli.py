"""The verb ``selftest``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.verb import Verb

if TYPE_CHECKING:
    from parity.selftest.selftest import SelftestResult


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--subject",
        action="append",
        metavar="PATTERN",
        help="models to put faults into, such as 'timm:*' (default: all)",
    )
    parser.add_argument("--fault", action="append", metavar="PATTERN", help="kinds of fault (default: all)")
    parser.add_argument(
        "--sites", type=int, default=1, metavar="N", help="places of each fault in a model (default: 1)"
    )
    parser.add_argument("--sound", type=int, default=200, metavar="N", help="ports without a fault (default: 200)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="seed of the places, the weights and the inputs"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="write the whole table as JSON, step by step: an interrupted selftest goes on from there",
    )
    parser.add_argument("--fresh", action="store_true", help="begin anew, whatever the file holds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _run(args: argparse.Namespace) -> int:
    from parity.selftest.selftest import SelftestOptions, selftest
    from zoo.console import emit_json, progress, say

    options = SelftestOptions(args.subject or ("*",), args.fault or ("*",), args.sites, args.sound, args.seed)
    try:
        with progress() as bar:
            task = bar.add_task("selftest", total=None)

            def heard(what: str, done: int, total: int) -> None:
                bar.update(task, description=f"selftest: {what}", completed=done, total=total)

            result = selftest(options, heard, args.out, fresh=args.fresh)
    except KeyboardInterrupt:
        if args.out:
            say(f"what is done is in {args.out}; the same command goes on from there")
        raise
    if args.json:
        emit_json(result.to_dict())
    else:
        _show(result)
    return 0 if result.holds else 1


def _show(result: SelftestResult) -> None:
    from rich.table import Table

    from zoo.console import emit, show_table

    table = Table(title="faults by kind: caught of those that change the function")
    for column in ("fault", "made", "change the function", "check", "right layer", *result.baselines):
        table.add_column(column, justify="left" if column == "fault" else "right")
    for kind in sorted({trial.fault for trial in result.table}):
        trials = [trial for trial in result.table if trial.fault == kind]
        real = [trial for trial in trials if trial.effective]
        table.add_row(
            kind, str(len(trials)), str(len(real)), str(sum(trial.caught for trial in real)),
            f"{sum(trial.located is True for trial in real)} of {sum(trial.located is not None for trial in real)}",
            *(str(sum(trial.baselines.get(name, True) for trial in real)) for name in result.baselines),
        )  # fmt: skip
    show_table(table)
    emit(f"{result.kinds} kinds of fault, {result.faults} that change the function beyond the noise")
    emit(f"caught {result.caught}; of {result.locatable} looked at layer by layer {result.located} in the right one")
    emit(f"in {result.diagnosed} of these it says what kind of mistake it is")
    emit(f"{result.sound_ports} sound ports, {result.false_alarms} false alarms")
    for name, counts in result.baselines.items():
        emit(f"{name}: caught {counts['caught']}, false alarms {counts['false_alarms']}")
    for trial in result.table:
        if trial.effective and (not trial.caught or trial.located is False):
            where = f"named {trial.named or 'no layer'}" if trial.caught else "NOT CAUGHT"
            emit(f"{trial.subject} {trial.fault} at {trial.site}: {where} (effect {trial.effect:.3g} x noise)")
    for port in result.sound:
        if not port.holds:
            emit(f"{port.subject}, {port.variant}: false alarm: {port.detail}")


SELFTEST = Verb("selftest", "put known porting faults into sound ports and see that each is caught", _configure, _run)
