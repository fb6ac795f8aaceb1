"""One model of a sweep, in a process of its own: port it, check it, say what became of it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from parity.sweeps.row import Row

# What `porters.porting` calls its stages, and what a row calls them.
_STAGES = {
    "open the source": "open",
    "export and translate": "export",
    "write the weights": "weights",
    "record golden data": "golden",
    "seal": "golden",
}


@dataclass(frozen=True)
class Job:
    """One model to sweep.

    Attributes:
        source: The source reference.
        family: The upstream module it belongs to.
        seed: Seed of weights and inputs.
        cores: The cores that it may use; runtimes take a thread for each.
        directory: Where its artifact goes; removed afterwards unless ``keep``.
        log: The file that takes what the frameworks print.
        keep: Whether to keep the artifact.
    """

    source: str
    family: str
    seed: int
    cores: tuple[int, ...]
    directory: Path
    log: Path
    keep: bool


def work(pipe: Connection, job: Job, sweep: int) -> None:
    """Run one job of the process ``sweep``; send ``("stage", name)`` as it goes and ``("row", Row)`` at the end."""
    threading.Thread(target=_end_with_the_sweep, args=(sweep,), daemon=True).start()
    _quieten(job)
    started = time.perf_counter()
    row = Row(job.source, job.family, "failed", "open")

    def entered(stage: str) -> None:
        nonlocal row
        row = replace(row, stage=stage)
        pipe.send(("stage", stage))

    try:
        row = _port_and_check(job, row, entered)
    except Exception as error:
        traceback.print_exc()
        row = replace(row, error=_message(error), stage=getattr(error, "stage", None) or row.stage)
    finally:
        if not job.keep:
            shutil.rmtree(job.directory, ignore_errors=True)
    row = replace(row, seconds=time.perf_counter() - started, peak_rss_bytes=_peak())
    pipe.send(("row", row))
    pipe.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # What frameworks do on the way out is not part of the measurement.


def _port_and_check(job: Job, row: Row, entered: Callable[[str], None]) -> Row:
    from parity.harness import check
    from porters.porting import port_to
    from porters.source import SourceOptions
    from zoo.artifact import open_artifact

    def stage(name: str) -> None:
        entered(_STAGES.get(name, name))

    # Without golden data: the original is at hand, and its float64 runs would be most of a port's time.
    options = SourceOptions(seed=job.seed)
    ported = port_to(job.source, job.directory, options, record_golden=False, progress=stage)
    row = replace(
        row,
        status="ported",
        nodes=ported.nodes,
        fallback=str(ported.fallback or ""),
        unsupported=", ".join(sorted({item["op"] for item in ported.unsupported})),
        export_seconds=ported.seconds.get("export", 0.0),
        translate_seconds=ported.seconds.get("translate", 0.0),
    )
    entered("check")
    result = check(open_artifact(job.directory), seed=job.seed + 1, save=job.keep)
    ratios = [output.budget.ratio for output in result.outputs if output.budget is not None]
    return replace(
        row,
        status="checked",
        stage="check",
        verdict=result.verdict,
        ratio=max(ratios, default=float("nan")),
        outputs=len(result.outputs),
        error="" if result.holds else result.diagnosis,
        decided_by=result.decided_by,
    )


def _end_with_the_sweep(sweep: int) -> None:
    """End this process when the sweep has died without a word: nobody waits for its row any more.

    The parent is no sign of it: that is the process which all jobs are forked from, and it outlives a killed sweep.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(sweep)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
    os._exit(1)


def _quieten(job: Job) -> None:
    """Send what frameworks print to the job's log and hold them to their share of the cores."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    stream = job.log.open("w", encoding="utf-8")
    for number in (1, 2):
        os.dup2(stream.fileno(), number)
    os.sched_setaffinity(0, job.cores)
    os.environ["OMP_NUM_THREADS"] = str(len(job.cores))
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(len(job.cores))


def _message(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = "; ".join(lines[:6])
    kind = "" if hasattr(error, "fact") else f"{type(error).__name__}: "
    return f"{kind}{text}"[:1000]


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
