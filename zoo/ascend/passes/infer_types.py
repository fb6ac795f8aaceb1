"""Gives every value a type and, where it can be told, a shape."""

from __future__ import annotations

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
        return PassResult(model, modified=infer(model).modified)
