"""How long each kernel takes on a chip: the cost model, a formula over the workload with constants fitted per chip."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import yaml

from zoo.ascend.hardware import Chip
from zoo.ascend.workload import Workload

Bound = Literal["cube", "vector", "bandwidth", "launch"]
_CALIBRATION: Final = Path(__file__).parent / "calibration.yaml"
# Bytes that the vector unit takes in one instruction, over the bytes of an element: vec_calc_size of the chip facts.
_VECTOR_BYTES: Final = 256


@dataclasses.dataclass(frozen=True)
class Constants:
    """What the chip's data sheet does not say. Factors are of the time, and 1 where the sheet would be right.

    Attributes:
        execution_s: Seconds of an execution beside its kernels.
        launch_s: Seconds from one kernel to the next.
        cube_launch_s: The same in addition for a kernel on the cube (its pipeline is filled and emptied).
        cpu_s: Seconds of a kernel on the AI CPU.
        scalar_s: Seconds for each element that is fetched or placed by an index of its own.
        cube: Factor on the cube's cycles.
        load: Factor on the cycles in which the cube's operand buffers are filled.
        depthwise: Further factor on convolutions in many groups.
        vector: Factor on the vector unit's cycles.
        drain_bytes_per_cycle: Bytes of results that leave a core's accumulators per cycle.
        windowed: Further factor on pools.
        reducing: Further factor on softmax, norms and reductions.
        dram: Factor on the time in which memory moves the bytes at its data-sheet bandwidth.
        spill: Further factor on activations that do not stay in the L2: reads and writes take turns on the bus.
        l2_bytes_per_cycle: Bytes that a core and the L2 exchange per cycle, for kernels of the cube.
        ub_bytes_per_cycle: The same for kernels of the vector unit.
        l2_share: Share of the L2 in which tensors of one execution survive.
        run_bytes: Bytes side by side at which moving takes twice the time of a copy.
        converting: Further factor on TransData.
        overlap: Share of the shorter times that is not hidden behind the longest.
    """

    execution_s: float
    launch_s: float
    cube_launch_s: float
    cpu_s: float
    scalar_s: float
    cube: float
    load: float
    depthwise: float
    vector: float
    drain_bytes_per_cycle: float
    windowed: float
    reducing: float
    dram: float
    spill: float
    l2_bytes_per_cycle: float
    ub_bytes_per_cycle: float
    l2_share: float
    run_bytes: float
    converting: float
    overlap: float


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The constants of a chip and what is known of their worth.

    Attributes:
        constants: The constants.
        fitted_on: On which chip's measurements they were fitted.
        how: Command, date and data of the fit.
        validation: Errors on models left out: ``chip, models, rows, median_ape, within_1.5x, spearman,
            peak_within_one_step`` and the same for ``families_apart``; None where no measurement of the chip was found.
    """

    constants: Constants
    fitted_on: str
    how: str
    validation: Mapping[str, Any] | None


@dataclasses.dataclass(frozen=True)
class Costs:
    """Modelled seconds of each kernel, arrays of shape (n,), float64.

    Attributes:
        seconds: The whole kernel.
        cube: The cube, or the filling of its buffers where that takes longer.
        vector: The vector unit.
        dram: Bytes that come from or go to memory.
        l2: Bytes exchanged with the L2.
        launch: Until it starts.
        dram_bytes: Those bytes.
    """

    seconds: np.ndarray
    cube: np.ndarray
    vector: np.ndarray
    dram: np.ndarray
    l2: np.ndarray
    launch: np.ndarray
    dram_bytes: np.ndarray

    def bound(self, index: int) -> Bound:
        """Return what the time of kernel ``index`` is mostly spent on."""
        times: dict[Bound, float] = {
            "cube": self.cube[index],
            "vector": self.vector[index],
            "bandwidth": max(self.dram[index], self.l2[index]),
            "launch": self.launch[index],
        }
        return max(times, key=lambda name: times[name])


