"""The way out for a whole model: torch.onnx, brought into the zoo's format; the card names it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from porters.porter import UnsupportedOpsError
from porters.pytorch.original import TorchOriginal
from zoo.errors import UserError, missing_extra
from zoo.graph import IR_VERSION, OPSET, PARAMETER, PRODUCER
from zoo.inputs import InputSpec


def export_by_torch(
    original: TorchOriginal, program: Any, specs: Sequence[InputSpec], unsupported: UnsupportedOpsError
) -> ir.Model:
    """Translate an exported program by torch.onnx.

    Raises:
        UserError: With every operator that neither side can translate.
    """
    import torch

    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise missing_extra("onnxscript", "torch", "the fallback to torch.onnx") from error
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exported = torch.onnx.export(program, dynamo=True, verbose=False, opset_version=OPSET, optimize=True)
    except Exception as error:
        raise refused(unsupported, str(error).strip().splitlines()[0][:200]) from error
    model: ir.Model = exported.model
    names = dict(zip([i.name for i in model.graph.inputs], specs, strict=False))
    for value, spec in zip(model.graph.inputs, specs, strict=True):
        value.name = names[value.name].name
        value.shape = ir.Shape(spec.shape)
    for value, name in zip(model.graph.outputs, original.outputs, strict=True):
        value.name = name
    _mark_parameters(model, original)
    model.ir_version, model.producer_name, model.producer_version = IR_VERSION, PRODUCER, None
    return model


def _mark_parameters(model: ir.Model, original: TorchOriginal) -> None:
    names = set(original.model.state_dict())
    for name, value in model.graph.initializers.items():
        if name in names and value.const_value is not None:
            value.const_value.metadata_props[PARAMETER] = name


def refused(unsupported: UnsupportedOpsError, torch_says: str) -> UserError:
    """Return the error that lists every unsupported operator and where it stands."""
    lines = [
        f"{item.op}  in {item.module or 'the model'}  at {item.line or 'an unknown line'}"
        + (f"  ({item.hint})" if item.hint else "")
        for item in unsupported.ops
    ]
    return UserError(
        f"{len(lines)} operator(s) have no translation:\n    " + "\n    ".join(dict.fromkeys(lines)),
        got=f"torch.onnx does not manage the model either: {torch_says}",
        hint="register a translator (CONTRIBUTING.md: adding an op), or replace the operator in the model",
    )
