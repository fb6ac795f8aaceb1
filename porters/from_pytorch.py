"""The PyTorch porter: torch.export's graph as it comes, walked once by our own translators."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from porters.canonicalize import canonicalize
from porters.porter import Original, Translation, UnsupportedOpsError
from porters.pytorch.original import TorchOriginal, named_outputs, to_tensor
from porters.pytorch.sources import blaming_inputs
from porters.pytorch.walker import Walker
from zoo.errors import UserError
from zoo.graph import GraphBuilder
from zoo.inputs import InputSpec, sample

if TYPE_CHECKING:
    import torch


class PyTorchPorter:
    """See ``porters.porter.Porter``."""

    framework = "pytorch"

    def translate(
        self, original: Original, *, dynamic: Mapping[str, tuple[int, int | None]] | None = None
    ) -> Translation:
        """Export and walk; where an operator has no translation the whole model goes through torch.onnx."""
        assert isinstance(original, TorchOriginal)
        started = time.perf_counter()
        program, notes = _export(original, dynamic or {})
        exported = time.perf_counter()
        specs = _ported_signature(program, original.inputs, notes)
        try:
            model = _walk(original, program, specs)
            translation = Translation(model, specs, notes=notes)
        except UnsupportedOpsError as error:
            translation = _fall_back(original, program, specs, error, notes)
        canonicalize(translation.model)
        translation.seconds = {"export": exported - started, "translate": time.perf_counter() - exported}
        return translation


PORTER = PyTorchPorter()


def _export(original: TorchOriginal, dynamic: Mapping[str, tuple[int, int | None]]) -> tuple[Any, list[str]]:
    """Export with symbolic dimensions; where the model forbids them, with the sizes of the signature."""
    import torch

    program = original.details.get("program")
    if program is not None:
        return program, []
    symbolic = {
        spec.name: {axis: _dim(dim, dynamic) for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
        for spec in original.inputs
    }
    feed = _example(original.inputs, dynamic)
    with torch.no_grad():
        with blaming_inputs(original.inputs):
            original.outputs = list(named_outputs(original.model(**feed)))
        try:
            return torch.export.export(original.model, (), feed, dynamic_shapes=symbolic, strict=False), []
        except Exception as error:
            first = error
        if not any(symbolic.values()):
            raise _export_failed(original, first)
        try:
            # The model's own sizes: a batch of one, where the symbolic one was two.
            fixed = dict(_example(original.inputs, dynamic, batch=1).items())
            program = torch.export.export(original.model, (), fixed, strict=False)
        except Exception as error:
            raise _export_failed(original, error) from error
    return program, [f"every size is fixed: torch.export refuses symbolic ones ({_cause(first)})"]


def _dim(name: str, dynamic: Mapping[str, tuple[int, int | None]]) -> Any:
    import torch

    if name not in dynamic:
        return torch.export.Dim.AUTO
    low, high = dynamic[name]
    return torch.export.Dim.AUTO(min=low, max=high) if high is not None else torch.export.Dim.AUTO(min=low)


def _example(
    specs: Sequence[InputSpec], dynamic: Mapping[str, tuple[int, int | None]], batch: int = 2
) -> dict[str, torch.Tensor]:
    # torch.export takes a size of 0 or 1 for a constant: a symbolic dimension needs at least 2 to be traced.
    sizes = {name: max(low, 2) for name, (low, _) in dynamic.items()}
    feed = sample(specs, 0, sizes={"batch": batch, **sizes})
    return {name: to_tensor(array) for name, array in feed.items()}


def _cause(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


def _export_failed(original: TorchOriginal, error: BaseException) -> UserError:
    place = ""
    frame = error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if "/torch/" not in file and "/porters/" not in file:
            place = f"{file.rpartition('site-packages/')[2]}:{frame.tb_lineno}"
        frame = frame.tb_next
    return UserError(
        "torch.export cannot capture the model",
        place=place or original.reference or original.name,
        got=f"{type(error).__name__}: {_cause(error)}",
        hint="check the inputs (--input); Python control flow over data must become torch.cond or torch.where",
    )


def _ported_signature(program: Any, specs: Sequence[InputSpec], notes: list[str]) -> list[InputSpec]:
    """Return the signature with the dimensions that torch.export had to fix as integers, and note each."""
    fakes = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    ported = []
    for spec in specs:
        fake = fakes.get(spec.name)
        if fake is None or not hasattr(fake, "shape"):
            ported.append(spec)
            continue
        shape = tuple(_ported_size(want, have) for want, have in zip(spec.shape, fake.shape, strict=True))
        for want, have in zip(spec.shape, shape, strict=True):
            if want != have and not any("every size" in note for note in notes):
                notes.append(f"{spec.name}: the model fixes dimension {want!r} to {have}")
        ported.append(replace(spec, shape=shape))
    return ported


def _ported_size(want: int | str, have: Any) -> int | str:
    """Return a dimension's name, or the integer that torch.export fixed it to, be it behind a symbol."""
    known = have if isinstance(have, int) else have.node.maybe_as_int()
    return want if known is None else int(known)


def _walk(original: TorchOriginal, program: Any, specs: Sequence[InputSpec]) -> ir.Model:
    g = GraphBuilder(original.name)
    walker = Walker(g)
    names = {(spec.name, axis): dim for spec in specs for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
    # Interface names come first: a weight or node that is called the same takes another name, an output never does.
    reserved = {name: g.unique(name) for name in original.outputs if name not in {spec.name for spec in specs}}
    outputs = walker.program(program, names)
    if not original.outputs:
        original.outputs = _output_names(program, len(outputs))
    results = []
    for name, value in zip(original.outputs, outputs, strict=True):
        results.append(_named(g, walker, name, value, name in reserved))
    return g.finish(results)


def _named(g: GraphBuilder, walker: Walker, name: str, value: ir.Value, reserved: bool) -> ir.Value:
    """Give an output its name; what is an input, a weight or an output already goes through an Identity."""
    taken = value.producer() is None or value.metadata_props.get("zooport.output")
    if taken:
        sizes = walker.symbols.sizes_of(value)
        value = g.op("Identity", value, dtype=value.dtype, name=name)
        walker.symbols.remember(value, sizes)
    value.name = name if reserved or value.name == name else g.unique(name)
    value.metadata_props["zooport.output"] = "1"
    return value


def _output_names(program: Any, count: int) -> list[str]:
    import torch
    from torch.utils import _pytree as pytree

    spec = program.call_spec.out_spec
    dummy = pytree.tree_unflatten([torch.empty(0) for _ in range(spec.num_leaves)], spec)
    names = list(named_outputs(dummy))
    return names if len(names) == count else [f"output_{i}" for i in range(count)]


def _fall_back(
    original: TorchOriginal, program: Any, specs: Sequence[InputSpec], error: UnsupportedOpsError, notes: list[str]
) -> Translation:
    from porters.pytorch.fallback import export_by_torch

    model = export_by_torch(original, program, specs, error)
    kinds = sorted({item.op for item in error.ops})
    reason = f"no translator for {', '.join(kinds)}"
    return Translation(model, specs, fallback=reason, unsupported=error.ops, notes=notes)
