"""Replaces convolutions and matrix products by the cube operators of the domain ``ai.ascend``."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult, PostconditionError, PreconditionError

from zoo.ascend.functions import DOMAIN, SUFFIXES, add_functions
from zoo.ascend.hardware import Chip
from zoo.ascend.precision import PRECISION

# Operator -> how many operands it multiplies; the next input, if any, is the bias.
_OPERANDS = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "MatMul": 2, "Einsum": 2}


def cube_function(node: ir.Node) -> str | None:
    """Return the name of the function that replaces ``node``, or None where it stays as it is.

    Only float32 is lowered: other types already are what the cube takes (fp16, int8), or not for the cube.
    """
    operands = _OPERANDS.get(node.op_type)
    inputs = [value for value in node.inputs if value is not None]
    if node.domain or operands is None or not inputs:
        return None
    if any(value.dtype != ir.DataType.FLOAT for value in inputs):
        return None
    if node.op_type == "Einsum":
        return "Einsum" if len(inputs) == 2 and is_contraction(node.attributes["equation"].as_string()) else None
    return f"{node.op_type}Bias" if len(inputs) > operands else node.op_type


def lowered_name(node: ir.Node) -> str | None:
    """Return the function that ``node`` becomes in the precision assigned to it, or None where it stays as it is."""
    name, suffix = cube_function(node), SUFFIXES.get(node.metadata_props.get(PRECISION, ""))
    return None if name is None or suffix is None else name + suffix


def is_contraction(equation: str) -> bool:
    """Return whether the Einsum ``equation`` sums over an index that two operands share, as a product does."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    letters = [set(term.replace(".", "")) for term in terms]
    shared = {letter for letter in "".join(terms) if sum(letter in term for term in letters) > 1}
    if not arrow:
        # The implicit output has the indices that occur once.
        return any("".join(terms).count(letter) > 1 for letter in shared if letter.isalpha())
    return bool({letter for letter in shared if letter.isalpha()} - set(right))


class LowerCubePass(InPlacePass):
    """Turn each float32 cube operator into a call of its definition for ``chip`` in the precision assigned to it.

    The node keeps its name, attributes, outputs and metadata; only domain and operator change. An operator that stays
    in float32 is left as it is: the standard operator is its definition.
    """

    def __init__(self, chip: Chip) -> None:
        super().__init__()
        self._chip = chip

    def requires(self, model: ir.Model) -> None:
        """Only functions of ours may be left, whose operators are lowered already."""
        if any(domain != DOMAIN for domain, _, _ in model.functions):
            raise PreconditionError("functions of the source model must be inlined first")

    def call(self, model: ir.Model) -> PassResult:
        """Lower every node of the graph and its subgraphs."""
        used = set()
        for node in model.graph.all_nodes():
            name = lowered_name(node)
            if name is None:
                continue
            while node.inputs and node.inputs[-1] is None:
                node.resize_inputs(len(node.inputs) - 1)
            node.domain, node.op_type, node.version = DOMAIN, name, None
            used.add(name)
        add_functions(model, sorted(used), self._chip.saturates)
        return PassResult(model, modified=bool(used))

    def ensures(self, model: ir.Model) -> None:
        """No cube operator is left in the graph that has a narrower precision."""
        left = [node.name for node in model.graph.all_nodes() if lowered_name(node) is not None]
        if left:
            raise PostconditionError(f"cube operators not lowered: {left[:5]}")
