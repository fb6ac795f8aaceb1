"""Undoes mistakes in recurrent layers: gates, directions and states."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_ir as ir

from parity.corrections.attributes import others
from parity.corrections.correction import Around, Attempt, correction
from parity.surgery import constant, insert_before, number, require, shape_of

_LAYERS = ("LSTM", "GRU", "RNN")
_GATES = {"LSTM": "iofc", "GRU": "zrh"}


def _rows(node: ir.Node) -> int:
    size = shape_of(node.inputs[1])[1]
    require(isinstance(size, int))
    return int(size)


def _pick(order: np.ndarray, axis: int, which: tuple[int, ...], graph: ir.Graph, node: ir.Node) -> None:
    """Take rows of weights in another order; a bias (directions, 2 * rows) has those of both products."""
    for index in which:
        rows = order
        if index == 3 and axis == 1:
            rows = np.concatenate([order, order + len(order)])
        if index < len(node.inputs) and node.inputs[index] is not None:
            picked = constant(graph, rows.astype(np.int64), f"corrected_order_{index}")
            insert_before(graph, node, index, ("Gather", {"inputs": [picked], "axis": axis}))


@correction("another framework's order of gates", "LSTM", "GRU")
def _gate_order(node: ir.Node, around: Around) -> Iterator[Attempt]:
    names = _GATES[node.op_type]
    blocks = np.arange(_rows(node)).reshape(len(names), -1)
    # Both weights and the bias were dealt alike, or one of them was forgotten.
    for which in ((1, 2, 3), (1,), (2,), (3,)):
        for order in itertools.permutations(range(len(names))):
            if order != tuple(range(len(names))):
                gates = "".join(names[index] for index in order)
                where = {1: "input weights", 2: "recurrent weights", 3: "bias"}
                part = "everything" if len(which) == 3 else where[which[0]]
                yield f"gates of {part} read as {gates}", partial(_pick, blocks[list(order)].ravel(), 1, which)


@correction("the reset gate applied before the product instead of after it, or the other way round", "GRU")
def _reset_after(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield from others(node, "linear_before_reset", 0, (0, 1))


@correction("the sequence read from its end", *_LAYERS)
def _direction(node: ir.Node, around: Around) -> Iterator[Attempt]:
    require(number(node, "direction", "forward") != "bidirectional")
    yield from others(node, "direction", "forward", ("forward", "reverse"))


@correction("the directions of a bidirectional layer in the other order", *_LAYERS)
def _directions_swapped(node: ir.Node, around: Around) -> Iterator[Attempt]:
    require(number(node, "direction", "forward") == "bidirectional")
    for which in ((1, 2, 3), (1,), (2,), (3,)):
        yield f"the other direction's weights (inputs {list(which)})", partial(_pick, np.array([1, 0]), 0, which)


@correction("the recurrent weights transposed", *_LAYERS)
def _recurrence_transposed(node: ir.Node, around: Around) -> Iterator[Attempt]:
    shape = shape_of(node.inputs[2])
    require(all(isinstance(size, int) for size in shape))
    yield "each gate's recurrent matrix transposed", partial(_transposed, [int(size) for size in shape])


def _transposed(shape: list[int], graph: ir.Graph, node: ir.Node) -> None:
    directions, rows, hidden = shape
    apart = constant(graph, np.array([directions, rows // hidden, hidden, hidden]), "corrected_apart")
    whole = constant(graph, np.array([directions, rows, hidden]), "corrected_whole")
    steps = (("Reshape", {"inputs": [apart]}), ("Transpose", {"perm": [0, 1, 3, 2]}), ("Reshape", {"inputs": [whole]}))
    insert_before(graph, node, 2, *steps)
