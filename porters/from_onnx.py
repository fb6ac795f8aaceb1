"""The ONNX porter: another exporter's graph, brought to the zoo's opset, its composites put together again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import cast

import onnx_ir as ir
from onnx_ir.passes import common

from porters.canonicalize import canonicalize
from porters.onnx.original import OnnxOriginal
from porters.onnx.reading import provenance, read, refuse_private
from porters.onnx.upgrade import upgraded
from porters.porter import Original, Translation
from porters.source import with_fixed_sizes
from zoo.ascend.passes.fold_constants import FoldConstantsPass
from zoo.graph import HANDLE, INLINE_BYTES, PARAMETER, PRODUCER, Provenance
from zoo.sizes import settle_sizes

# Operators whose small floats decide the size of the result.
_MEASURED = ("Resize", "Upsample", "Range")


class OnnxPorter:
    """Ports ONNX files; see :class:`porters.porter.Porter`."""

    framework = "onnx"

    def translate(
        self, original: Original, *, dynamic: Mapping[str, tuple[int, int | None]] | None = None
    ) -> Translation:
        """Bring the file of ``original`` into the zoo's form.

        Raises:
            UserError: If the graph cannot be brought to the zoo's opset.
            UnsupportedOpsError: Naming every operator that no standard defines.
        """
        file = cast("OnnxOriginal", original).file
        started = time.perf_counter()
        model = read(file)
        refuse_private(model)
        specs = with_fixed_sizes(original.inputs, dynamic or {})
        sources = {str(value.name): provenance(node) for node in model.graph for value in node.outputs}
        weights = {name for name, value in model.graph.initializers.items() if _is_weight(value)}
        for value, spec in zip(model.graph.inputs, specs, strict=True):
            value.shape = ir.Shape(spec.shape)
        model = upgraded(model, str(file))
        exported = time.perf_counter()
        _mark(model, sources, weights)
        model.producer_name = PRODUCER
        _settle(model)
        canonicalize(model)
        common.ShapeInferencePass()(model)
        seconds = {"export": exported - started, "translate": time.perf_counter() - exported}
        return Translation(model, specs, seconds=seconds)


def _is_weight(value: ir.Value) -> bool:
    """Say whether an initializer is a weight: what is small and a scalar, or counts, is a constant of the graph."""
    tensor = value.const_value
    if tensor is None:
        return False
    if tensor.nbytes > INLINE_BYTES:
        return True
    measures = all(node.op_type in _MEASURED for node, _ in value.uses())
    return len(tensor.shape) > 0 and tensor.dtype.is_floating_point() and not measures


def _mark(model: ir.Model, sources: Mapping[str, Provenance], weights: set[str]) -> None:
    """Note on nodes, values and weights what they are in the file; the converter keeps their names alone."""
    for node in model.graph.all_nodes():
        found = next((sources[str(value.name)] for value in node.outputs if str(value.name) in sources), None)
        node.metadata_props.update((found or provenance(node)).metadata())
    for node in model.graph:
        for value in node.outputs:
            if str(value.name) in sources:
                value.metadata_props[HANDLE] = str(value.name)
    for name, value in model.graph.initializers.items():
        if name in weights and value.const_value is not None:
            value.const_value.metadata_props[PARAMETER] = name


def _settle(model: ir.Model) -> None:
    """Make initializers of constants, and constants of what shape arithmetic comes to."""
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    settle_sizes(model)
    FoldConstantsPass()(model)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    common.RemoveUnusedNodesPass()(model)


PORTER = OnnxPorter()