def costs(work: Workload, chip: Chip, constants: Constants) -> Costs:
    """Return the modelled times of the kernels of ``work``.

    The longest of cube, vector unit, memory and L2 counts in full, of the others the share that double buffering does
    not hide. A tensor is in the L2 if what was touched since fits in; it fades out over 30 % of the capacity, as
    tensors are thrown out piece by piece. What is not there is read from memory, and was written to it before.
    """
    cores = chip.ai_cores
    capacity = chip.l2_bytes * constants.l2_share
    spilled = np.bincount(work.reader, weights=_crossing(work, capacity), minlength=len(work))
    resident = np.clip((capacity - work.total_bytes) / (chip.l2_bytes / 2) + 0.5, 0.0, 1.0)
    dram_bytes = spilled + work.weight_bytes * (1 - resident)
    dram = (dram_bytes + spilled * (constants.spill - 1)) * constants.dram / chip.dram_bytes_per_s
    rate = np.where(work.on_cube, constants.l2_bytes_per_cycle, constants.ub_bytes_per_cycle) * cores * chip.clock_hz
    # An operand that several cores read comes once to each; half of the copies coincide and are served together.
    exchanged = (
        work.read_bytes * np.sqrt(work.left_reads) + work.write_bytes + work.weight_bytes * np.sqrt(work.right_reads)
    )
    scattered = np.where(work.run_bytes > 0, 1 + constants.run_bytes / np.maximum(work.run_bytes, 1), 1.0)
    l2 = exchanged / rate * scattered * np.where(work.converting, constants.converting, 1.0)
    cube = work.cube_cycles / chip.clock_hz * constants.cube * np.where(work.depthwise, constants.depthwise, 1.0)
    cube = np.maximum(cube, work.load_cycles / chip.clock_hz * constants.load)
    vector = work.vector_passes / vector_rate(chip) * constants.vector
    vector = (
        vector * np.where(work.windowed, constants.windowed, 1.0) * np.where(work.reducing, constants.reducing, 1.0)
    )
    drained = constants.drain_bytes_per_cycle * cores * chip.clock_hz
    vector = vector + np.where(work.on_cube, work.write_bytes / drained, 0.0)
    vector = vector + work.scalar_elements * constants.scalar_s
    parts = np.stack([cube, vector, dram, l2])
    longest = parts.max(axis=0)
    launch = constants.launch_s + np.where(work.on_cube, constants.cube_launch_s, 0.0)
    launch = (launch + np.where(work.on_cpu, constants.cpu_s, 0.0)) * work.steps
    seconds = launch + longest + constants.overlap * (parts.sum(axis=0) - longest)
    return Costs(seconds, cube, vector, dram, l2, launch, dram_bytes)


def _crossing(work: Workload, capacity: float) -> np.ndarray:
    """Return the bytes that each read moves between L2 and memory: what is not held was written there before."""
    fading = np.maximum(work.bytes, 0.3 * capacity)
    distance = np.where(np.isfinite(work.distance), work.distance, 0.0)
    held = np.clip((capacity - distance) / fading + 0.5, 0.0, 1.0)
    never = ~np.isfinite(work.distance)
    return work.bytes * np.where(never, 1.0, 2 * (1 - held))


def vector_rate(chip: Chip, element_bytes: int = 2) -> float:
    """Return how many elements a second all vector units take through one instruction.

    On chips whose vector unit is inside the AI core it is counted there; the extra vector cores of a 310P come on top;
    on split architectures (910B, 310B) there are vector cores only.
    """
    inside = chip.arch not in ("dav-c220", "dav-m300")
    units = chip.vector_cores + (chip.ai_cores if inside else 0)
    return units * chip.clock_hz * _VECTOR_BYTES / element_bytes


@functools.cache
def calibration(chip: str) -> Calibration:
    """Return what was fitted for ``chip``, or the constants of the chip nearest in kind where nothing was measured."""
    document = yaml.safe_load(_CALIBRATION.read_text(encoding="utf-8"))
    entry = document["chips"][chip]
    constants = document["constants"][entry["constants"]]
    return Calibration(
        Constants(**{name: float(value) for name, value in constants["values"].items()}),
        fitted_on=entry["constants"],
        how=constants["how"],
        validation=entry.get("validation"),
    )
