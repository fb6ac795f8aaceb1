"""Says in each node's metadata which unit of the chip runs it."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult, PostconditionError

from zoo.ascend.functions import DOMAIN
from zoo.ascend.hardware import Chip
from zoo.ascend.passes.lower_vector import ROUNDS
from zoo.ascend.units import ASCEND_VECTOR, REASONS, UNITS, Unit


class AssignUnitsPass(InPlacePass):
    """Add ``unit`` (cube, vector, aicpu or unsupported) and, where there is one, ``reason`` to ``metadata_props``.

    An unsupported node still runs in the emulator, with the numerics of the source model.
    """

    def __init__(self, chip: Chip) -> None:
        super().__init__()
        self._chip = chip

    def call(self, model: ir.Model) -> PassResult:
        """Assign a unit to every node of the graph, its subgraphs and our functions."""
        for node in model.graph.all_nodes():
            # An earlier pass may have found that it cannot lower the node.
            if "unit" not in node.metadata_props:
                _record(node, *unit_of(node, self._chip))
        for function in model.functions.values():
            for node in function.all_nodes():
                # The values of our definitions have no types in the file, and need none: they are float32.
                _record(node, *_by_operator(node))
        return PassResult(model, modified=True)

    def ensures(self, model: ir.Model) -> None:
        """Every node has a unit."""
        left = [node.name for node in _all_nodes(model) if "unit" not in node.metadata_props]
        if left:
            raise PostconditionError(f"nodes without a unit: {left[:5]}")


def unit_of(node: ir.Node, chip: Chip) -> tuple[Unit, str]:
    """Return the unit that runs ``node`` on ``chip`` and the reason ("" where there is nothing to explain)."""
    unit, reason = _by_operator(node)
    if node.domain or unit == "unsupported":
        return unit, reason
    types = {value.dtype for value in (*node.inputs, *node.outputs) if value is not None}
    return _by_type(unit, reason, types, chip)


def _by_operator(node: ir.Node) -> tuple[Unit, str]:
    """Return unit and reason as far as the operator alone decides them."""
    if node.metadata_props.get(ROUNDS):
        return "vector", f"no kernel: the rounding of {node.metadata_props[ROUNDS]}"
    if node.domain == DOMAIN:
        return ("vector" if node.op_type in ASCEND_VECTOR else "cube"), ""
    if node.domain:
        return "unsupported", f"operator {node.domain}::{node.op_type} is not known on Ascend"
    unit = UNITS.get(node.op_type, "unsupported")
    unknown = f"operator {node.op_type} is not known on Ascend" if unit == "unsupported" else ""
    return unit, REASONS.get(node.op_type, unknown)


def _by_type(unit: Unit, reason: str, types: set[ir.DataType | None], chip: Chip) -> tuple[Unit, str]:
    """Return unit and reason once the types of a node's inputs and outputs are taken into account."""
    if unit == "cube" and None in types:
        return "unsupported", "operand types are not known: the cube's fp16 rounding is left out"
    if ir.DataType.BFLOAT16 in types and not chip.supports_bfloat16:
        return "unsupported", f"{chip.name} has no bfloat16"
    if ir.DataType.DOUBLE in types:
        if unit == "cube":
            return "unsupported", "the cube takes no float64"
        return "aicpu", reason or "the AI Core computes no float64"
    return unit, reason


def _record(node: ir.Node, unit: Unit, reason: str) -> None:
    """Write unit and reason into the node's metadata, beside what stands there."""
    node.metadata_props["unit"] = unit
    if reason:
        node.metadata_props["reason"] = reason


def _all_nodes(model: ir.Model) -> Iterator[ir.Node]:
    """Yield the nodes of the main graph, its subgraphs and all functions."""
    yield from model.graph.all_nodes()
    for function in model.functions.values():
        yield from function.all_nodes()
