"""One side of a benchmark in a process of its own: crashes, threads and memory stay there."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

# Distinct inputs that the calls go round.
INPUTS = 4
LOAD_TIMEOUT_S, CALL_TIMEOUT_S = 600.0, 300.0


@dataclass(frozen=True)
class WorkerSpec:
    """Which side a worker runs: ``side`` is ``original`` or ``port``, ``route`` the framework or the executor."""

    artifact: str
    side: str
    route: str
    threads: int
    batch: int


class WorkerDiedError(Exception):
    """A worker that failed, hung or died; the message is its last words."""


class Worker:
    """The near end of a worker; a context manager that ends the process."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.seconds: list[float] = []
        self._error: str | None = None
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far, spec), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._ask(None, LOAD_TIMEOUT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(1.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def turn(self, *, timed: bool) -> None:
        """Make one call; a dead worker stays silent here and speaks in :meth:`summary`."""
        if self._error is None:
            answer = self._ask("turn", CALL_TIMEOUT_S)
            if timed and answer is not None:
                self.seconds.append(answer)

    def summary(self) -> dict[str, Any]:
        """Return ``load_s``, ``peak_rss_bytes`` and ``steady``.

        Raises:
            WorkerDiedError: If the worker failed at any time.
        """
        answer = self._ask("summary", CALL_TIMEOUT_S) if self._error is None else None
        if self._error is not None or not isinstance(answer, dict) or not self.seconds:
            raise WorkerDiedError(self._error or "no call was timed")
        return answer

    def _ask(self, request: str | None, timeout: float) -> Any:
        try:
            if request is not None:
                self._pipe.send(request)
            if not self._pipe.poll(timeout):
                self._error = f"no answer within {timeout:g} s"
                self._process.kill()
                return None
            kind, answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(1.0)
            self._error = f"the process died (exit code {self._process.exitcode})"
            return None
        if kind == "error":
            self._error = str(answer)
            return None
        return answer


def _serve(pipe: Connection, spec: WorkerSpec) -> None:
    try:
        side = _Side(spec)
        pipe.send(("ready", None))
        while True:
            request = pipe.recv()
            pipe.send(("ok", side.turn() if request == "turn" else side.summary()))
    except EOFError:
        return
    except BaseException as error:  # last words of whatever kind go to the parent
        pipe.send(("error", f"{type(error).__name__}: {error}"))


class _Side:
    """The far end: the loaded side and its inputs."""

    def __init__(self, spec: WorkerSpec) -> None:
        from zoo.artifact import open_artifact
        from zoo.inputs import InputSpec, sample

        artifact = open_artifact(spec.artifact, unsealed=True)
        specs = [InputSpec.from_card(entry) for entry in artifact.card()["inputs"]]
        self._feeds = [sample(specs, 3, index, {"batch": spec.batch}) for index in range(INPUTS)]
        self._seen: dict[int, Any] = {}
        self._steady = True
        self._calls = 0
        started = time.perf_counter()
        self._run: Callable[[Any], Any] = _load(artifact, spec)
        self._load_s = time.perf_counter() - started

    def turn(self) -> float:
        index = self._calls % INPUTS
        self._calls += 1
        started = time.perf_counter()
        outputs = self._run(self._feeds[index])
        seconds = time.perf_counter() - started
        self._look(index, outputs)
        return seconds

    def _look(self, index: int, outputs: dict[str, Any]) -> None:
        import numpy as np

        before = self._seen.setdefault(index, outputs)
        for name, array in outputs.items():
            self._steady &= bool(np.allclose(array, before[name], rtol=1e-3, atol=1e-5, equal_nan=True))

    def summary(self) -> dict[str, Any]:
        import resource

        return {
            "load_s": self._load_s,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "steady": self._steady,
        }


def _load(artifact: Any, spec: WorkerSpec) -> Callable[[Any], Any]:
    if spec.side == "port":
        from zoo.executor import load

        return load(artifact.model_path, spec.route, threads=spec.threads).run
    _limit_threads(spec.route, spec.threads)
    from parity.sides import rebuild

    original, why = rebuild(artifact)
    if original is None:
        raise RuntimeError(why)
    return original.run


def _limit_threads(framework: str, threads: int) -> None:
    if framework == "pytorch":
        import torch

        torch.set_num_threads(threads)
    else:
        import os

        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
