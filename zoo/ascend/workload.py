"""What a compiled graph asks of a chip, kernel by kernel, before anything is said of how fast the chip is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from zoo.ascend.hardware import Chip
from zoo.ascend.kernels import Kernel
from zoo.ascend.operators import ONE_BY_ONE, REDUCING, WINDOWED
from zoo.ascend.tiling import Tiling, tile

# Cycles of a block of the cube by operand, fp16 being 1: int8 goes in twice as deep (MKN 16, 32, 16), float32 at a
# quarter of the rate (910B3: 78 to 83 of 313 TFLOPS). For HF32 no rate is published: it is taken between the two.
_CYCLES = {"int8": 0.5, "fp32": 4.0, "hf32": 2.0}
# How far back a tensor was touched, where it never was: the inputs of the graph.
_NEVER = np.inf


@dataclasses.dataclass(frozen=True)
class Workload:
    """The work of ``n`` kernels as arrays of shape (n,), float64, and of their ``r`` reads of activations, (r,).

    Attributes:
        cube_cycles: Cycles of the busiest core's cube, padding and idle cores included (``zoo.ascend.tiling``).
        load_cycles: Cycles in which that core's operand buffers are filled.
        vector_passes: Elements times vector passes over them.
        read_bytes: Bytes of activations that are read.
        write_bytes: Bytes written.
        weight_bytes: Bytes of constants that are read.
        left_reads: How often the left operand is read, by different cores.
        right_reads: The same of the right operand.
        run_bytes: Bytes side by side in one move of a kernel that only moves; 0 for others.
        on_cube: Whether it has a matrix product.
        depthwise: Whether the product is one of a convolution in many groups.
        windowed: Whether it is a pool.
        reducing: Whether it brings elements together (softmax, norms, reductions).
        converting: Whether it changes a layout.
        on_cpu: Whether the AI CPU runs it.
        scalar_elements: Elements that are fetched or placed one by one, by indices.
        steps: Launches of the kernel, for what runs step by step.
        reader: Of each read of an activation, the kernel, int64.
        bytes: Its bytes.
        distance: Bytes touched since the tensor was touched last; infinite for an input of the graph.
        total_bytes: Bytes that the execution it belongs to touches in all.
    """

    cube_cycles: np.ndarray
    load_cycles: np.ndarray
    vector_passes: np.ndarray
    read_bytes: np.ndarray
    write_bytes: np.ndarray
    weight_bytes: np.ndarray
    left_reads: np.ndarray
    right_reads: np.ndarray
    run_bytes: np.ndarray
    on_cube: np.ndarray
    depthwise: np.ndarray
    windowed: np.ndarray
    reducing: np.ndarray
    converting: np.ndarray
    on_cpu: np.ndarray
    scalar_elements: np.ndarray
    steps: np.ndarray
    reader: np.ndarray
    bytes: np.ndarray
    distance: np.ndarray
    total_bytes: np.ndarray

    def __len__(self) -> int:
        return len(self.cube_cycles)


def workload(kernels: Sequence[Kernel], chip: Chip, element_bytes: int = 2) -> Workload:
    """Return the work of ``kernels``, in the order of execution, on ``chip``."""
    cuts = [tilings(kernel, chip, element_bytes) for kernel in kernels]
    reader, size, distance, total = _reuse(kernels)

    def column(values: Sequence[float]) -> np.ndarray:
        return np.array(values, np.float64)

    return Workload(
        cube_cycles=column(
            [
                sum(item.cube_cycles for item in found) * _CYCLES.get(kernel.precision, 1.0)
                for found, kernel in zip(cuts, kernels, strict=True)
            ]
        ),
        load_cycles=column([sum(item.load_cycles for item in found) for found in cuts]),
        vector_passes=column([kernel.passes for kernel in kernels]),
        read_bytes=column([_bytes(kernel, constant=False) for kernel in kernels]),
        write_bytes=column([sum(tensor.bytes for tensor in kernel.writes) for kernel in kernels]),
        weight_bytes=column([_bytes(kernel, constant=True) for kernel in kernels]),
        left_reads=column([_mean([item.left_reads for item in found]) for found in cuts]),
        right_reads=column([_mean([item.right_reads for item in found]) for found in cuts]),
        run_bytes=column([kernel.run_bytes for kernel in kernels]),
        on_cube=np.array([bool(kernel.products) for kernel in kernels], bool),
        depthwise=np.array([kernel.grouped for kernel in kernels], bool),
        windowed=np.array([kernel.operator in WINDOWED for kernel in kernels], bool),
        reducing=np.array([kernel.operator in REDUCING for kernel in kernels], bool),
        converting=np.array([kernel.converts for kernel in kernels], bool),
        on_cpu=np.array([kernel.unit in ("aicpu", "unsupported") for kernel in kernels], bool),
        scalar_elements=column([kernel.elements if kernel.operator in ONE_BY_ONE else 0 for kernel in kernels]),
        steps=column([kernel.steps for kernel in kernels]),
        reader=reader,
        bytes=size,
        distance=distance,
        total_bytes=np.full(len(kernels), total),
    )


def joined(works: Sequence[Workload]) -> Workload:
    """Return the kernels of several executions as one workload, so that all their times are computed at once."""
    starts = np.cumsum([0, *(len(work) for work in works)])
    fields = {
        field.name: np.concatenate([getattr(work, field.name) for work in works])
        for field in dataclasses.fields(Workload)
    }
    readers = [work.reader + start for work, start in zip(works, starts, strict=False)]
    return Workload(**{**fields, "reader": np.concatenate(readers)})


def tilings(kernel: Kernel, chip: Chip, element_bytes: int = 2) -> list[Tiling]:
    """Return how each product of ``kernel`` is cut."""
    return [tile(product, chip, element_bytes) for product in kernel.products]


def _bytes(kernel: Kernel, *, constant: bool) -> int:
    return sum(tensor.bytes for tensor in kernel.reads if tensor.constant is constant)


def _mean(values: Sequence[int]) -> float:
    return max(1.0, sum(values) / len(values)) if values else 1.0


def _reuse(kernels: Sequence[Kernel]) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return kernel, bytes and reuse distance of every read of an activation, and the bytes touched in all.

    The distance of a read is how many bytes were read and written since the tensor was: a cache of that size that
    throws out what was not touched for longest still holds it (Mattson et al., 1970, counting repeats as new bytes).
    """
    touched: dict[str, float] = {}
    clock = 0.0
    reader, size, distance = [], [], []
    for index, kernel in enumerate(kernels):
        for tensor in kernel.reads:
            if not tensor.constant:
                reader.append(index)
                size.append(tensor.bytes)
                distance.append(clock - touched[tensor.name] if tensor.name in touched else _NEVER)
        clock += sum(tensor.bytes for tensor in (*kernel.reads, *kernel.writes))
        for tensor in (*kernel.reads, *kernel.writes):
            touched[tensor.name] = clock
    return np.array(reader, np.int64), np.array(size, np.float64), np.array(distance, np.float64), clock
