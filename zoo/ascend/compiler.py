"""Compiles an ONNX model to an ONNX model that computes what a chip would: the list of passes, top to bottom."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx_ir as ir
from onnx_ir.passes import InPlacePass

from zoo.ascend.functions import DOMAIN
from zoo.ascend.hardware import Chip
from zoo.ascend.passes.assign_formats import AssignFormatsPass
from zoo.ascend.passes.assign_precision import AssignPrecisionPass
from zoo.ascend.passes.assign_units import AssignUnitsPass
from zoo.ascend.passes.clean_up import CleanUpPass
from zoo.ascend.passes.elide_rounding import ElideRoundingPass
from zoo.ascend.passes.fold_constants import FoldConstantsPass
from zoo.ascend.passes.fuse import FusePass
from zoo.ascend.passes.infer_types import InferTypesPass
from zoo.ascend.passes.inline_functions import InlineFunctionsPass
from zoo.ascend.passes.lower_attention import LowerAttentionPass
from zoo.ascend.passes.lower_cube import LowerCubePass
from zoo.ascend.passes.lower_quantized import LowerQuantizedPass
from zoo.ascend.passes.lower_vector import LowerVectorPass
from zoo.ascend.passes.specialise import SpecialisePass
from zoo.ascend.passes.split_attention import SplitAttentionPass
from zoo.ascend.precision import DEFAULT_MODE, HIGH_PERFORMANCE, Settings, settings
from zoo.ascend.verifier import verify
from zoo.errors import UserError

_OLDEST_OPSET = 13
_FUNCTION_METADATA_IR = 10


def static_passes(sizes: Mapping[str, int]) -> list[InPlacePass]:
    """Return the passes that make a graph static, before anything else is done to it."""
    return [
        InlineFunctionsPass(),
        SpecialisePass(sizes),
        FoldConstantsPass(),
        InferTypesPass(),
        FoldConstantsPass(),
        CleanUpPass(),
    ]


def kernel_passes(chip: Chip, *, aipp: bool = False, small_channel: bool = False) -> list[InPlacePass]:
    """Return the passes that turn a static graph with the chip's numerics into kernels; they change no number."""
    return [
        SplitAttentionPass(chip),
        FusePass(),
        AssignFormatsPass(chip, aipp=aipp, small_channel=small_channel),
    ]


def passes(chip: Chip, wanted: Settings | None = None) -> list[InPlacePass]:
    """Return the passes that give a graph the chip's numerics, in order; the model is verified after each."""
    wanted = wanted or settings(chip)
    return [
        InlineFunctionsPass(),
        InferTypesPass(),
        LowerQuantizedPass(chip, wanted),
        AssignPrecisionPass(chip, wanted),
        LowerCubePass(chip),
        LowerAttentionPass(chip, wanted),
        LowerVectorPass(chip, wanted),
        ElideRoundingPass(chip),
        AssignUnitsPass(chip),
    ]


def compile_model(
    model: ir.Model,
    chip: Chip,
    precision: str = DEFAULT_MODE,
    *,
    keep: Collection[str] = (),
    implementation: str = HIGH_PERFORMANCE,
) -> ir.Model:
    """Return ``model`` compiled for ``chip``: same inputs, outputs and weights, the chip's numerics.

    The result is an ordinary ONNX model. Each operator of the cube is a call of a function in the domain
    ``ai.ascend`` whose body is its definition; each node's metadata says which unit runs it, in which precision, and
    why.

    Args:
        model: A model of standard operators, opset 13 or later. It is left as it is; its tensors are shared.
        chip: The target, from ``load_chip``.
        precision: A mode of ``zoo.ascend.precision``. ``cube_fp16``: the cube multiplies fp16, sums in float32 and
            returns fp16; the vector unit computes in float32. Operators of other types than float32 are left as they
            are.
        keep: Patterns of node names or source modules that stay in float32.
        implementation: ``high_performance`` or ``high_precision`` kernels for fp16 on the vector unit.

    Raises:
        UserError: If the precision is not known, the chip lacks its type, or the model cannot be compiled.
    """
    wanted = settings(chip, precision, keep, implementation)
    _check(model)
    compiled = model.clone()
    # Functions may carry types and metadata from this version on.
    compiled.ir_version = max(model.ir_version, _FUNCTION_METADATA_IR)
    for step in passes(chip, wanted):
        step(compiled)
        verify(compiled, after=type(step).__name__)
    compiled.metadata_props.update({"ascend.chip": chip.name, "ascend.precision": wanted.mode.name})
    return compiled


def _check(model: ir.Model) -> None:
    """Raise the UserError that explains why ``model`` cannot be compiled, if it cannot."""
    if any(domain == DOMAIN for domain, _, _ in model.functions):
        raise UserError(
            "the model is compiled already",
            place=f"its operators of the domain {DOMAIN}",
            hint="compile the model that the program was made from",
        )
    opset = model.graph.opset_imports.get("", 0)
    if opset < _OLDEST_OPSET:
        raise UserError(
            "the model's opset is too old to compile",
            expected=f"opset {_OLDEST_OPSET} or later",
            got=f"opset {opset}",
            hint="convert the model with onnx.version_converter",
        )
