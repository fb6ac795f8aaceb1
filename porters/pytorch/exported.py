"""``exported:FILE.pt2``: what torch.export.save wrote, read without unpickling Python objects."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from porters.pytorch import checkpoints, dtypes
from porters.pytorch.original import TorchOriginal
from porters.pytorch.sources import versions
from porters.source import SourceOptions, with_inputs
from zoo.errors import UserError
from zoo.inputs import InputSpec, guess_kind

if TYPE_CHECKING:
    import torch

_FORCE_SAFE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def open_exported(rest: str, options: SourceOptions) -> TorchOriginal:
    """Return the original for a file that ``torch.export.save`` wrote.

    Raises:
        UserError: If it is none, or holds pickled objects other than tensors.
    """
    file = Path(rest).expanduser()
    if not file.is_file():
        raise UserError("the exported program does not exist", place=str(file))
    if options.weights is not None:
        raise UserError(
            "an exported program brings its own weights", place="--weights", expected="none", got=options.weights
        )
    program = _load(file)
    specs = exported_inputs(program)
    original = TorchOriginal(
        program.module(),
        reference=f"exported:{file.resolve()}",
        name=file.stem.lower(),
        task="unknown",
        inputs=with_inputs(specs, options.inputs),
        versions=versions("torch"),
        checkpoint={"kind": "file", "files": [checkpoints.describe(file)]},
    )
    original.details = {"program": program}
    return original


def _load(file: Path) -> torch.export.ExportedProgram:
    import torch

    try:
        with _without_pickles():
            return torch.export.load(file)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            "the file is no exported program that can be read safely",
            place=str(file),
            expected="what torch.export.save wrote, pickled tensors at most",
            got=lines[0][:200],
        ) from error


@contextlib.contextmanager
def _without_pickles() -> Iterator[None]:
    """Keep torch.export.load from unpickling what is no tensor; it asks for ``weights_only=False`` itself.

    The graph in the file is still torch's to parse, and its expressions go through SymPy's evaluator: this lowers
    the risk of a file from a stranger and does not end it.
    """
    from torch.export.pt2_archive import _package

    variable, module = os.environ.get(_FORCE_SAFE), _package.pickle
    os.environ[_FORCE_SAFE] = "1"
    _package.pickle = SimpleNamespace(loads=_refuse)
    try:
        yield
    finally:
        _package.pickle = module
        os.environ.pop(_FORCE_SAFE)
        if variable is not None:
            os.environ[_FORCE_SAFE] = variable


def _refuse(data: bytes) -> None:
    raise ValueError("the file holds a pickled object")


def exported_inputs(program: torch.export.ExportedProgram) -> list[InputSpec]:
    """Return the signature of an exported program; its symbolic dimensions keep torch's names."""
    fakes: dict[str, Any] = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    specs = []
    for name in program.graph_signature.user_inputs:
        fake = fakes.get(str(name))
        if fake is None or not hasattr(fake, "dtype"):
            continue
        shape = tuple(dim if isinstance(dim, int) else str(dim) for dim in fake.shape)
        dtype = dtypes.to_card(fake.dtype)
        specs.append(InputSpec(str(name), dtype, shape, guess_kind(str(name), dtype, shape)))
    return specs
