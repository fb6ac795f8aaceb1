"""Rounds what the vector unit computes in a format narrower than float32: operands and results."""

from __future__ import annotations

from typing import Final

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from zoo.ascend.functions import DOMAIN, VERSION, add_functions
from zoo.ascend.hardware import Chip
from zoo.ascend.passes.assign_precision import is_cube
from zoo.ascend.precision import PRECISION, REASON, Settings
from zoo.ascend.rounding import FORMATS, Format
from zoo.ascend.vector import vector_function

# Which float32 inputs are data; all of them where an operator is not listed. The others are parameters that the
# kernels take in float32: scales and sizes, and the statistics of BatchNormalization.
_DATA: Final[dict[str, tuple[int, ...]]] = {
    **dict.fromkeys(("Resize", "Upsample", "QuantizeLinear", "BatchNormalization", "RoiAlign", "GridSample"), (0,)),
    "DequantizeLinear": (),
}
# Key in the metadata of a rounding: the node whose result it rounds (no kernel), or "" for a cast between two types.
ROUNDS: Final = "ascend.rounds"


class LowerVectorPass(InPlacePass):
    """Put a rounding after every result, and before every operand, of the nodes of the vector unit in fp16 or bf16.

    A rounding of a result is part of the operator; one of an operand is the Cast that GE puts between operators of
    two types. ``ElideRoundingPass`` takes out the ones that change nothing. The vector unit of a chip with bfloat16
    computes in float32 and rounds, as it does here.
    """

    def __init__(self, chip: Chip, settings: Settings) -> None:
        super().__init__()
        self._chip, self._settings = chip, settings

    def call(self, model: ir.Model) -> PassResult:
        """Lower every node of the graph and its subgraphs."""
        nodes = [node for node in model.graph.all_nodes() if node.metadata_props.get(PRECISION) in FORMATS]
        operands: dict[tuple[ir.Value, str], ir.Value] = {}
        used: set[str] = set()
        for node in nodes:
            if node.domain or is_cube(node):
                continue
            form = FORMATS[node.metadata_props[PRECISION]]
            self._round_operands(node, form, operands)
            name = self._function(node, model) if form.name == "fp16" else None
            if name is None:
                self._round_results(node, form)
            else:
                node.domain, node.op_type, node.version = DOMAIN, name, None
                node.resize_outputs(1)
                used.add(name)
            used.add(f"Round{form.label}")
        if used:
            model.graph.opset_imports[DOMAIN] = VERSION
        add_functions(model, sorted(used), self._chip.saturates)
        return PassResult(model, modified=bool(used))

    def _function(self, node: ir.Node, model: ir.Model) -> str | None:
        """Return the function that ``node`` becomes, its attributes made explicit; functions know no defaults."""
        name = vector_function(node, self._chip, self._settings.implementation, model.graph.opset_imports[""])
        if name is not None and name.startswith(("Softmax", "LayerNormalization")):
            node.attributes.setdefault("axis", ir.AttrInt64("axis", -1))
        if name is not None and name.startswith("LayerNormalization"):
            node.attributes.setdefault("epsilon", ir.AttrFloat32("epsilon", 1e-5))
            node.attributes.pop("stash_type", None)
        return name

    def _round_operands(self, node: ir.Node, form: Format, made: dict[tuple[ir.Value, str], ir.Value]) -> None:
        for index in _DATA.get(node.op_type, range(len(node.inputs))):
            value = node.inputs[index]
            if value is None or value.dtype != ir.DataType.FLOAT or _is_rounded(value, form):
                continue
            rounded = made.get((value, form.name))
            if rounded is None:
                rounded = made[value, form.name] = _cast(value, node, form)
            node.replace_input_with(index, rounded)

    def _round_results(self, node: ir.Node, form: Format) -> None:
        for value in node.outputs:
            if value.dtype == ir.DataType.FLOAT and (value.uses() or value.is_graph_output()):
                _round_result(node, value, form)


def _cast(value: ir.Value, reader: ir.Node, form: Format) -> ir.Value:
    """Return ``value`` rounded, by a node as early as it can stand, so that every later reader can share it."""
    node = ir.node(f"Round{form.label}", [value], domain=DOMAIN, name=f"{value.name}.to_{form.name}")
    node.metadata_props.update({ROUNDS: "", PRECISION: form.name, REASON: f"Cast to {form.name}"})
    rounded = node.outputs[0]
    _describe(rounded, value, f"{value.name}.{form.name}")
    producer = value.producer()
    if producer is not None:
        producer.append(node)
    else:
        graph = value.graph if isinstance(value.graph, ir.Graph) else reader.graph
        assert graph is not None
        graph[0].prepend(node)
    return rounded


def _round_result(node: ir.Node, value: ir.Value, form: Format) -> None:
    """Let every reader of ``value`` read it rounded; the rounded value takes over its name."""
    rounding = ir.node(f"Round{form.label}", [value], domain=DOMAIN, name=f"{node.name}.{value.name}.round")
    rounding.metadata_props.update({ROUNDS: node.name or "", PRECISION: form.name, REASON: "part of the operator"})
    rounded = rounding.outputs[0]
    node.append(rounding)
    name = value.name
    ir.convenience.replace_all_uses_with(value, rounded, replace_graph_outputs=True)
    rounding.replace_input_with(0, value)
    value.name = f"{name}.exact"
    _describe(rounded, value, str(name))
    # Handles by which layers are matched belong to what the other operators read.
    rounded.metadata_props.update(value.metadata_props)
    value.metadata_props.clear()


def _describe(rounded: ir.Value, value: ir.Value, name: str) -> None:
    rounded.name, rounded.type, rounded.shape = name, value.type, value.shape


def _is_rounded(value: ir.Value, form: Format) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_identifier() == (DOMAIN, f"Round{form.label}", "")
