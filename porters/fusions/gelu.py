"""Puts Gelu together again, exact (erf) or by its tanh approximation, whatever the order of its factors.

Contract. The value is a product whose factors are x once, constants that make 1/2, and one ``1 + erf(p)`` or
``1 + tanh(p)``; p as a polynomial in x is exactly that of the definition: x / sqrt(2), or
sqrt(2 / pi) * (x + 0.044715 x^3). Constants may differ by the rounding of float32 only. Nothing in between is seen
elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import onnx_ir as ir

from porters.fusions.editor import Editor, rewrite_at
from porters.fusions.match import FLOATS, either_way, made_by, private_group, same_constant, scalar

_EXACT = {1: 1 / math.sqrt(2)}
_TANH = {1: math.sqrt(2 / math.pi), 3: math.sqrt(2 / math.pi) * 0.044715}
# Polynomials of a higher degree, or of more nodes, are none of Gelu's.
_MAX_DEGREE, _MAX_NODES = 3, 16


@dataclass
class _Product:
    """The factors of a tree of Mul and of Div by constants."""

    constant: float = 1.0
    factors: list[ir.Value] = field(default_factory=list)
    nodes: list[ir.Node] = field(default_factory=list)


@rewrite_at("Mul", "Div")
def fuse_gelu(editor: Editor, node: ir.Node) -> bool:
    """Replace the outermost product of a Gelu and all before it."""
    if node.outputs[0].dtype not in FLOATS:
        return False
    product = _Product()
    if not _collect(node, product) or len(product.factors) != 2 or not same_constant(product.constant, 0.5):
        return False
    for x, bell in (product.factors, product.factors[::-1]):
        found = _one_plus(bell, x)
        if found is None or x.dtype != node.outputs[0].dtype:
            continue
        approximate, inner = found
        group = [*inner, *product.nodes[::-1]]
        if private_group(group, node):
            editor.fuse("Gelu", [x], node, group, {"approximate": approximate})
            return True
    return False


def _collect(node: ir.Node, product: _Product) -> bool:
    """Gather the factors of a product; say whether it is one (a quotient by anything but a constant is not)."""
    product.nodes.append(node)
    for position, value in enumerate(node.inputs):
        number = scalar(value)
        divisor = node.op_type == "Div" and position == 1
        if value is None or number == 0 or (divisor and number is None):
            return False
        if number is not None:
            product.constant *= 1 / number if divisor else number
            continue
        # A product used more than once may be x itself: it is taken whole.
        inner = made_by(value, "Mul", "Div")
        if inner is None or len(value.uses()) != 1:
            product.factors.append(value)
        elif not _collect(inner, product):
            return False
    return len(product.factors) <= 2


def _one_plus(bell: ir.Value, x: ir.Value) -> tuple[str, list[ir.Node]] | None:
    """Return (approximation, nodes) where ``bell`` is 1 + erf(x / sqrt 2), or 1 + the tanh of its approximation."""
    added = made_by(bell, "Add")
    parts = either_way(added, lambda value: made_by(value, "Erf", "Tanh") is not None) if added is not None else None
    if added is None or parts is None or not same_constant(scalar(parts[1]), 1.0):
        return None
    curve = parts[0].producer()
    assert curve is not None
    nodes: list[ir.Node] = []
    polynomial = _polynomial(curve.inputs[0], x, nodes)
    wanted = _EXACT if curve.op_type == "Erf" else _TANH
    if polynomial is None or polynomial.keys() != wanted.keys():
        return None
    if not all(same_constant(polynomial[power], wanted[power]) for power in wanted):
        return None
    return ("none" if curve.op_type == "Erf" else "tanh"), [*dict.fromkeys(nodes[::-1]), curve, added]


def _polynomial(value: ir.Value | None, x: ir.Value, nodes: list[ir.Node]) -> dict[int, float] | None:
    """Return ``value`` as {power of x: coefficient}, with the nodes that compute it."""
    if value is x:
        return {1: 1.0}
    number = scalar(value)
    if number is not None:
        return {0: number}
    node = made_by(value, "Add", "Mul", "Div", "Pow")
    if node is None or len(nodes) >= _MAX_NODES:
        return None
    nodes.append(node)
    left = _polynomial(node.inputs[0], x, nodes)
    right = _polynomial(node.inputs[1], x, nodes)
    if left is None or right is None:
        return None
    return _combined(node.op_type, left, right)


def _combined(op_type: str, left: dict[int, float], right: dict[int, float]) -> dict[int, float] | None:
    if op_type == "Add":
        return {power: left.get(power, 0.0) + right.get(power, 0.0) for power in {*left, *right}}
    if op_type == "Mul":
        result: dict[int, float] = {}
        for a, first in left.items():
            for b, second in right.items():
                result[a + b] = result.get(a + b, 0.0) + first * second
        return result if max(result) <= _MAX_DEGREE else None
    if right.keys() != {0}:
        return None
    if op_type == "Div":
        return {power: factor / right[0] for power, factor in left.items()} if right[0] else None
    if right[0] not in (2.0, 3.0) or left != {1: 1.0}:
        return None
    return {int(right[0]): 1.0}
