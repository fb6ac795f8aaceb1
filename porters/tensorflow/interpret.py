"""Runs control flow operation by operation, as a chain runs the graph around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from porters.tensorflow.node import Edge, FlatGraph, Node

if TYPE_CHECKING:
    from porters.tensorflow.program import Chain

LOOPS = frozenset({"While", "StatelessWhile"})


def run_control(chain: Chain, node: Node, operands: Sequence[Any]) -> list[Any]:
    """Return the results of a While, If or Case in the chain's precision.

    Args:
        chain: The run of the graph in which ``node`` stands.
        node: The operation.
        operands: What it reads, as eager tensors.
    """
    if node.op in LOOPS:
        values = list(operands)
        while bool(_body(chain, node.bodies["cond"], values)[0]):
            values = _body(chain, node.bodies["body"], values)
        return values
    first, *rest = operands
    graphs = list(node.bodies.values())
    if "then_branch" in node.bodies:
        return _body(chain, node.bodies["then_branch" if bool(first) else "else_branch"], rest)
    place = int(first)
    return _body(chain, graphs[place if 0 <= place < len(graphs) else -1], rest)


def _body(chain: Chain, graph: FlatGraph, operands: Sequence[Any]) -> list[Any]:
    inner = chain.inner()
    inner.held |= {Edge(node, 0): value for node, value in zip(graph.inputs, operands, strict=True)}
    for node in inner.order(graph):
        inner.run(node)
    return [inner.read(edge) for edge in graph.outputs]
