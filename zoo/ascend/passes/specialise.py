"""Gives every symbolic dimension a size, as ATC's gears do: one static graph for each size wanted."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult, PostconditionError


class SpecialisePass(InPlacePass):
    """Replace symbolic dimensions, and expressions of them, by numbers.

    A dimension that depends on data (the number of boxes that a NonMaxSuppression keeps) stays open.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self._sizes = dict(sizes)

    def call(self, model: ir.Model) -> PassResult:
        """Set the dimensions of every value of the graph and its subgraphs."""
        modified = False
        for value in _values(model):
            if value.shape is None or value.shape.is_static():
                continue
            dims = [_sized(dim, self._sizes) for dim in value.shape]
            if dims != list(value.shape):
                value.shape = ir.Shape(dims)
                modified = True
        return PassResult(model, modified=modified)

    def ensures(self, model: ir.Model) -> None:
        """No input of the graph mentions a dimension whose size was given."""
        left = {str(dim) for value in model.graph.inputs for dim in value.shape or () if not isinstance(dim, int)}
        if left & set(self._sizes):
            raise PostconditionError(f"dimensions without a size: {sorted(left & set(self._sizes))}")


def symbols(model: ir.Model) -> tuple[str, ...]:
    """Return the names of the symbolic dimensions of the graph's inputs, in order."""
    found: dict[str, None] = {}
    for value in model.graph.inputs:
        for dim in value.shape or ():
            if isinstance(dim, ir.SymbolicDim) and dim.value is not None:
                found[dim.value] = None
    return tuple(found)


def _values(model: ir.Model) -> list[ir.Value]:
    results = [value for node in model.graph.all_nodes() for value in node.outputs]
    return [*model.graph.inputs, *results]


def _sized(dim: int | ir.SymbolicDim, sizes: Mapping[str, int]) -> int | ir.SymbolicDim:
    """Return the size of ``dim``, or ``dim`` itself where it is not known."""
    if isinstance(dim, int):
        return dim
    try:
        value = dim.evaluate(sizes)
    except ValueError:  # not an expression of sizes
        return dim
    return value if isinstance(value, int) else dim
