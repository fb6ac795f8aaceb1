"""The verbs ``reduce`` and ``bench``; ``check`` and ``eval`` have modules of their own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from parity.accuracy_cli import EVAL
from parity.check_cli import CHECK, artifact_options
from zoo.verb import Verb

if TYPE_CHECKING:
    from parity.bench import BenchResult

__all__ = ["BENCH", "CHECK", "EVAL", "REDUCE"]

# -- reduce --------------------------------------------------------------------------------------------------------


def _configure_reduce(parser: argparse.ArgumentParser) -> None:
    artifact_options(parser)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="where the wrong layer goes")
    parser.add_argument("--seed", type=int, default=1, help="seed of the inputs")


def _run_reduce(args: argparse.Namespace) -> int:
    from parity.reduce import TEST, reduce
    from zoo.artifact import open_artifact
    from zoo.console import emit, emit_json, progress

    artifact = open_artifact(args.artifact, unsealed=args.unsealed)
    with progress() as bar:
        task = bar.add_task("reduce", total=None)
        found = reduce(
            artifact,
            args.out,
            seed=args.seed,
            progress=lambda step: bar.update(task, description=f"reduce: {step}", advance=1),
        )
    if args.json:
        emit_json(found)
        return 0
    emit(f"{found.node} ({found.source}; {', '.join(filter(None, [found.module, found.line]))})")
    emit(f"{len(found.ops)} of {found.of_nodes} operators: {' '.join(found.ops)}; {found.bytes / 1024:.0f} KiB")
    emit(f"{found.ratio:.3g} times as far from the truth as the original (limit {found.limit:g})")
    for mistake in found.mistakes:
        emit(f"it looks like {mistake.mistake}: right with {mistake.correction} ({mistake.after:.3g})")
    emit(f"run it: pytest {args.out / TEST}")
    return 0


# -- bench ---------------------------------------------------------------------------------------------------------


def _configure_bench(parser: argparse.ArgumentParser) -> None:
    artifact_options(parser)
    parser.add_argument("--on", action="append", metavar="EXECUTOR", help="executor or CHIP[:PRECISION]; repeatable")
    parser.add_argument("--original", action="store_true", help="time the original too, interleaved")
    parser.add_argument("--batch", type=int, default=1, help="size of a symbolic batch (default: 1)")
    parser.add_argument("--rounds", type=int, default=30, help="timed rounds (default: 30)")
    parser.add_argument("--threads", type=int, default=0, help="threads of every side (default: all cores)")


def _run_bench(args: argparse.Namespace) -> int:
    from parity.bench import bench
    from zoo.artifact import open_artifact
    from zoo.console import emit_json, progress

    artifact = open_artifact(args.artifact, unsealed=args.unsealed)
    with progress() as bar:
        task = bar.add_task("bench", total=args.rounds)
        result = bench(
            artifact,
            on=args.on or ["onnxruntime"],
            original=args.original,
            batch=args.batch,
            rounds=args.rounds,
            threads=args.threads or None,
            save=not args.unsealed,
            progress=lambda done: bar.update(task, completed=done),
        )
    if args.json:
        emit_json(result)
    else:
        _show_bench(result)
    return 0 if all(row.error is None for row in result.rows) else 1


def _show_bench(result: BenchResult) -> None:
    from rich.table import Table

    from zoo.console import show_table

    table = Table(title=f"measured here, batch {result.batch}, {result.machine['cpu']}")
    for heading in ("side", "route", "threads", "p50 ms", "p90 ms", "p99 ms", "samples/s", "peak MiB", "load s"):
        table.add_column(heading, justify="left" if heading in ("side", "route") else "right")
    for row in result.rows:
        if row.error is not None:
            table.add_row(row.side, row.route, str(row.threads), row.error)
            continue
        table.add_row(
            row.side, row.route, str(row.threads), f"{row.p50_ms:.2f}", f"{row.p90_ms:.2f}", f"{row.p99_ms:.2f}",
            f"{row.throughput:.1f}", f"{row.peak_rss_bytes / 2**20:.0f}", f"{row.load_s:.2f}",
        )  # fmt: skip
    show_table(table)


BENCH = Verb("bench", "time original and port, interleaved", _configure_bench, _run_bench)
REDUCE = Verb(
    "reduce", "write the first wrong layer of a port as an artifact with a test", _configure_reduce, _run_reduce
)
