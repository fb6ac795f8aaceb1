"""Runs jobs in processes of their own, a few at a time, and ends those that take too long or too much memory."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from parity.child import POLL_S, Child, ChildDiedError, Failure, Limits
from parity.sweeps.job import Job, work
from parity.sweeps.row import Row

# What math libraries read once, when they are loaded. More threads than cores wait for each other: a model that takes
# 85 s took more than 300 s.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# What one job may take where nothing else is said: wall time, and resident memory.
JOB_LIMITS = Limits(seconds=900.0, memory_bytes=12 << 30)


@dataclass
class _Running:
    job: Job
    child: Child
    slot: int


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
                running.append(_start(context, replace(waiting.pop(), cores=shares[slot]), slot, limits))
            for item in list(running):
                row = _poll(item)
                if row is not None:
                    running.remove(item)
                    yield row
            time.sleep(POLL_S if running else 0)
    finally:
        for item in running:
            item.child.close()


def _shares(slots: int) -> list[tuple[int, ...]]:
    cores = sorted(os.sched_getaffinity(0))
    if slots >= len(cores):
        return [(cores[slot % len(cores)],) for slot in range(slots)]
    return [tuple(cores[slot::slots]) for slot in range(slots)]


def _start(context: Any, job: Job, slot: int, limits: Limits) -> _Running:
    return _Running(job, Child(work, (job,), limits, context=context, log=job.log).start(), slot)


def _poll(item: _Running) -> Row | None:
    try:
        while (word := item.child.listen(0)) is not None:
            if word[0] == "result":
                item.child.close()
                row: Row = word[1]
                return row
    except ChildDiedError as error:
        return _ended(item, error.failure)
    return None


def _ended(item: _Running, failure: Failure) -> Row:
    item.child.close()
    if not item.job.keep:  # it could not clear up itself
        shutil.rmtree(item.job.directory, ignore_errors=True)
    stage = "open" if failure.phase == "start" else failure.phase
    return Row(
        item.job.source, item.job.family, "failed", stage, error=failure.reason,
        seconds=failure.seconds, peak_rss_bytes=failure.peak_rss_bytes,
    )  # fmt: skip
