"""The PyTorch porter: torch.export's graph as it comes, walked once by our own translators."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import onnx_ir as ir

from porters.canonicalize import canonicalize
from porters.porter import Original, Ranges, Translation, UnsupportedOpsError
from porters.pytorch.capture import capture, input_names
from porters.pytorch.guards import least
from porters.pytorch.original import TorchOriginal
from porters.pytorch.refusals import refuse_draws
from porters.pytorch.walker import Walker
from zoo.errors import UserError
from zoo.graph import GraphBuilder
from zoo.inputs import InputSpec


class PyTorchPorter:
    """See ``porters.porter.Porter``."""

    framework = "pytorch"

    def translate(
        self, original: Original, *, dynamic: Mapping[str, tuple[int, int | None]] | None = None
    ) -> Translation:
        """Export and walk; where an operator has no translation the whole model goes through torch.onnx."""
        assert isinstance(original, TorchOriginal)
        started = time.perf_counter()
        program, notes = capture(original, dynamic or {})
        exported = time.perf_counter()
        names = input_names(program, original)
        specs = _ported_signature(program, original.inputs, names, notes)
        try:
            translation = Translation(_walk(original, program, specs, names), specs, notes=notes)
        except UnsupportedOpsError as error:
            refuse_draws(error.ops)
            translation = _of_fixed_sizes(original, dynamic or {}, error) or _fall_back(
                original, program, specs, error, notes
            )
        canonicalize(translation.model)
        translation.seconds = {"export": exported - started, "translate": time.perf_counter() - exported}
        return translation


PORTER = PyTorchPorter()


def _ported_signature(
    program: Any, specs: Sequence[InputSpec], names: Mapping[str, str], notes: list[str]
) -> list[InputSpec]:
    """Return the signature with the dimensions that torch.export had to fix as integers, and note each."""
    fakes = {names.get(node.name): node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
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
    return _bounded(program, ported, notes)


def _bounded(program: Any, specs: Sequence[InputSpec], notes: list[str]) -> list[InputSpec]:
    """Return the signature with the least sizes for which the program holds, and note each."""
    found = least(program, specs)
    notes += [
        f"dimension {dim!r} is at least {size}: the model is another program below" for dim, size in found.items()
    ]
    return [
        replace(spec, least={dim: found[dim] for dim in spec.shape if isinstance(dim, str) and dim in found})
        if set(spec.shape) & set(found)
        else spec
        for spec in specs
    ]


def _ported_size(want: int | str, have: Any) -> int | str:
    """Return a dimension's name, or the integer that torch.export fixed it to, be it behind a symbol."""
    known = have if isinstance(have, int) else have.node.maybe_as_int()
    return want if known is None else int(known)


def _walk(original: TorchOriginal, program: Any, specs: Sequence[InputSpec], given: Mapping[str, str]) -> ir.Model:
    g = GraphBuilder(original.name)
    walker = Walker(g, given, original.on_disk)
    names = {(spec.name, axis): dim for spec in specs for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
    # Interface names come first: a weight or node that is called the same takes another name, an output never does.
    reserved = {name: g.unique(name) for name in original.outputs if name not in {spec.name for spec in specs}}
    outputs = walker.program(program, names)
    if not original.outputs:
        original.outputs = _output_names(original, program, len(outputs))
    results = []
    for name, value in zip(original.outputs, outputs, strict=True):
        results.append(_named(g, walker, name, value, name in reserved))
    return g.finish(results)


def _named(g: GraphBuilder, walker: Walker, name: str, value: ir.Value, reserved: bool) -> ir.Value:
    """Give an output its name; what is an input, a weight or an output already goes through an Identity."""
    taken = value.producer() is None or value.metadata_props.get("zooport.output")
    if taken:
        sizes, marks = walker.symbols.sizes_of(value), dict(value.metadata_props)
        value = g.op("Identity", value, dtype=value.dtype, name=name)
        value.metadata_props.update(marks)
        walker.symbols.remember(value, sizes)
    value.name = name if reserved or value.name == name else g.unique(name)
    value.metadata_props["zooport.output"] = "1"
    return value


def _output_names(original: TorchOriginal, program: Any, count: int) -> list[str]:
    import torch
    from torch.utils import _pytree as pytree

    spec = program.call_spec.out_spec
    dummy = pytree.tree_unflatten([torch.empty(0) for _ in range(spec.num_leaves)], spec)
    names = list(original.outputs_of(dummy))
    return names if len(names) == count else [f"output_{i}" for i in range(count)]


def _of_fixed_sizes(original: TorchOriginal, dynamic: Ranges, error: UnsupportedOpsError) -> Translation | None:
    """Translate a model again where nothing but symbolic sizes was in the way: all but batch and wishes."""
    dims = dict.fromkeys(dim for spec in original.inputs for dim in spec.shape if isinstance(dim, str))
    fixed = [dim for dim in dims if dim != "batch" and dim not in dynamic]
    reasons = sorted({item.hint for item in error.ops})
    if not fixed or original.capturable is not None or not all("symbolic" in reason for reason in reasons):
        return None
    try:
        program, notes = capture(original, dynamic, fixed)
        names = input_names(program, original)
        notes.append(f"{', '.join(fixed)} had to be fixed: {', '.join(reasons)}")
        specs = _ported_signature(program, original.inputs, names, notes)
        return Translation(_walk(original, program, specs, names), specs, notes=notes)
    except (UserError, UnsupportedOpsError):
        return None


def _fall_back(
    original: TorchOriginal, program: Any, specs: Sequence[InputSpec], error: UnsupportedOpsError, notes: list[str]
) -> Translation:
    from porters.pytorch.fallback import export_by_torch

    model = export_by_torch(original, program, specs, error)
    kinds = sorted({item.op for item in error.ops})
    reason = f"no translator for {', '.join(kinds)}"
    return Translation(model, specs, fallback=reason, unsupported=error.ops, notes=notes)
