"""The verb ``demo``: three models ported, checked, evaluated, timed and reported, as a user would do it by hand."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.verb import Verb

if TYPE_CHECKING:
    from zoo.artifact import Artifact

CHIP = "ascend310p3"
ROUNDS = 20


@dataclass(frozen=True)
class DemoModel:
    """One model of the demo; ``data`` names a package's labelled data, where there is any for it."""

    name: str
    source: str
    data: dict[str, str] | None = None


MODELS = (
    DemoModel(
        "efficientnet-lite0", "card:efficientnet-lite0", {"package": "foolbox", "file": "data", "pattern": "imagenet_*"}
    ),
    DemoModel("minilm-l6", "card:minilm-l6", {"package": "gensim", "file": "test/test_data/wordsim353.tsv"}),
    DemoModel("mobilenet-v2-keras", "keras:MobileNetV2"),
)


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("build/demo"), metavar="DIR", help="where it goes (default: build/demo)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _run(args: argparse.Namespace) -> int:
    from reports import render
    from zoo.console import emit, emit_json, progress

    started = time.perf_counter()
    rows: list[dict[str, Any]] = []
    stages = sum(6 if model.data else 5 for model in MODELS) + 1
    with progress() as bar:
        task = bar.add_task("demo", total=stages)

        def stage(words: str) -> None:
            bar.update(task, description=words, advance=1)

        for model in MODELS:
            rows.append(_one(model, args.out / model.name, stage))
        stage("report")
        page = render([args.out / model.name for model in MODELS], args.out / "report")
    seconds = time.perf_counter() - started
    if args.json:
        emit_json({"models": rows, "report": str(page), "seconds": seconds})
    else:
        _show(rows)
        emit(f"report: {page}   ({seconds:.0f} s)")
    return 0 if all(row["verdict"] == "pass" for row in rows) else 1


def _one(model: DemoModel, out: Path, stage: Callable[[str], None]) -> dict[str, Any]:
    from parity.bench import bench
    from parity.harness import check
    from porters.porting import port_to
    from porters.source import SourceOptions
    from zoo.artifact import open_artifact

    stage(f"{model.name}: port")
    ported = port_to(model.source, out, SourceOptions())
    artifact = open_artifact(out)
    stage(f"{model.name}: check against the original")
    parity = check(artifact)
    stage(f"{model.name}: check with the numerics of {CHIP}")
    emulated = check(artifact, on=CHIP)
    row: dict[str, Any] = {
        "name": model.name,
        "nodes": ported.nodes,
        "verdict": parity.verdict,
        "ratio": max((output.budget.ratio for output in parity.outputs if output.budget), default=0.0),
        "emulated_verdict": emulated.verdict,
    }
    if model.data:
        stage(f"{model.name}: accuracy on labelled samples")
        row["accuracy"] = _accuracy(artifact, model.data)
    stage(f"{model.name}: latency")
    timed = bench(artifact, on=["onnxruntime", CHIP], original=True, rounds=ROUNDS)
    row["latency"] = [
        {"side": item.side, "route": item.route, "p50_ms": item.p50_ms, "p99_ms": item.p99_ms, "error": item.error}
        for item in timed.rows
    ]
    stage(f"{model.name}: compile for {CHIP}")
    row["modelled"] = _modelled(artifact)
    return row


def _modelled(artifact: Artifact) -> dict[str, Any]:
    """Return what the cost model says of the chip: nothing in it was measured."""
    from zoo.ascend.compilation import compile_artifact

    found = compile_artifact(artifact, CHIP)
    artifact.add_result(f"ascend-{CHIP.removeprefix('ascend')}", found)
    batches = [
        {"batch": row.batch, "latency_ms": row.latency_ms, "throughput": row.throughput} for row in found.batches
    ]
    return {"target": CHIP, "batches": batches, "validation": found.validation}


def _accuracy(artifact: Artifact, data: dict[str, str]) -> dict[str, Any]:
    from parity.accuracy import evaluate
    from zoo.catalog import package_file

    path = package_file(data)
    found = evaluate(artifact, str(path / data["pattern"] if "pattern" in data else path), on=["onnxruntime", CHIP])
    return {
        "metric": found.metric,
        "n": found.n,
        "original": found.original,
        "port": found.port,
        "emulated": found.executors[CHIP].port,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from zoo.console import show_table

    table = Table(title="measured on this machine; the chip's column is its numerics, emulated here")
    table.add_column("model")
    for heading in ("nodes", "parity ratio", "accuracy: original", "port", CHIP, "p50 ms: original", "port"):
        table.add_column(heading, justify="right")
    for row in rows:
        accuracy = row.get("accuracy")
        numbers = [f"{accuracy[key]:.3f}" for key in ("original", "port", "emulated")] if accuracy else ["", "", ""]
        latency = {item["side"] + item["route"]: item for item in row["latency"]}
        theirs = next(item for key, item in latency.items() if key.startswith("original"))
        ours = latency["portonnxruntime"]
        table.add_row(
            row["name"], str(row["nodes"]), f"{row['ratio']:.2f} {row['verdict']}", *numbers,
            f"{theirs['p50_ms']:.1f}", f"{ours['p50_ms']:.1f}",
        )  # fmt: skip
    show_table(table)
    _show_modelled(rows)


def _show_modelled(rows: list[dict[str, Any]]) -> None:
    """Print the chip's modelled speed in a table of its own: it was not measured."""
    from rich.table import Table

    from zoo.console import emit, show_table

    table = Table(title=f"{CHIP}: modelled, not measured")
    table.add_column("model")
    for heading in ("ms at batch 1", "best batch", "per second"):
        table.add_column(heading, justify="right")
    for row in rows:
        batches = row["modelled"]["batches"]
        best = max(batches, key=lambda item: item["throughput"])
        table.add_row(row["name"], f"{batches[0]['latency_ms']:.2f}", str(best["batch"]), f"{best['throughput']:.0f}")
    show_table(table)
    known = rows[0]["modelled"]["validation"]
    if known:
        error = f"{known['median_ape']:.0%} (median) on {known['models']} published models left out"
        emit(f"the cost model is off by {error}")


DEMO = Verb("demo", "port, check, evaluate, time and report three models", _configure, _run)
