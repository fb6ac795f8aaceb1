"""Brings a translated graph into its one standard form: nothing dead, nothing twice, nothing that does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir


def canonicalize(model: ir.Model) -> None:
    """Clean ``model`` in place: common subexpressions merged, identities and dead nodes removed."""
    from onnx_ir.passes import common

    common.RemoveUnusedNodesPass()(model)
    common.CommonSubexpressionEliminationPass()(model)
    common.IdentityEliminationPass()(model)
    common.RemoveUnusedNodesPass()(model)
    common.TopologicalSortPass()(model)
