"""Replaces calls of the source model's own functions by their bodies."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult, PostconditionError
from onnx_ir.passes.common import InlinePass

from zoo.ascend.functions import DOMAIN


class InlineFunctionsPass(InPlacePass):
    """Leave no function but ours: a function's body has no types, so its cube operators could not be told apart."""

    def call(self, model: ir.Model) -> PassResult:
        """Inline every function of the source model."""
        if not model.functions:
            return PassResult(model, modified=False)
        return PassResult(model, modified=InlinePass()(model).modified)

    def ensures(self, model: ir.Model) -> None:
        """No function outside the domain ``ai.ascend`` is left."""
        left = [name for domain, name, _ in model.functions if domain != DOMAIN]
        if left:
            raise PostconditionError(f"functions not inlined: {', '.join(left)}")
