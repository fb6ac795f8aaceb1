"""The verbs ``check``, ``reduce`` and ``bench``; ``eval`` has a module of its own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from parity.accuracy_cli import EVAL
from zoo.verb import Verb

if TYPE_CHECKING:
    from parity.bench import BenchResult
    from parity.language import LanguageResult
    from parity.layers.result import LayerResult
    from parity.verdict import ParityResult
    from zoo.artifact import Artifact

__all__ = ["BENCH", "CHECK", "EVAL", "REDUCE"]

# Layers that the table shows; parity.json has all.
WORST_LAYERS = 10


def _artifact_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", type=Path, metavar="DIR", help="an artifact that `zooport port` wrote")
    parser.add_argument("--unsealed", action="store_true", help="use the artifact although its seal is broken")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


# -- check ---------------------------------------------------------------------------------------------------------


def _configure_check(parser: argparse.ArgumentParser) -> None:
    _artifact_options(parser)
    parser.add_argument(
        "--from", dest="saved", action="store_true", help="judge the saved result once more, without running anything"
    )
    parser.add_argument(
        "--budget", type=float, default=0, metavar="N", help="limit of the ratio (default: the card's, else 3)"
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="why a looser budget is right; goes into the card")
    parser.add_argument(
        "--on", default="onnxruntime", metavar="EXECUTOR", help="executor or chip (default: onnxruntime)"
    )
    parser.add_argument(
        "--precision", metavar="MODE", help="on a chip: ATC's precision mode, such as force_fp16 (default: cube_fp16)"
    )
    parser.add_argument(
        "--keep", action="append", default=[], metavar="PATTERN", help="on a chip: node or module that stays in float32"
    )
    parser.add_argument(
        "--cases", type=int, default=0, metavar="N", help="ordinary inputs (default: what a verdict needs)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the inputs")
    parser.add_argument(
        "--layers", action="store_true", help="compare layer by layer; weights too large for memory stay on disk"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the verdict as JUnit XML too")


def _run_check(args: argparse.Namespace) -> int:
    from zoo.artifact import open_artifact
    from zoo.console import emit_json

    artifact = open_artifact(args.artifact, unsealed=args.unsealed)
    result = _rejudged(artifact, args) if args.saved else _checked(artifact, args)
    if args.junit:
        from parity.junit import write_junit

        write_junit({str(artifact.card()["name"]): result}, args.junit)
    if args.json:
        emit_json(result)
    else:
        _show_check(result)
    return 0 if result.holds else 1


def _checked(artifact: Artifact, args: argparse.Namespace) -> ParityResult:
    from parity import ratchet
    from parity.harness import check, precision_of
    from zoo.console import progress, say

    limits = (
        ratchet.ask(artifact, precision_of(args.on, args.precision), args.budget, args.reason) if args.budget else None
    )
    with progress() as bar:
        task = bar.add_task("check", total=None)
        result = check(
            artifact,
            on=args.on,
            cases=args.cases,
            seed=args.seed,
            limits=limits,
            layers=args.layers,
            mode=args.precision,
            keep=args.keep,
            save=not args.unsealed,
            progress=lambda step: bar.update(task, description=f"check: {step}", advance=1),
        )
    if limits is not None and not args.unsealed:
        step = ratchet.loosen(artifact, result, args.budget, args.reason)
        if step is not None:
            say(f"the card's budget is {step.ratio:g} now (before {step.was:g}, measured {step.measured:.3g})")
    return result


def _rejudged(artifact: Artifact, args: argparse.Namespace) -> ParityResult:
    from parity import ratchet
    from parity.harness import precision_of, result_name
    from parity.tolerance import LIMITS
    from zoo.errors import UserError

    record = artifact.result(result_name(args.on, args.precision))
    if record is None:
        raise UserError(
            "there is no saved result to judge",
            place=str(artifact.path),
            expected=f"{result_name(args.on, args.precision)}.json",
            hint=f"zooport check {artifact.path}",
        )
    precision = precision_of(args.on, args.precision)
    own = ratchet.limits_of(artifact, precision)
    return ratchet.rejudge(record, ratchet.scaled(LIMITS[precision], args.budget) if args.budget else own)


def _show_check(result: ParityResult) -> None:
    from rich.table import Table

    from zoo.console import emit, show_table

    table = Table(title=f"{result.executor}, truth: {result.truth}, {result.cases} inputs and {result.probes} probes")
    for heading in ("output", "shape", "max abs", "rel L2", "SQNR dB", "ratio / limit", "max ratio / limit", "verdict"):
        table.add_column(heading, justify="left" if heading in ("output", "verdict") else "right")
    for output in result.outputs:
        budget = output.budget
        ratio = f"{budget.ratio:.3f} / {budget.limit:g}" if budget else "exact"
        largest = f"{budget.max_abs_ratio:.3f} / {budget.max_abs_limit:g}" if budget else "exact"
        table.add_row(
            output.name, str(output.shape), f"{output.max_abs:.3g}", f"{output.rel_l2:.3g}", f"{output.sqnr_db:.1f}",
            ratio, largest, output.verdict,
        )  # fmt: skip
    show_table(table)
    for spoken in result.language:
        emit(_said(spoken))
    if result.layers:
        _show_layers(result)
    if result.operators:
        _show_operators(result)
    for note in result.notes:
        emit(f"note: {note}")
    emit(f"{result.verdict}: {result.diagnosis or 'the port is as close to the truth as the original'}")


def _said(spoken: LanguageResult) -> str:
    text = (
        f"{spoken.output} ({spoken.run}), {spoken.positions} positions: the same token first at {spoken.top1:.2%}, "
        f"{spoken.top5:.2%} of the first five, KL divergence {spoken.kl:.2g} nats (the original from its truth "
        f"{spoken.kl_noise:.2g})"
    )
    made = spoken.generation
    if made is None:
        return text
    if made.near_tie is None:
        return f"{text}; {made.tokens} tokens generated greedily are the same"
    why = "a near-tie" if made.near_tie else "beyond rounding"
    return f"{text}; generated greedily, {made.tokens} tokens are the same, then another one ({why})"


def _gravity(layer: LayerResult) -> tuple[bool, float, float]:
    """Order layers by what they do to the outputs; those that were not looked at come by their own error, last."""
    known = layer.effect == layer.effect
    return layer.verdict == "pass", -layer.effect if known else 0.0, -layer.single


def _show_layers(result: ParityResult) -> None:
    from rich.table import Table

    from zoo.console import emit, show_table

    worst = sorted(result.layers, key=_gravity)[:WORST_LAYERS]
    table = Table(title=f"the {len(worst)} of {len(result.layers)} layers with the most error of their own")
    for heading in (
        "layer",
        "module",
        "operators",
        "inherited",
        "injected",
        "amplified",
        "own ratio / limit",
        "moves the outputs by",
        "verdict",
    ):
        table.add_column(heading, justify="left" if heading in ("layer", "module", "operators", "verdict") else "right")
    for layer in worst:
        table.add_row(
            layer.node, layer.module, layer.op, f"{layer.inherited:.2g}", f"{layer.injected:.2g}",
            f"{layer.amplified:.2g}", f"{layer.single:.3g} / {layer.limit:g}",
            "" if layer.effect != layer.effect else f"{layer.effect:.2g}", layer.verdict,
        )  # fmt: skip
    show_table(table)
    emit(f"peak of resident memory: {result.peak_rss_bytes / 2**30:.2f} GiB, frameworks included")


def _show_operators(result: ParityResult) -> None:
    from rich.table import Table

    from zoo.console import show_table

    table = Table(title=f"what single operators lose in {result.precision}, on the values they get there")
    for heading in ("node", "operator", "module", "line", "in", "lost", "overflows"):
        table.add_column(heading, justify="right" if heading in ("lost", "overflows") else "left")
    for item in result.operators:
        table.add_row(
            item.node, item.op, item.module, item.line, item.precision, f"{item.loss:.2g}", str(item.overflows or ""),
        )  # fmt: skip
    show_table(table)


# -- reduce --------------------------------------------------------------------------------------------------------


def _configure_reduce(parser: argparse.ArgumentParser) -> None:
    _artifact_options(parser)
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
    _artifact_options(parser)
    parser.add_argument("--on", action="append", metavar="EXECUTOR", help="executor or chip; may be repeated")
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


CHECK = Verb("check", "check an artifact against its untouched original", _configure_check, _run_check)
BENCH = Verb("bench", "time original and port, interleaved", _configure_bench, _run_bench)
REDUCE = Verb(
    "reduce", "write the first wrong layer of a port as an artifact with a test", _configure_reduce, _run_reduce
)
