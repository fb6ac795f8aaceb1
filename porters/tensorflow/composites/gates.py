"""Activation functions that TensorFlow composes of arithmetic: GELU in both forms, hard sigmoid and hard swish."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from porters.tensorflow.composites.patterns import made_by, number, pairs
from porters.tensorflow.context import Context
from porters.tensorflow.node import Edge, Node
from porters.tensorflow.ops.elementwise import unary
from porters.tensorflow.registry import Match, recognizes
from porters.tensorflow.tensor import Tensor


def _is(edge: Edge, wanted: float) -> bool:
    value, kind = number(edge), edge.node.dtypes[0]
    # The constants stand in the graph in the precision of the model.
    tolerance = 1e-6 if kind is not None and kind.itemsize >= 4 else 1e-3
    return value is not None and math.isclose(value, wanted, rel_tol=tolerance)


def _scaled(edge: Edge, factor: float) -> Edge | None:
    """Return x of ``factor * x``."""
    product = made_by(edge, "Mul")
    for x, other in pairs(product) if product else ():
        if _is(other, factor):
            return x
    return None


def _shifted(edge: Edge, term: float) -> Edge | None:
    """Return x of ``x + term``."""
    total = made_by(edge, "AddV2", "Add")
    for x, other in pairs(total) if total else ():
        if _is(other, term):
            return x
    return None


def _emitter(op_type: str, **attributes: Any) -> Callable[..., Tensor]:
    return lambda ctx, x: unary(ctx, op_type, x, **attributes)


@recognizes("Mul")
def gelu(node: Node) -> Match | None:
    """Find ``x / 2 * erfc(-x / sqrt 2)`` and its relatives, and the approximation by tanh."""
    for half, gate in pairs(node):
        x = _scaled(half, 0.5)
        if x is None:
            continue
        if _is_erf_gate(gate, x):
            return Match([x], _emitter("Gelu"))
        if _is_tanh_gate(gate, x):
            return Match([x], _emitter("Gelu", approximate="tanh"))
    return None


def _is_erf_gate(gate: Edge, x: Edge) -> bool:
    complement = made_by(gate, "Erfc")
    if complement:
        inner = _over_root_two(complement.inputs[0])
        negated = made_by(inner, "Neg") if inner else None
        return negated is not None and negated.inputs[0] == x
    erf = _shifted(gate, 1.0)
    function = made_by(erf, "Erf") if erf else None
    return function is not None and _over_root_two(function.inputs[0]) == x


def _over_root_two(edge: Edge) -> Edge | None:
    quotient = made_by(edge, "RealDiv")
    if quotient and _is(quotient.inputs[1], math.sqrt(2)):
        return quotient.inputs[0]
    return _scaled(edge, math.sqrt(0.5))


def _is_tanh_gate(gate: Edge, x: Edge) -> bool:
    inner = _shifted(gate, 1.0)
    function = made_by(inner, "Tanh") if inner else None
    argument = _scaled(function.inputs[0], math.sqrt(2 / math.pi)) if function else None
    total = made_by(argument, "AddV2", "Add") if argument else None
    for first, second in pairs(total) if total else ():
        cube = _scaled(second, 0.044715)
        power = made_by(cube, "Pow") if cube else None
        if first == x and power and power.inputs[0] == x and _is(power.inputs[1], 3.0):
            return True
    return False


def _hard_sigmoid(edge: Edge) -> Edge | None:
    """Return x of ``relu6(x + 3) / 6``."""
    quotient = made_by(edge, "RealDiv")
    clipped = quotient.inputs[0] if quotient and _is(quotient.inputs[1], 6.0) else _scaled(edge, 1 / 6)
    inner = made_by(clipped, "Relu6") if clipped else None
    return _shifted(inner.inputs[0], 3.0) if inner else None


@recognizes("Mul")
def hard_swish(node: Node) -> Match | None:
    """Find ``x * relu6(x + 3) / 6``."""
    for x, gate in pairs(node):
        if _hard_sigmoid(gate) == x:
            return Match([x], _emitter("HardSwish"))
    return None


@recognizes("RealDiv", "Mul")
def hard_sigmoid(node: Node) -> Match | None:
    """Find ``relu6(x + 3) / 6``."""
    x = _hard_sigmoid(Edge(node, 0))
    return None if x is None else Match([x], _emit_hard_sigmoid)


def _emit_hard_sigmoid(ctx: Context, x: Tensor) -> Tensor:
    return unary(ctx, "HardSigmoid", x, alpha=1 / 6, beta=0.5)
