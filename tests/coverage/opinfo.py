"""Holds the PyTorch porter against every float32 sample of torch's own operator database, entry by entry.

    python -m tests.coverage.opinfo -o OUT.jsonl [--only PATTERN] [--most 12] [--sample N --seed S] [--minutes M]
    python -m tests.coverage.opinfo -o OUT.jsonl --table

An entry is right only if every sample is. A run that is stopped goes on where it was; each entry runs in a process of
its own, under a time limit.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import logging
import multiprocessing
import random
import sys
import time
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from porters.canonicalize import canonicalize
from porters.porter import UnsupportedOpsError
from porters.pytorch.registry import registered
from porters.pytorch.walker import Walker
from tests.coverage.judge import answers, array, difference
from tests.coverage.samples import Call, Subject, calls, entries, why_no_meaning
from zoo.graph import GraphBuilder

SECONDS = 150
# The first of these that any sample has is the status of the entry.
STATUSES = ("wrong", "broken", "timeout", "runtime", "unsupported", "export fails", "right", "no meaning")


@dataclass
class Row:
    """What became of one entry."""

    entry: str
    status: str = "right"
    samples: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    reason: str = ""


def judge_entry(name: str, op: Any, most: int, seed: int) -> Row:
    """Port every sample of an entry and compare."""
    try:
        samples = calls(op, most, seed)
    except Exception as error:
        return Row(name, "no meaning", reason=f"torch makes no samples: {_short(error)}")
    found = [_judge_call(name, call) for call in samples]
    counts = Counter(status for status, _ in found)
    status = next((item for item in STATUSES if counts[item]), "no meaning")
    reasons = [reason for item, reason in found if item == status and reason]
    return Row(name, status, len(found), dict(counts), reasons[0] if reasons else "")


def _judge_call(name: str, call: Call) -> tuple[str, str]:
    reason = why_no_meaning(name, call)
    if reason is not None:
        return "no meaning", reason
    expected = answers(call)
    try:
        program, tensors = _exported(call)
    except Exception as error:
        return "export fails", _short(error)
    try:
        model, names = _walked(program)
    except UnsupportedOpsError as error:
        if any(_draws(item.op) for item in error.ops):
            return "no meaning", "random"
        return "unsupported", "; ".join(sorted({f"{item.op}: {item.hint}" for item in error.ops}))
    except Exception as error:
        return "broken", f"translation: {_short(error)}"
    feed = {name: array(tensor) for name, tensor in zip(names, tensors, strict=True)}
    for optimize in (False, True):
        try:
            results = _run(model, feed, optimize)
        except Exception as error:
            return "broken", f"ONNX Runtime, optimised {optimize}: {_short(error)}"
        problem = _problem(expected, results)
        if problem and not _problem(expected, _by_definition(model, feed)):
            return "runtime", f"right by ONNX's reference evaluator; ONNX Runtime, optimised {optimize}: {problem}"
        if problem:
            return "wrong", f"optimised {optimize}: {problem}"
    return "right", ""


def _problem(expected: Any, results: list[Any]) -> str:
    for index, (own, truth, moved, port) in enumerate(zip(*expected, results, strict=True)):
        problem = difference(own, truth, moved, port)
        if problem:
            return f"output {index}: {problem}"
    return ""


def _by_definition(model: bytes, feed: dict[str, Any]) -> list[Any]:
    """Run the graph on ONNX's own reference implementation: what the graph says, whatever a runtime makes of it."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(onnx.load_from_string(model))
    return list(evaluator.run(None, feed))


def _draws(op: str) -> bool:
    """Say whether an operator draws random numbers."""
    namespace, name, overload = op.split(".")
    packet = getattr(getattr(torch.ops, namespace, None), name, None)
    operator = getattr(packet, overload, None)
    return operator is not None and torch.Tag.nondeterministic_seeded in operator.tags


