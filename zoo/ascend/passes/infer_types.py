"""Gives every value a type and, where it can be told, a shape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult
from onnx_ir.passes.common import ShapeInferencePass


class InferTypesPass(InPlacePass):
    """Infer what the source model does not state: only float32 operators are lowered, so types must be known.

    A value that ONNX cannot infer (the output of a foreign operator) stays untyped; the operators that read it
    are reported as unsupported later.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Run ONNX's shape inference, unless every value has a type already."""
        values = (value for node in model.graph.all_nodes() for value in node.outputs if value.name)
        if all(value.dtype is not None and value.shape is not None for value in values):
            return PassResult(model, modified=False)
        infer = ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)
        with _without_weights(model):
            return PassResult(model, modified=infer(model).modified)


@contextlib.contextmanager
def _without_weights(model: ir.Model) -> Iterator[None]:
    """Take the external tensors away for a while: shapes do not depend on them, and their file may not be there."""
    taken = {}
    for value in model.graph.initializers.values():
        if isinstance(value.const_value, ir.ExternalTensor):
            taken[value] = value.const_value
            value.shape, value.dtype = value.const_value.shape, value.const_value.dtype
            value.const_value = None
    try:
        yield
    finally:
        for value, tensor in taken.items():
            value.const_value = tensor
