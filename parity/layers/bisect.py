"""The first wrong layer by binary search: segments are compared at their ends, layers only within the guilty one."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from parity.cases import Case
from parity.layers.run import LayerRun
from parity.layers.segments import Segments, Values
from parity.layers.tally import ratio_of
from parity.metrics import is_float
from parity.tolerance import Limits
from porters.porter import Steps
from zoo.graph import HANDLE
from zoo.inputs import Feed

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Search:
    """How the first wrong layer was looked for.

    Attributes:
        segments: Into how many segments the layers were cut.
        compared_segments: Spans of segments that were compared, at their ends.
        compared_layers: Layers that were compared one by one.
        layers: Layers that there are.
        note: Why all layers were compared after all; empty where they were not.
    """

    segments: int
    compared_segments: int
    compared_layers: int
    layers: int
    note: str = ""


class Bisection:
    """Looks for the first segment that is wrong by its own doing, on one input.

    A span of segments is held to what a layer is held to: run by the port on what the original has before it, it may be
    no farther from the truth of that than the original is. The original is walked once; what it has between segments
    is kept on disk, in ``folder``.
    """

    def __init__(self, steps: Steps, segments: Segments, limits: Limits, feed: Feed, folder: Path) -> None:
        self._steps, self._segments, self._limits, self._feed = steps, segments, limits, feed
        self._unordered: set[str] = set()
        self._files: dict[str, Path] = {}
        # Spans that were compared.
        self.compared = 0
        bounds = range(1, len(segments) + 1)
        wanted = {_handle(value) for bound in bounds for value in segments.frontier(bound)}
        for step in steps.walk(feed, wanted):
            file = self._files[step.handle] = folder / f"{len(self._files)}.npy"
            np.save(file, step.own)
            if step.unordered is not None:
                self._unordered.add(step.handle)
            if len(self._files) == len(wanted):
                break

    def find(self, progress: Progress = lambda step: None) -> int | None:
        """Return the number of the first wrong segment; ``None`` where the whole is not wrong on this input.

        Raises:
            PrecisionUnavailableError: If an operator of the original cannot be run in float64.
            UserError: If the runtime does not take a segment.
        """
        first, end = 0, len(self._segments)
        if end == 0 or not self._wrong(first, end, progress):
            return None
        while end - first > 1:
            middle = (first + end) // 2
            if self._wrong(first, middle, progress):
                end = middle
            else:
                first = middle
        return first

    def _wrong(self, first: int, end: int, progress: Progress) -> bool:
        """Say whether the port's segments from ``first`` up to ``end`` are wrong on what the original has there."""
        progress(f"segments {first + 1} to {end} of {len(self._segments)}")
        self.compared += 1
        before = self._own(self._segments.frontier(first)) if first else {}
        after = self._segments.frontier(end)
        # What passes through a span unread was made before it.
        made = [value for value in after if value not in before]
        port = self._segments.run(first, end, before, self._feed)
        known = {_handle(value): array for value, array in before.items()}
        truth = self._steps.single([_handle(value) for value in made], known)
        return any(self._differs(value, port[value], truth[_handle(value)]) for value in made)

    def _differs(self, value: ir.Value, port: np.ndarray, truth: np.ndarray) -> bool:
        handle = _handle(value)
        if handle in self._unordered:
            return False  # its elements stand in any order; what reads it tells
        own = self._own([value])[value]
        if port.shape != own.shape or port.dtype != own.dtype:
            return True
        if not is_float(own):
            settled = truth.astype(own.dtype) == own if truth.shape == own.shape else np.zeros(own.shape, bool)
            return bool(((port != own) & settled).any())
        if (np.isnan(port) != np.isnan(own)).any():
            return True
        return not ratio_of(port, own, truth, self._limits) <= self._limits.layer

    def _own(self, values: Sequence[ir.Value]) -> Values:
        return {value: np.load(self._files[_handle(value)]) for value in values}


def _handle(value: ir.Value) -> str:
    return str(value.metadata_props[HANDLE])


def search(run: LayerRun, limits: Limits, cases: Sequence[Case], progress: Progress) -> Search:
    """Look for the first wrong segment on the first case on which the port is wrong, and compare its layers in ``run``.

    Raises:
        PrecisionUnavailableError: If an operator of the original cannot be run in float64.
        UserError: If the runtime does not take a segment.
    """
    compared, count = 0, 0
    for case in cases:
        segments = run.segments(case.feed)
        count = len(segments)
        with tempfile.TemporaryDirectory(prefix="zooport-bisect-") as folder:
            bisection = Bisection(run.steps, segments, limits, case.feed, Path(folder))
            found = bisection.find(functools.partial(_said, progress, case.name))
        compared += bisection.compared
        if found is not None:
            only = segments.layers(found, found + 1)
            run.run(case.feed, case.probe, only=only)
            return Search(count, compared, len(only), run.count)
    return Search(count, compared, 0, run.count)


def _said(progress: Progress, case: str, step: str) -> None:
    progress(f"{step} on {case}")