def _exported(call: Call) -> tuple[torch.export.ExportedProgram, list[torch.Tensor]]:
    """Export with every tensor an input; where that needs an integer tensor's values, with those held constant."""
    whole = [index for index, tensor in enumerate(call.tensors) if not tensor.is_floating_point()]
    for fixed in ([], whole) if whole else ([],):
        tensors = [tensor.clone() for index, tensor in enumerate(call.tensors) if index not in fixed]
        try:
            with torch.no_grad():
                return torch.export.export(Subject(call, fixed).eval(), tuple(tensors), strict=False), tensors
        except Exception:
            if fixed == whole:
                raise
    raise AssertionError("unreachable")


def _walked(program: torch.export.ExportedProgram) -> tuple[bytes, list[str]]:
    import onnx_ir as ir

    g = GraphBuilder("subject")
    walker = Walker(g)
    outputs = walker.program(program, {})
    distinct: list[Any] = []
    for output in outputs:
        # ONNX Runtime cannot hand bfloat16 to NumPy.
        value = g.cast(output, ir.DataType.FLOAT) if output.dtype == ir.DataType.BFLOAT16 else output
        taken = value.producer() is None or any(value is other for other in distinct)
        distinct.append(g.op("Identity", value, shape=value.shape) if taken else value)
    model = g.finish(distinct)
    canonicalize(model)
    return ir.to_proto(model).SerializeToString(), [str(value.name) for value in g.inputs]


def _run(model: bytes, feed: dict[str, Any], optimize: bool) -> list[Any]:
    from zoo.executors import onnxruntime

    with onnxruntime.load(model, optimize=optimize, threads=1) as session:
        return list(session.run(feed).values())


def _short(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[-400:]}"


def in_own_process(name: str, op: Any, most: int, seed: int, seconds: float) -> Row:
    """Judge an entry in a forked process; one that crashes or hangs is a row too."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def work() -> None:
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            row = judge_entry(name, op, most, seed)
        except Exception as error:
            row = Row(name, "broken", reason=_short(error))
        there.send(row)

    process = context.Process(target=work)
    process.start()
    there.close()
    try:
        row: Row = here.recv() if here.poll(seconds) else Row(name, "timeout", reason=f"over {seconds:g} s")
    except EOFError:
        row = Row(name, "broken", reason="the process died")
    process.kill()
    process.join()
    return row


def main() -> int:
    """Go over the database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--only", default="*", help="names, as a shell pattern; several with commas")
    parser.add_argument("--again", action="store_true", help="judge the chosen entries anew")
    parser.add_argument("--most", type=int, default=12, help="samples of an entry")
    parser.add_argument("--sample", type=int, help="a random choice of entries")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this long")
    parser.add_argument("--table", action="store_true", help="print the table only")
    options = parser.parse_args()
    rows = read(options.out)
    if not options.table:
        _go_over(options, rows)
    from tests.coverage.table import markdown

    sys.stdout.write(markdown(rows.values()))
    return 1 if any(row.status in ("wrong", "broken") for row in rows.values()) else 0


def _go_over(options: argparse.Namespace, rows: dict[str, Row]) -> None:
    ends = time.monotonic() + options.minutes * 60
    registered()  # once, for every forked process
    import onnxruntime  # noqa: F401

    chosen = {
        name: op
        for name, op in entries().items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in options.only.split(","))
        and (options.again or name not in rows)
    }
    names = list(chosen)
    if options.sample is not None:
        names = random.Random(options.seed).sample(names, min(options.sample, len(names)))
    for name in names:
        if time.monotonic() > ends:
            break
        started = time.monotonic()
        rows[name] = in_own_process(name, chosen[name], options.most, options.seed, options.seconds)
        with options.out.open("a") as file:
            file.write(json.dumps(asdict(rows[name])) + "\n")
        took = time.monotonic() - started
        sys.stderr.write(f"{name:50} {rows[name].status:12} {took:5.1f} s  {rows[name].reason[:150]}\n")


def read(file: Path) -> dict[str, Row]:
    """Return the rows of a file by entry, the last one where there are several."""
    if not file.exists():
        return {}
    rows = [Row(**json.loads(line)) for line in file.read_text().splitlines()]
    return {row.entry: row for row in rows}


if __name__ == "__main__":
    sys.exit(main())
