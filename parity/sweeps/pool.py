"""Runs jobs in processes of their own, a few at a time, and ends those that take too long or too much memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import psutil

from parity.sweeps.job import Job, work
from parity.sweeps.row import Row

# What math libraries read once, when they are loaded. More threads than cores wait for each other: a model that takes
# 85 s took more than 300 s.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# How often a running job's memory is looked at.
_POLL_S = 0.25


@dataclass(frozen=True)
class Limits:
    """What one job may take.

    Attributes:
        seconds: Wall time.
        memory_bytes: Resident memory.
    """

    seconds: float = 900.0
    memory_bytes: int = 12 << 30


@dataclass
class _Running:
    job: Job
    process: Any
    pipe: Connection
    started: float
    slot: int
    stage: str = "open"
    peak: int = 0


def run_jobs(jobs: Sequence[Job], slots: int, limits: Limits, preload: Sequence[str] = ()) -> Iterator[Row]:
    """Yield a row for each job, in the order in which they end.

    Args:
        jobs: The jobs; their ``cores`` are set here, an equal share for each slot.
        slots: How many run at once.
        limits: What each may take; past it the job is killed and its row says so.
        preload: Modules that are imported once, in the process that all jobs are forked from.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["parity.sweeps.preload", *preload])
    shares = _shares(slots)
    for name in _THREADS:  # for the process that all jobs are forked from, which starts with the first
        os.environ.setdefault(name, str(len(shares[0])))
    waiting, running = list(reversed(jobs)), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < slots:
                slot = next(number for number in range(slots) if number not in {item.slot for item in running})
                running.append(_start(context, replace(waiting.pop(), cores=shares[slot]), slot))
            for item in list(running):
                row = _poll(item, limits)
                if row is not None:
                    running.remove(item)
                    yield row
            time.sleep(_POLL_S if running else 0)
    finally:
        for item in running:
            _kill(item)


def _shares(slots: int) -> list[tuple[int, ...]]:
    cores = sorted(os.sched_getaffinity(0))
    if slots >= len(cores):
        return [(cores[slot % len(cores)],) for slot in range(slots)]
    return [tuple(cores[slot::slots]) for slot in range(slots)]


def _start(context: Any, job: Job, slot: int) -> _Running:
    near, far = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(far, job, os.getpid()), daemon=True)
    process.start()
    far.close()
    return _Running(job, process, near, time.perf_counter(), slot)


def _poll(item: _Running, limits: Limits) -> Row | None:
    row, hung_up = _heard(item)
    if row is not None:
        item.process.join()
        return row
    if hung_up:
        item.process.join()
        return _ended(item, f"the process died (exit code {item.process.exitcode})")
    seconds = time.perf_counter() - item.started
    with contextlib.suppress(psutil.Error):
        item.peak = max(item.peak, psutil.Process(item.process.pid).memory_info().rss)
    if seconds > limits.seconds:
        return _ended(item, f"stopped after {limits.seconds:g} s")
    if item.peak > limits.memory_bytes:
        return _ended(item, f"stopped at {item.peak / 2**30:.1f} GiB of memory, limit {limits.memory_bytes / 2**30:g}")
    return None


def _heard(item: _Running) -> tuple[Row | None, bool]:
    """Take in what a job has said; return its row, and whether it has hung up."""
    try:
        while item.pipe.poll():
            kind, content = item.pipe.recv()
            if kind == "row":
                return content, False
            item.stage = content
    except (EOFError, OSError):
        return None, True
    return None, False


def _ended(item: _Running, why: str) -> Row:
    _kill(item)
    if not item.job.keep:  # it could not clear up itself
        shutil.rmtree(item.job.directory, ignore_errors=True)
    return Row(
        item.job.source, item.job.family, "failed", item.stage, error=why,
        seconds=time.perf_counter() - item.started, peak_rss_bytes=item.peak,
    )  # fmt: skip


def _kill(item: _Running) -> None:
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(item.process.pid).children(recursive=True):
            child.kill()
    item.process.kill()
    item.process.join()
