"""The verb ``emit``: a port as files for other tools, judged against the original once more as they are."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.verb import Verb

if TYPE_CHECKING:
    from parity.verdict import ParityResult
    from zoo.artifact import Artifact

RECORD = "emit.json"


def _configure(parser: argparse.ArgumentParser) -> None:
    from zoo.graph import OPSET

    parser.add_argument("form", choices=["onnx"], help="onnx: one ONNX file of any opset from 11 on")
    parser.add_argument("artifact", type=Path, metavar="DIR", help="an artifact that `zooport port` wrote")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="the folder to write")
    parser.add_argument("--opset", type=int, default=OPSET, metavar="N", help=f"opset of the file (default: {OPSET})")
    parser.add_argument(
        "--size", action="append", default=[], metavar="NAME=N", help="fix a symbolic dimension, such as batch=1"
    )
    parser.add_argument("--no-check", action="store_true", help="do not judge the file against the original")
    parser.add_argument("--unsealed", action="store_true", help="use the artifact although its seal is broken")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _run(args: argparse.Namespace) -> int:
    from zoo.artifact import open_artifact
    from zoo.ascend.cli import sizes
    from zoo.console import emit, emit_json
    from zoo.emit.folder import new_folder
    from zoo.emit.onnx_file import write_onnx
    from zoo.record import dumps

    artifact = open_artifact(args.artifact, unsealed=args.unsealed)
    with new_folder(args.out, RECORD) as folder:
        model = write_onnx(artifact, folder, args.opset, sizes(args.size))
        result = None if args.no_check else judged(artifact, folder, sizes(args.size))
        record = {
            "form": args.form, "opset": args.opset, "nodes": sum(1 for _ in model.graph.all_nodes()),
            "files": sorted(item.name for item in folder.iterdir()),
            "verdict": "not checked" if result is None else result.verdict,
            "diagnosis": "" if result is None else result.diagnosis,
        }  # fmt: skip
        (folder / RECORD).write_text(dumps(record), encoding="utf-8")
    if args.json:
        emit_json(record)
    else:
        emit(f"{args.artifact} -> {args.out}: opset {record['opset']}, {record['nodes']} nodes")
        emit(f"{record['verdict']}{': ' + str(record['diagnosis']) if record['diagnosis'] else ''}")
    return 0 if result is None or result.holds else 1


def judged(artifact: Artifact, folder: Path, sizes: dict[str, int]) -> ParityResult:
    """Return the verdict on the emitted file: it stands in for the port's graph, and is run as any port is."""
    from parity.harness import check
    from zoo.artifact import CARD, GOLDEN, Artifact
    from zoo.card import dump_card

    card: dict[str, Any] = {**artifact.card()}
    card["inputs"] = [{**entry, "shape": [sizes.get(d, d) for d in entry["shape"]]} for entry in card["inputs"]]
    with tempfile.TemporaryDirectory(prefix="zooport-emit-") as name:
        copy = Path(name)
        for file in folder.iterdir():
            (copy / file.name).symlink_to(file.resolve())
        (copy / CARD).write_text(dump_card(card), encoding="utf-8")
        if (artifact.path / GOLDEN).is_file():
            shutil.copy(artifact.path / GOLDEN, copy / GOLDEN)
        return check(Artifact(copy), save=False)


EMIT = Verb("emit", "write a port as files for other tools, and judge them", _configure, _run)
