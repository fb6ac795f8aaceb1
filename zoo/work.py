"""How much arithmetic a graph does: multiply-adds of its matrix products and convolutions, from its shapes alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx_ir as ir

# Gates of the recurrent operators, each with a product of the input and one of the state.
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def multiply_adds(graph: ir.Graph, sizes: Mapping[str, int]) -> int:
    """Return how often a run of ``graph`` multiplies and adds; bodies of loops count once.

    Counted are convolutions, matrix products, attention and recurrent operators: everything else is small beside them.
    An operator whose shapes are not known counts nothing, so that the result is a lower bound.

    Args:
        graph: The graph.
        sizes: The sizes of symbolic dimensions by name.
    """
    return sum(_of_node(node, sizes) for node in ir.traversal.RecursiveGraphIterator(graph))


def _of_node(node: ir.Node, sizes: Mapping[str, int]) -> int:
    if node.op_type in _GATES:
        return _recurrent(node, sizes)
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm", "Attention", "DeformConv"):
        return 0
    inputs = [shape_of(value, sizes) for value in node.inputs]
    out = shape_of(node.outputs[0], sizes)
    first, second = inputs[0], inputs[1]
    if first is None or second is None or out is None:
        return 0
    if node.op_type in ("Conv", "DeformConv"):
        return math.prod(out) * math.prod(second[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(second[1:])
    if node.op_type == "MatMul":
        return math.prod(out) * first[-1]
    if node.op_type == "Gemm":
        transposed = node.attributes.get_int("transA", 0)
        return math.prod(out) * first[-2 if transposed else -1]
    return _attention(first, second, out)


def _attention(query: tuple[int, ...], key: tuple[int, ...], out: tuple[int, ...]) -> int:
    """Return queries by keys and probabilities by values; queries are (batch, [heads,] length, width)."""
    return (math.prod(query) + math.prod(out)) * key[-2]


def _recurrent(node: ir.Node, sizes: Mapping[str, int]) -> int:
    """Return every gate's two products at every step; X is (length, batch, width)."""
    steps, hidden = shape_of(node.inputs[0], sizes), node.attributes.get_int("hidden_size", 0)
    if steps is None or hidden is None:
        return 0
    directions = 2 if node.attributes.get_string("direction", "forward") == "bidirectional" else 1
    return math.prod(steps[:2]) * directions * _GATES[node.op_type] * hidden * (steps[2] + hidden)


def shape_of(value: ir.Value | None, sizes: Mapping[str, int]) -> tuple[int, ...] | None:
    """Return a value's shape where its symbolic dimensions have ``sizes``; ``None`` where it is not known."""
    if value is None or value.shape is None:
        return None
    dims = [_size(dim, sizes) for dim in value.shape]
    return None if any(dim is None for dim in dims) else tuple(dim for dim in dims if dim is not None)


def _size(dim: int | ir.SymbolicDim, sizes: Mapping[str, int]) -> int | None:
    if isinstance(dim, int):
        return dim
    try:
        value = dim.evaluate(sizes)
    except ValueError:  # not an expression
        return None
    return value if isinstance(value, int) else None
