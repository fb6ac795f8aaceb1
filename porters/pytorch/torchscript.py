"""``torchscript:FILE``: a scripted or traced module, converted by torch itself where torch can."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from porters.pytorch import checkpoints
from porters.pytorch.original import TorchOriginal, to_tensor
from porters.pytorch.sources import blaming_inputs, failed, versions
from porters.source import SourceOptions
from zoo.errors import UserError
from zoo.inputs import InputSpec, sample


def open_torchscript(rest: str, options: SourceOptions) -> TorchOriginal:
    """Return the original for a file that ``torch.jit.save`` wrote; the file's own module is what a port is held to.

    Raises:
        UserError: If it is none, the inputs are not told, or torch cannot convert it.
    """
    file = Path(rest).expanduser()
    if not file.is_file():
        raise UserError("the TorchScript file does not exist", place=str(file))
    if options.weights is not None:
        raise UserError("a TorchScript file brings its own weights", place="--weights", got=options.weights)
    module = _load(file)
    names = [argument.name for argument in module.forward.schema.arguments[1:]]
    specs = _ordered(names, options.inputs, file)
    return TorchOriginal(
        module,
        reference=f"torchscript:{file.resolve()}",
        name=file.stem.lower(),
        task="unknown",
        inputs=specs,
        versions=versions("torch"),
        checkpoint={"kind": "file", "files": [checkpoints.describe(file)]},
        capturable=_converted(module, names, specs, file),
    )


def _load(file: Path) -> Any:
    import torch

    try:
        # TorchScript's own loader: its archive holds code for its interpreter and no Python objects.
        return torch.jit.load(file, map_location="cpu").eval()
    except Exception as error:
        raise failed("the file is no TorchScript module", str(file), error, "write it with torch.jit.save") from error


def _ordered(names: Sequence[str], given: Sequence[InputSpec], file: Path) -> list[InputSpec]:
    by_name = {spec.name: spec for spec in given}
    if not given or not set(by_name) <= set(names):
        raise UserError(
            "a TorchScript file does not tell the shapes of its inputs",
            place=str(file),
            expected="--input for each of " + ", ".join(names),
            got=", ".join(by_name) or "none",
            hint=f"--input {names[0] if names else 'x'}=batch,3,224,224:float32",
        )
    return [by_name[name] for name in names if name in by_name]


def _converted(module: Any, names: Sequence[str], specs: Sequence[InputSpec], file: Path) -> Any:
    """Return torch's conversion of a TorchScript module, which torch.export can capture."""
    import torch
    from torch._export.converter import TS2EPConverter

    feed = {name: to_tensor(array) for name, array in sample(specs, 0).items()}
    with blaming_inputs(specs), torch.no_grad():
        module(**feed)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = TS2EPConverter(module, tuple(feed[name] for name in names if name in feed), {}).convert()
    except Exception as error:
        hint = "port the model from its Python source, or from torch.export.save (exported:FILE.pt2)"
        raise failed("torch cannot convert the TorchScript module", str(file), error, hint) from error
    return program.module(check_guards=False)
