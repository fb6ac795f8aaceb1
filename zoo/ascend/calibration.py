"""Fits the cost model's constants to published measurements."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import onnx_ir as ir
from scipy.optimize import least_squares

from zoo.ascend.cost import Constants, costs
from zoo.ascend.hardware import Chip
from zoo.ascend.passes.specialise import symbols
from zoo.ascend.program import Options, build
from zoo.ascend.workload import Workload, joined

# What is expected before any measurement, and by which factor (natural logarithm) it may well be wrong. Factors on
# data-sheet rates start at 1 and at the share of the peak that is usually reached; bytes per cycle at CANN's tiling
# constants; launch times at what the chip facts read off the smallest models.
_PRIOR: Final[Mapping[str, tuple[float, float]]] = {
    "execution_s": (60e-6, 0.7),
    "launch_s": (3e-6, 0.5),
    "cube_launch_s": (1e-6, 1.0),
    "cpu_s": (1e-3, 1.0),
    "scalar_s": (2e-9, 1.0),
    "cube": (1.25, 0.2),
    "load": (1.0, 0.4),
    "depthwise": (1.5, 0.6),
    "vector": (1.0, 0.6),
    "drain_bytes_per_cycle": (128.0, 0.7),
    "windowed": (1.0, 0.7),
    "reducing": (1.0, 0.7),
    "dram": (1.25, 0.15),
    "spill": (1.0, 0.5),
    "l2_bytes_per_cycle": (70.0, 0.5),
    "ub_bytes_per_cycle": (45.0, 0.5),
    "l2_share": (0.75, 0.5),
    "run_bytes": (64.0, 1.0),
    "converting": (1.0, 0.7),
    "overlap": (0.25, 0.6),
}
# Published figures of one model move by about 10 % from one version of the software to the next.
_NOISE: Final = 0.15


class Measurement(Protocol):
    """How a measured model was compiled, beside its precision: ``zoo.ascend.published.Row`` says so."""

    @property
    def aipp(self) -> bool:
        """Whether pictures came in through AIPP."""
        ...

    @property
    def small_channel(self) -> bool:
        """Whether AIPP kept few channels unpadded."""
        ...


class Measured(Protocol):
    """One measurement: ``zoo.ascend.validation.Sample`` is one."""

    @property
    def key(self) -> str:
        """The model; samples of one model share it."""
        ...

    @property
    def chip(self) -> Chip:
        """The chip."""
        ...

    @property
    def batch(self) -> int:
        """Samples per execution."""
        ...

    @property
    def seconds(self) -> float:
        """Measured time of one execution."""
        ...

    @property
    def model(self) -> ir.Model:
        """The graph."""
        ...

    @property
    def row(self) -> Measurement | None:
        """How it was compiled; None for the default."""
        ...


@dataclasses.dataclass
class Fitted:
    """A cost model with the constants of one fit."""

    constants: Constants

    def seconds(self, model: ir.Model, chip: Chip, batch: int, options: Measurement | None = None) -> float:
        """Return the modelled time of one execution of ``batch`` samples, in seconds."""
        return total(workload_of(model, chip, batch, options), chip, self.constants)


# Workloads by graph, chip and batch: a validation asks for each many times. The graph is kept, so that its identity is
# not given to another.
_WORKLOADS: dict[tuple[int, str, int, bool, bool], tuple[ir.Model, Workload]] = {}


def workload_of(model: ir.Model, chip: Chip, batch: int, options: Measurement | None = None) -> Workload:
    """Return the work of ``model`` on ``chip``, all its symbolic dimensions being ``batch``."""
    aipp, small = (options.aipp, options.small_channel) if options else (False, False)
    key = (id(model), chip.name, batch, aipp, small)
    if key not in _WORKLOADS:
        inputs = Options(aipp=aipp, small_channel=small)
        program = build(model, chip, dict.fromkeys(symbols(model), batch), inputs)
        _WORKLOADS[key] = (model, program.workload)
    return _WORKLOADS[key][1]


def total(work: Workload, chip: Chip, constants: Constants) -> float:
    """Return the modelled seconds of one execution."""
    return constants.execution_s + float(costs(work, chip, constants).seconds.sum())


def fit(samples: Sequence[Measured], start: Constants | None = None) -> Fitted:
    """Return the cost model that agrees best with ``samples``.

    Least squares on the logarithm of the time with a loss that forgives outliers (soft l1), every model with the same
    weight however many batches it has, and a pull towards the prior: a constant that the samples say nothing of stays
    where it was expected.

    Args:
        samples: Measurements, all of one chip.
        start: What is expected; the default is what the chip's documents say.
    """
    works = [workload_of(sample.model, sample.chip, sample.batch, sample.row) for sample in samples]
    together, owner = joined(works), np.repeat(np.arange(len(works)), [len(work) for work in works])
    counts = {sample.key: sum(other.key == sample.key for other in samples) for sample in samples}
    weights = np.array([2 / np.sqrt(counts[sample.key]) / _NOISE for sample in samples])
    wanted = np.log([sample.seconds for sample in samples])
    spread = np.array([sigma for _, sigma in _PRIOR.values()])

    def residuals(shifts: np.ndarray) -> np.ndarray:
        constants = _shifted(shifts, start)
        kernels = costs(together, samples[0].chip, constants).seconds
        found = constants.execution_s + np.bincount(owner, weights=kernels, minlength=len(works))
        return np.concatenate([(np.log(found) - wanted) * weights, shifts / spread])

    solution = least_squares(residuals, np.zeros(len(_PRIOR)), loss="soft_l1", max_nfev=25)
    return Fitted(_shifted(solution.x, start))


def _shifted(shifts: np.ndarray, start: Constants | None) -> Constants:
    """Return the expected constants, each times the exponential of its shift."""
    expected = {name: getattr(start, name) if start else value for name, (value, _) in _PRIOR.items()}
    return Constants(
        **{name: value * float(np.exp(shift)) for (name, value), shift in zip(expected.items(), shifts, strict=True)}
    )
