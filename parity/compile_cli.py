"""The verb ``compile`` with its search: which operators stay in float32 so that the port still is the model."""

from __future__ import annotations

import argparse
from typing import Any

from zoo.ascend import cli
from zoo.errors import UserError
from zoo.verb import Verb


def _configure(parser: argparse.ArgumentParser) -> None:
    cli.configure(parser)
    group = parser.add_argument_group("search for the operators to keep in float32")
    group.add_argument("--search-precision", action="store_true", help="find the smallest set, and compile with it")
    group.add_argument("--budget", type=float, metavar="E", help="largest relative error of an output (default: by u)")
    group.add_argument("--max-accuracy-loss", type=float, metavar="L", help="instead: most that the accuracy may fall")
    group.add_argument("--data", metavar="PATH", help="labelled samples for --max-accuracy-loss")
    group.add_argument("--task", metavar="TASK", help="what they measure (default: the card's task)")


def _run(args: argparse.Namespace) -> int:
    if not args.search_precision:
        return cli.run(args)
    from dataclasses import asdict
    from glob import escape

    from zoo.artifact import open_artifact

    artifact = open_artifact(args.artifact, unsealed=args.unsealed)
    found = _search(args, artifact)
    args.keep = [*args.keep, *(escape(kept.node) for kept in found.keep)]
    code = cli.run(args, extra={"search": asdict(found)})
    if not args.json:
        _show(found)
    return code if found.holds else 1


def _search(args: argparse.Namespace, artifact: Any) -> Any:
    """Run the search that the options ask for."""
    from parity.precision.score import scorer
    from parity.precision.search import search_with_progress

    if (args.max_accuracy_loss is None) != (args.data is None):
        raise UserError(
            "a loss of accuracy is measured on labelled samples",
            expected="both --max-accuracy-loss and --data, or neither",
            got="one of them",
        )
    score = scorer(artifact, args.data, args.task) if args.data else None
    return search_with_progress(
        artifact,
        args.target,
        mode=args.precision,
        budget=args.budget,
        max_accuracy_loss=args.max_accuracy_loss,
        score=score,
    )


def _show(found: Any) -> None:
    """Print what is kept and what that brings; the errors were measured on the emulator."""
    from zoo.console import emit

    emit(
        f"search: {found.metric} {found.before:.3g} with nothing kept, {found.after:.3g} with {len(found.keep)} of "
        f"{found.operators} operators in float32 (limit {found.limit:.3g}; emulated, {found.runs} runs)"
    )
    for kept in found.keep:
        emit(f"  keep {kept.op} {kept.node}  {kept.module} {kept.line}".rstrip())
    if not found.holds:
        emit("no set of operators brings it within the limit")


COMPILE = Verb("compile", "compile for a chip: speed, memory and obstacles, modelled", _configure, _run)
