"""Captures a model's graph with torch.export: symbolic sizes where the model allows them, its own where it does not."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from porters.porter import Ranges
from porters.pytorch.guards import tight
from porters.pytorch.known_values import known_values
from porters.pytorch.original import TorchOriginal, to_tensor
from porters.pytorch.sources import blaming_inputs
from porters.pytorch.whole_functions import whole_functions
from zoo.errors import UserError
from zoo.inputs import InputSpec, sample

if TYPE_CHECKING:
    import torch

_STANDARD_LIBRARY = str(Path(contextlib.__file__).parent)


def capture(original: TorchOriginal, dynamic: Ranges) -> tuple[Any, list[str]]:
    """Return the exported program and notes for the card; ``original.outputs`` is filled in where it can be run.

    Raises:
        UserError: If the original does not run on its inputs, or torch.export cannot capture it at all.
    """
    program = original.details.get("program")
    if program is not None:
        return program, []
    try:
        return _capture(original, dynamic)
    except UserError:
        kept = [spec for spec in original.inputs if spec.name not in original.optional]
        if len(kept) == len(original.inputs):
            raise
        original.inputs = kept
        program, notes = _capture(original, dynamic)
        return program, [*notes, f"without {', '.join(original.optional)}: the model branches on values of theirs"]


def input_names(program: Any, original: TorchOriginal) -> dict[str, str]:
    """Return the signature's name of each placeholder of a program that stands for one of its inputs."""
    from torch.utils import _pytree as pytree

    if original.capturable is not None:
        return dict(zip(program.graph_signature.user_inputs, [spec.name for spec in original.inputs], strict=True))
    if original.call is None:
        return {spec.name: spec.name for spec in original.inputs}
    _, given = pytree.tree_unflatten(list(program.graph_signature.user_inputs), program.call_spec.in_spec)
    placeholders = dict(pytree.tree_flatten_with_path(given)[0])
    wanted = dict(pytree.tree_flatten_with_path(dict(original.call))[0])
    names = {spec.name for spec in original.inputs}
    return {placeholders[path]: leaf for path, leaf in wanted.items() if leaf in names}


def _capture(original: TorchOriginal, dynamic: Ranges) -> tuple[Any, list[str]]:
    import torch

    device = "cpu" if original.on_disk is None else "meta"
    feed = original.arguments(_example(original.inputs, dynamic, device))
    if original.runs:
        with torch.no_grad(), blaming_inputs(original.inputs):
            original.outputs = list(original.outputs_of(original.model(**feed)))
    symbolic = _symbolic(original, dynamic)
    # The model's own sizes come last: a batch of one, where the symbolic one was two.
    attempts: list[tuple[dict[str, Any], Any, bool]] = [(feed, symbolic, False), (feed, symbolic, True)]
    if any(isinstance(dim, str) for spec in original.inputs for dim in spec.shape):
        attempts.append((original.arguments(_example(original.inputs, dynamic, device, batch=1)), None, True))
    errors: list[Exception] = []
    open_sizes: Any = None
    for example, shapes, follow in attempts:
        try:
            program = _export(original, example, shapes, follow)
            bound = tight(program, original.inputs, dynamic) if shapes is not None else []
            if bound:
                program = _export(original, example, _symbolic(original, dynamic, bound), follow)
        except Exception as error:
            errors.append(error)
            continue
        if not follow and _decided_by_data(program):
            open_sizes = program  # with known values there may be no such sizes
            continue
        if shapes is not None:
            return program, []
        if open_sizes is None:
            return program, [f"every size is fixed: torch.export refuses symbolic ones ({_cause(errors[0])})"]
    if open_sizes is not None:
        return open_sizes, []
    raise _export_failed(original, errors[-1]) from errors[-1]


def _decided_by_data(program: Any) -> bool:
    """Say whether the program has sizes or numbers that torch.export could not tell."""
    return any(node.meta.get("unbacked_bindings") for node in program.graph.nodes)


def _export(original: TorchOriginal, example: Any, shapes: Any, follow: bool) -> Any:
    import torch

    if original.capturable is not None:  # its inputs have names of their own, in the same order
        places = None if shapes is None else tuple(shapes.values())
        with torch.no_grad():
            return torch.export.export(
                original.capturable, tuple(example.values()), dynamic_shapes=places, strict=False
            )
    follower = known_values(original.model) if follow else contextlib.nullcontext()
    # Looking for such functions takes longer than a small model's whole translation: only where there may be some.
    wholes = whole_functions() if follow or _detects(original.model) else contextlib.nullcontext()
    with torch.no_grad(), wholes, follower:
        program = torch.export.export(original.model, (), example, dynamic_shapes=shapes, strict=False)
    return _without_vmap(program)


def _detects(model: torch.nn.Module) -> bool:
    """Say whether a model is built of torchvision's parts for detection."""
    return any(
        type(part).__module__.startswith(("torchvision.models.detection", "torchvision.ops"))
        for part in model.modules()
    )


def _without_vmap(program: Any) -> Any:
    """Trace a program once more, with no decompositions, where a vmap stands in it as steps of its own."""
    if not any("_functorch.predispatch" in str(getattr(node.target, "__module__", "")) for node in program.graph.nodes):
        return program
    guards = getattr(program, "_guards_code", None)
    plain = program.run_decompositions({})
    plain._guards_code = guards  # they are those of the first trace
    return plain


def _symbolic(original: TorchOriginal, dynamic: Ranges, bound: Sequence[str] = ()) -> Any:
    """Return torch.export's ``dynamic_shapes`` for the keyword arguments of ``forward``; ``bound`` ones are fixed."""
    from torch.utils import _pytree as pytree

    symbolic: dict[str, Any] = {
        spec.name: {
            axis: _dim(dim, dynamic) for axis, dim in enumerate(spec.shape) if isinstance(dim, str) and dim not in bound
        }
        for spec in original.inputs
    }
    if original.call is None:
        return symbolic
    # What is no input has no dimensions.
    return pytree.tree_map(lambda leaf: symbolic.get(leaf) if isinstance(leaf, str) else None, original.call)


def _dim(name: str, dynamic: Ranges) -> Any:
    import torch

    if name not in dynamic:
        return torch.export.Dim.AUTO
    low, high = dynamic[name]
    return torch.export.Dim.AUTO(min=low, max=high) if high is not None else torch.export.Dim.AUTO(min=low)


def _example(specs: Sequence[InputSpec], dynamic: Ranges, device: str, batch: int = 2) -> dict[str, torch.Tensor]:
    # torch.export takes a size of 0 or 1 for a constant: a symbolic dimension needs at least 2 to be traced.
    sizes = {name: max(low, 2) for name, (low, _) in dynamic.items()}
    feed = sample(specs, 0, sizes={"batch": batch, **sizes})
    return {name: to_tensor(array).to(device) for name, array in feed.items()}


def _cause(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


def _is_standard(file: str) -> bool:
    return file.startswith(_STANDARD_LIBRARY) and "site-packages" not in file


def _export_failed(original: TorchOriginal, error: BaseException) -> UserError:
    place = ""
    frame = error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if "/torch/" not in file and "/porters/" not in file and not _is_standard(file):
            place = f"{file.rpartition('site-packages/')[2]}:{frame.tb_lineno}"
        frame = frame.tb_next
    return UserError(
        "torch.export cannot capture the model",
        place=place or original.reference or original.name,
        got=f"{type(error).__name__}: {_cause(error)}",
        hint="check the inputs (--input); Python control flow over data must become torch.cond or torch.where",
    )
