"""``bench``: original and port timed in turns, each in a process of its own, on distinct inputs, outputs checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from parity.worker import Worker, WorkerDiedError, WorkerSpec
from zoo.artifact import Artifact
from zoo.timing import machine, percentiles

WARM_UP = 3


@dataclass(frozen=True)
class BenchRow:
    """One side's latency.

    Attributes:
        side: ``original`` or ``port``.
        route: What ran it: the framework, the executor, or a chip's emulator (whose time is that of emulating).
        p50_ms: Median latency of one call; p90 and p99 likewise.
        throughput: Samples per second at the median.
        peak_rss_bytes: Most memory that the side's process held.
        load_s: Seconds to load the model, imports apart.
        samples: Timed calls.
        steady: Whether every call on the same input gave the same output while it was timed.
        error: A dead side's last words.
        calls_ms: The single calls in the order of the rounds, so that sides can be compared round by round.
    """

    side: str
    route: str
    threads: int
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0
    throughput: float = 0.0
    peak_rss_bytes: int = 0
    load_s: float = 0.0
    samples: int = 0
    steady: bool = True
    emulated: bool = False
    error: str | None = None
    calls_ms: Sequence[float] = ()


@dataclass(frozen=True)
class BenchResult:
    """What ``bench.json`` holds."""

    batch: int
    rows: list[BenchRow]
    machine: dict[str, Any]


def bench(
    artifact: Artifact,
    *,
    on: Sequence[str] = ("onnxruntime",),
    original: bool = True,
    batch: int = 1,
    rounds: int = 30,
    threads: int | None = None,
    save: bool = True,
    progress: Callable[[int], None] = lambda done: None,
) -> BenchResult:
    """Time the port on each executor, and the original, in turns: one call of each side in every round.

    A side that fails becomes a row with its error; the others go on.
    """
    facts = machine()
    count = threads or int(facts["cores"])
    routes = [("original", artifact.card()["source"]["framework"])] if original else []
    routes += [("port", name) for name in on]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(WorkerSpec(str(artifact.path), side, route, count, batch)))
            for side, route in routes
        ]
        for done in range(-WARM_UP, rounds):
            # Every other round backwards: no side always runs behind the same neighbour.
            for worker in workers if done % 2 else reversed(workers):
                worker.turn(timed=done >= 0)
            progress(max(done + 1, 0))
        rows = [_row(worker, batch) for worker in workers]
    result = BenchResult(batch, rows, facts)
    if save:
        artifact.add_result("bench", result)
    return result


def _row(worker: Worker, batch: int) -> BenchRow:
    spec = worker.spec
    emulated = spec.route.lower().startswith("ascend")
    try:
        summary = worker.summary()
    except WorkerDiedError as error:
        return BenchRow(spec.side, spec.route, spec.threads, emulated=emulated, error=str(error))
    p50, p90, p99 = percentiles(worker.seconds)
    return BenchRow(
        spec.side, spec.route, spec.threads, p50, p90, p99, batch / (p50 / 1000.0), summary["peak_rss_bytes"],
        summary["load_s"], len(worker.seconds), summary["steady"], emulated,
        calls_ms=[round(1000.0 * seconds, 5) for seconds in worker.seconds],
    )  # fmt: skip
