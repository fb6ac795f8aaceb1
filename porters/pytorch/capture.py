"""Captures a model's graph with torch.export: symbolic sizes where the model allows them, its own where it does not."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from porters.porter import PrecisionUnavailableError, Ranges
from porters.pytorch.decisions import Place, Settled, UndecidedError, deciding
from porters.pytorch.eager_ways import eager_ways
from porters.pytorch.guards import tight
from porters.pytorch.known_values import known_values
from porters.pytorch.original import TorchOriginal, to_tensor
from porters.pytorch.sources import blaming_inputs
from porters.pytorch.whole_functions import whole_functions
from zoo.errors import UserError
from zoo.inputs import InputSpec, sample

if TYPE_CHECKING:
    import torch

# Places where a model decides by its data that are settled before it counts as one that cannot be captured, and the
# seeded inputs that the original is asked on for each.
MOST_DECISIONS, DECISION_CASES = 8, 4

_STANDARD_LIBRARY = str(Path(contextlib.__file__).parent)


def capture(original: TorchOriginal, dynamic: Ranges, fixed: Sequence[str] = ()) -> tuple[Any, list[str]]:
    """Return the exported program and notes for the card; ``original.outputs`` is filled in where it can be run.

    The dimensions ``fixed`` have the sizes of the example.

    Raises:
        UserError: If the original does not run on its inputs, or torch.export cannot capture it at all.
    """
    program = original.details.get("program")
    if program is not None:
        return program, []
    inputs = original.inputs
    problem: UserError | None = None
    optional, whole = tuple(original.optional), tuple(original.whole)
    for left_out in dict.fromkeys(((), optional, whole, optional + whole)):
        original.inputs = [spec for spec in inputs if spec.name not in left_out]
        if left_out and len(original.inputs) == len(inputs):
            continue
        try:
            program, notes = _capture(original, dynamic, fixed)
        except UserError as error:
            problem = problem or error
            continue
        return program, [*notes, *_without(original, left_out)]
    original.inputs = inputs
    assert problem is not None
    raise problem


def _without(original: TorchOriginal, left_out: Sequence[str]) -> list[str]:
    """Return what the card says of inputs that a port does without."""
    optional = [name for name in left_out if name not in original.whole]
    said = [f"without {', '.join(optional)}: the model branches on values of theirs"] if optional else []
    whole = [name for name in left_out if name in original.whole]
    return [*said, *(f"{name} is all ones: the model branches on its values" for name in whole)]


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


def _capture(original: TorchOriginal, dynamic: Ranges, fixed: Sequence[str]) -> tuple[Any, list[str]]:
    import torch

    device = "cpu" if original.on_disk is None else "meta"
    feed = original.arguments(_example(original.inputs, dynamic, device))
    if original.runs:
        with torch.no_grad(), blaming_inputs(original.inputs):
            original.outputs = list(original.outputs_of(original.model(**feed)))
    symbolic = _symbolic(original, dynamic, fixed)
    # The model's own sizes come last: a batch of one, where the symbolic one was two.
    attempts: list[tuple[dict[str, Any], Any, bool]] = [(feed, symbolic, False), (feed, symbolic, True)]
    one = original.arguments(_example(original.inputs, dynamic, device, batch=1))
    if any(isinstance(dim, str) for spec in original.inputs for dim in spec.shape):
        attempts.append((one, None, True))
    errors: list[Exception] = []
    open_sizes: Any = None
    settled = Settled()
    for example, shapes, follow in attempts:
        try:
            program = _settling(original, example, shapes, follow, settled)
            bound = tight(program, original.inputs, dynamic) if shapes is not None else []
            if bound:
                # Where the code goes over the samples one by one, one of them is the most useful number.
                fewest = one if "batch" in bound else example
                program = _settling(original, fewest, _symbolic(original, dynamic, [*fixed, *bound]), follow, settled)
        except Exception as error:
            errors.append(error)
            continue
        if not follow and _decided_by_data(program):
            open_sizes = program  # with known values there may be no such sizes
            continue
        if shapes is not None:
            return program, settled.reasons
        if open_sizes is None:
            refused = f"every size is fixed: torch.export refuses symbolic ones ({_cause(errors[0])})"
            return program, [refused, *settled.reasons]
    if open_sizes is not None:
        return open_sizes, []
    raise _export_failed(original, errors[-1]) from errors[-1]


def _settling(original: TorchOriginal, example: Any, shapes: Any, follow: bool, settled: Settled) -> Any:
    """Export, with what the model decides by its data settled one by one where values are followed."""
    while True:
        try:
            return _export(original, example, shapes, follow, settled.ways)
        except UndecidedError as question:
            if len(settled.ways) == MOST_DECISIONS or not settled.settle(
                question.place, functools.partial(_answers, original)
            ):
                raise question.__cause__ or question from None


def _answers(original: TorchOriginal, context: Any) -> list[dict[str, Any]]:
    """Return what the original says inside ``context`` on seeded inputs of one sample, in float64 where it can."""
    if not original.runs:
        raise PrecisionUnavailableError("the weights stay on disk")
    found = []
    for case in range(DECISION_CASES):
        feed = sample(original.inputs, 0, case, {"batch": 1})
        with context:
            found.append(original.run(feed, "float64"))
    return found


def _decided_by_data(program: Any) -> bool:
    """Say whether the program has sizes or numbers that torch.export could not tell."""
    return any(node.meta.get("unbacked_bindings") for node in program.graph.nodes)


def _export(original: TorchOriginal, example: Any, shapes: Any, follow: bool, ways: Mapping[Place, bool]) -> Any:
    import torch

    if original.capturable is not None:  # its inputs have names of their own, in the same order
        places = None if shapes is None else tuple(shapes.values())
        with torch.no_grad():
            return torch.export.export(
                original.capturable, tuple(example.values()), dynamic_shapes=places, strict=False
            )
    follower = known_values(original.model) if follow else contextlib.nullcontext()
    decider = deciding(original.model, ways) if follow else contextlib.nullcontext()
    # Looking for such functions takes longer than a small model's whole translation: only where there may be some.
    wholes = whole_functions() if follow or _detects(original.model) else contextlib.nullcontext()
    with torch.no_grad(), wholes, follower, decider, eager_ways():
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
