"""A model compiled for one chip and one size of its inputs: the graph, its kernels, and what the cost model says."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Final

import onnx_ir as ir

from zoo.ascend.compiler import compile_model, kernel_passes, static_passes
from zoo.ascend.cost import Calibration, Costs, calibration, costs
from zoo.ascend.hardware import Chip
from zoo.ascend.kernels import Kernel, kernels_of
from zoo.ascend.passes.specialise import symbols
from zoo.ascend.precision import HIGH_PERFORMANCE, find_mode
from zoo.ascend.verifier import verify
from zoo.ascend.workload import Workload, workload
from zoo.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """What ATC is told beside the model.

    Attributes:
        precision: The precision mode; by default ATC's own, with which published measurements were made.
        keep: Patterns of node names or source modules that stay in float32.
        implementation: ``high_performance`` or ``high_precision`` kernels for fp16 on the vector unit.
        aipp: Whether pictures are brought into a first convolution's layout on their way in (``--insert_op_conf``), so
            that no TransData is needed.
        small_channel: Whether that convolution then takes its up to 4 channels unpadded (``enable_small_channel``).
    """

    precision: str = "force_fp16"
    keep: tuple[str, ...] = ()
    implementation: str = HIGH_PERFORMANCE
    aipp: bool = False
    small_channel: bool = False


DEFAULT: Final = Options()


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled model.

    Attributes:
        model: The graph: static shapes, the chip's numerics, a kernel number, unit and layout on every node.
        chip: The target.
        sizes: The sizes that symbolic dimensions were given.
        precision: The precision mode.
        kernels: The kernels in the order of execution.
    """

    model: ir.Model = dataclasses.field(repr=False)
    chip: Chip
    sizes: Mapping[str, int]
    precision: str
    kernels: Sequence[Kernel] = dataclasses.field(repr=False)

    @functools.cached_property
    def workload(self) -> Workload:
        """What the kernels ask of the chip."""
        return workload(self.kernels, self.chip)

    @property
    def samples(self) -> int:
        """Samples per execution: the size of the dimension ``batch``, or 1 where there is none."""
        return self.sizes.get("batch", 1)

    @functools.cached_property
    def calibration(self) -> Calibration:
        """The fitted constants behind every modelled time."""
        return calibration(self.chip.name)

    @functools.cached_property
    def costs(self) -> Costs:
        """Modelled times of the kernels."""
        return costs(self.workload, self.chip, self.calibration.constants)

    @property
    def seconds(self) -> float:
        """Modelled time of one execution, in seconds."""
        return self.calibration.constants.execution_s + float(self.costs.seconds.sum())


def build(model: ir.Model, chip: Chip, sizes: Mapping[str, int], options: Options = DEFAULT) -> Program:
    """Compile ``model`` for ``chip`` and one size of its inputs.

    Args:
        model: A model of standard operators. It is left as it is; its tensors are shared.
        chip: The target, from ``load_chip``.
        sizes: The size of every symbolic dimension of the inputs.
        options: Precision and layout of the inputs.

    Raises:
        UserError: If a dimension has no size, or the model cannot be compiled.
    """
    missing = [name for name in symbols(model) if name not in sizes]
    if missing:
        raise UserError(
            "a dimension of the inputs has no size",
            expected=f"a size for each of {', '.join(symbols(model))}",
            got=", ".join(f"{name}={size}" for name, size in sizes.items()) or "none",
            hint=f"give {missing[0]} a size: the chip runs static graphs",
        )
    static = model.clone()
    for step in static_passes(sizes):
        step(static)
        verify(static, after=type(step).__name__)
    compiled = compile_model(static, chip, options.precision, keep=options.keep, implementation=options.implementation)
    for step in kernel_passes(chip, aipp=options.aipp, small_channel=options.small_channel):
        step(compiled)
        verify(compiled, after=type(step).__name__)
    return Program(compiled, chip, dict(sizes), find_mode(options.precision).name, kernels_of(compiled))
