"""Says in each node's metadata what it computes in, and why."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult, PostconditionError

from zoo.ascend.hardware import Chip
from zoo.ascend.passes.lower_cube import cube_function
from zoo.ascend.passes.lower_quantized import INT8
from zoo.ascend.precision import PRECISION, REASON, Arithmetic, Settings, listed, origin_on_cube
from zoo.ascend.units import UNITS
from zoo.errors import UserError

_MODULE = "zooport.module"
# Operators that hold a tensor or only describe one.
_NO_ARITHMETIC = frozenset(("Constant", "Shape", "Size", "If", "Loop", "Scan"))


class AssignPrecisionPass(InPlacePass):
    """Add ``precision`` and ``precision_reason`` to ``metadata_props`` of every node, as the settings' mode asks.

    Only what is float32 in the source is decided here. float16 and bfloat16 operators of the source stay as they are
    (no mode but force_fp32 would widen them, and ports are float32).
    """

    def __init__(self, chip: Chip, settings: Settings) -> None:
        super().__init__()
        self._chip, self._settings = chip, settings

    def call(self, model: ir.Model) -> PassResult:
        """Decide for every node of the graph and its subgraphs, in order."""
        self._check_patterns(model)
        decided: dict[ir.Value, Arithmetic] = {}
        for node in model.graph.all_nodes():
            arithmetic, reason = self._decide(node, decided)
            node.metadata_props[PRECISION], node.metadata_props[REASON] = arithmetic, reason
            decided.update(dict.fromkeys(node.outputs, arithmetic))
        return PassResult(model, modified=True)

    def ensures(self, model: ir.Model) -> None:
        """Every node says what it computes in."""
        left = [node.name for node in model.graph.all_nodes() if PRECISION not in node.metadata_props]
        if left:
            raise PostconditionError(f"nodes without a precision: {left[:5]}")

    def _check_patterns(self, model: ir.Model) -> None:
        """Raise a UserError for a pattern that no node has."""
        nodes = list(model.graph.all_nodes())
        for pattern in self._settings.keep:
            if not any(_matches(node, pattern) for node in nodes):
                raise UserError(
                    "no operator has the name or the module that is to be kept in float32",
                    place="keep",
                    expected="the name of a node, or the path of a module of the source; * stands for anything",
                    got=pattern,
                    hint="Netron shows a node's name and, in its metadata, its module",
                )

    def _decide(self, node: ir.Node, decided: Mapping[ir.Value, Arithmetic]) -> tuple[Arithmetic, str]:
        if node.metadata_props.get(PRECISION) == INT8:
            return "int8", "quantised in the source"
        if node.op_type in _NO_ARITHMETIC or not _has_float(node):
            return "exact", "no float32 is computed"
        cube = is_cube(node)
        if node.domain or not (cube or _is_vector(node)):
            return "fp32", "no definition of it on the AI Core here: it runs as in the source"
        for pattern in self._settings.keep:
            if _matches(node, pattern):
                return self._kept(node, f"kept in float32 by {pattern!r}", cube=cube)
        mode = self._settings.mode
        wanted = mode.cube if cube else mode.vector
        if wanted == "lists":
            return self._by_lists(node, decided, cube=cube)
        if wanted == "origin":
            return self._kept(node, f"{mode.name}: float32 in the source", cube=cube)
        return _arithmetic(wanted), f"{mode.name}: {'cube' if cube else 'vector'} operators"

    def _kept(self, node: ir.Node, reason: str, *, cube: bool) -> tuple[Arithmetic, str]:
        """Return what a float32 operator that keeps its type runs in; on the AI CPU where the cube cannot."""
        if not cube:
            return "fp32", reason
        arithmetic, why, on_cube = origin_on_cube(node.op_type, self._chip)
        if not on_cube:
            node.metadata_props.update(unit="aicpu", reason=why)
        return arithmetic, f"{reason}; {why}"

    def _by_lists(self, node: ir.Node, decided: Mapping[ir.Value, Arithmetic], *, cube: bool) -> tuple[Arithmetic, str]:
        mode = self._settings.mode
        colour = listed(node.op_type)
        if colour == "white":
            return _arithmetic(mode.lists), f"{mode.name}: white list"
        if colour == "grey":
            before = _before(node, decided)
            if before is not None and decided[before] == mode.lists:
                return _arithmetic(mode.lists), f"{mode.name}: grey list, as the operator before it"
        return self._kept(node, f"{mode.name}: {colour} list", cube=cube)


def is_cube(node: ir.Node) -> bool:
    """Return whether the cube would run the float32 operator ``node``."""
    return cube_function(node) is not None or (node.op_type == "Attention" and not node.domain)


def _is_vector(node: ir.Node) -> bool:
    return UNITS.get(node.op_type) == "vector"


def _arithmetic(name: str) -> Arithmetic:
    arithmetics: dict[str, Arithmetic] = {"fp32": "fp32", "fp16": "fp16", "fp16_fp32": "fp16_fp32", "bf16": "bf16"}
    return arithmetics[name]


def _before(node: ir.Node, decided: Mapping[ir.Value, Arithmetic]) -> ir.Value | None:
    """Return the first input that an operator computed, if there is one."""
    computed = (value for value in node.inputs if value is not None and decided.get(value, "exact") != "exact")
    return next(computed, None)


def _has_float(node: ir.Node) -> bool:
    return any(value is not None and value.dtype == ir.DataType.FLOAT for value in (*node.inputs, *node.outputs))


def _matches(node: ir.Node, pattern: str) -> bool:
    return fnmatchcase(node.name or "", pattern) or fnmatchcase(node.metadata_props.get(_MODULE, ""), pattern)
