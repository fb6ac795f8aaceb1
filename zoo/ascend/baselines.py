"""Two predictors that a cost model has to beat: half of the peak, and a roofline over operators as they stand."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from zoo.ascend.hardware import Chip
from zoo.ascend.published import Row
from zoo.ascend.validation import Sample
from zoo.work import multiply_adds_of, static_shape

# Only metadata changes: nothing is moved.
_FREE = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Constant", "Shape", "Size"})
# Of their first operand they read what they return, and not the whole table.
_PICK = frozenset({"Gather", "GatherND", "GatherElements", "Slice"})
# Where a fit starts: half of the cube, four fifths of the memory.
_START = (0.5, 0.8)


@dataclasses.dataclass(frozen=True)
class Work:
    """What the operators of a graph do.

    Attributes:
        flops: Of each operator: two for a multiply-add of a matrix product or a convolution, none for anything else.
        bytes: What each operator reads and writes, floating-point numbers as fp16.
    """

    flops: np.ndarray
    bytes: np.ndarray


@functools.lru_cache(maxsize=4096)
def work_of(model: ir.Model, batch: int) -> Work:
    """Return the work of every operator of a graph at a batch; bodies of loops count once."""
    sizes = {"batch": batch}
    nodes = [node for node in ir.traversal.RecursiveGraphIterator(model.graph) if node.op_type not in _FREE]
    flops = [2.0 * multiply_adds_of(node, sizes) for node in nodes]
    moved = [float(_moved(node, batch)) for node in nodes]
    return Work(np.array(flops), np.array(moved))


def _moved(node: ir.Node, batch: int) -> int:
    written = [_bytes(value, batch) for value in node.outputs]
    read = [_bytes(value, batch) for value in node.inputs]
    if node.op_type in _PICK:
        read[0] = sum(written)
    return sum(read) + sum(written)


def _bytes(value: ir.Value | None, batch: int) -> int:
    shape = static_shape(value, {"batch": batch})
    if value is None or shape is None or value.dtype is None:
        return 0
    return math.prod(shape) * (2 if value.dtype.is_floating_point() else math.ceil(value.dtype.itemsize))


@dataclasses.dataclass(frozen=True)
class ShareOfPeak:
    """The same share of the cube's peak for every model."""

    share: float = 0.5

    def seconds(self, model: ir.Model, chip: Chip, batch: int, options: Row | None = None) -> float:
        """Return the time of one execution in seconds."""
        return float(work_of(model, batch).flops.sum()) / (self.share * chip.peak_flops)


def half_of_peak(samples: Sequence[Sample]) -> ShareOfPeak:
    """Return the model of one number, 50 %, which is fitted on nothing."""
    return ShareOfPeak()


@dataclasses.dataclass(frozen=True)
class Roofline:
    """Every operator takes as long as its arithmetic or its memory traffic, whichever is longer; times add up.

    Attributes:
        compute: Share of the cube's peak that is reached.
        bandwidth: Share of the memory's bandwidth that is reached.
    """

    compute: float
    bandwidth: float

    def seconds(self, model: ir.Model, chip: Chip, batch: int, options: Row | None = None) -> float:
        """Return the time of one execution in seconds."""
        work = work_of(model, batch)
        by_cube = work.flops / (self.compute * chip.peak_flops)
        by_memory = work.bytes / (self.bandwidth * chip.dram_bytes_per_s)
        return float(np.maximum(by_cube, by_memory).sum())


def roofline(samples: Sequence[Sample]) -> Roofline:
    """Fit both shares: the mean factor between predicted and measured times is the least there is."""
    from scipy.optimize import minimize

    measured = np.log([sample.seconds for sample in samples])

    def distance(logarithms: Sequence[float]) -> float:
        fitted = Roofline(*np.exp(logarithms))
        predicted = np.log([fitted.seconds(sample.model, sample.chip, sample.batch) for sample in samples])
        return float(np.abs(predicted - measured).mean())

    found = minimize(distance, np.log(_START), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-4})
    return Roofline(*(float(share) for share in np.exp(found.x)))
