"""The verb ``port``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.verb import Verb

if TYPE_CHECKING:
    from porters.foreign import ForeignNaming


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="SOURCE", help="torchvision:NAME, timm:NAME, transformers:DIR, keras:NAME ..."
    )
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="DIR", help="where the artifact goes")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=SHAPE:DTYPE",
        help="an input, e.g. x=batch,3,224,224:float32",
    )
    parser.add_argument(
        "--dynamic",
        action="append",
        default=[],
        metavar="NAME=MIN..MAX",
        help="range of a symbolic dimension, e.g. batch=1..64",
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="a checkpoint for the architecture")
    parser.add_argument(
        "--map", metavar="MAP", help="the map by which --weights fits: a file, or a name of `zooport map list`"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=N", help="a parameter of the map")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights where there is no checkpoint")
    parser.add_argument(
        "--no-fold", action="store_true", help="leave batch norms and transposed matrices as upstream has them"
    )
    parser.add_argument(
        "--twice", action="store_true", help="port again with larger examples and report sizes that were baked in"
    )
    parser.add_argument("--graph-only", action="store_true", help="write the graph without its weights")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _run(args: argparse.Namespace) -> int:
    from porters.porting import port_to
    from porters.source import SourceOptions
    from zoo.console import emit, emit_json, progress
    from zoo.inputs import parse_input

    options = SourceOptions(
        [parse_input(text) for text in args.input],
        args.weights,
        args.seed,
        graph_only=args.graph_only,
        naming=_naming(args),
    )
    dynamic = dict(_parse_range(text) for text in args.dynamic) or None
    with progress() as bar:
        task = bar.add_task(f"port {args.source}", total=6)

        def advance(stage: str) -> None:
            bar.update(task, description=f"{args.source}: {stage}", advance=1)

        result = port_to(
            args.source,
            args.out,
            options,
            dynamic=dynamic,
            fold_weights=not args.no_fold,
            twice=args.twice,
            progress=advance,
        )
    if args.json:
        emit_json(result)
        return 0
    seconds = result.seconds
    emit(f"{result.source} -> {result.artifact}")
    emit(
        f"  {result.nodes} nodes, opset {result.opset}; export {seconds['export']:.1f} s, "
        f"translate {seconds['translate']:.2f} s, weights {seconds['weights']:.1f} s, total {seconds['total']:.1f} s"
    )
    if result.fallback:
        emit(f"  fallback to torch.onnx: {result.fallback}")
    for note in result.notes:
        emit(f"  note: {note}")
    emit(f"  next: zooport check {result.artifact}")
    return 0


def _naming(args: argparse.Namespace) -> ForeignNaming | None:
    from porters.foreign import ForeignNaming
    from weight_maps.cli import parse_parameters
    from zoo.errors import UserError

    if args.map is None:
        return None
    if args.weights is None:
        raise UserError("a map carries a checkpoint over", place="--map", expected="--weights FILE", got="none")
    return ForeignNaming(args.map, parse_parameters(args.set))


def _parse_range(text: str) -> tuple[str, tuple[int, int | None]]:
    from zoo.errors import UserError

    name, equals, bounds = text.partition("=")
    low, dots, high = bounds.partition("..")
    name = name.rpartition(".")[2]
    if not (name and equals and low.isdigit()) or (dots and high and not high.isdigit()):
        raise UserError(f"--dynamic {text!r} cannot be read", expected="NAME=MIN..MAX such as batch=1..64", got=text)
    upper = int(high) if high else (None if dots else int(low))
    if upper is not None and upper < int(low):
        raise UserError(f"--dynamic {text!r} ends before it begins", expected="MIN <= MAX", got=text)
    return name, (int(low), upper)


PORT = Verb("port", "translate a model and its weights into an artifact", _configure, _run)
