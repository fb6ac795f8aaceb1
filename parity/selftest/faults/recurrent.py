"""Faults in recurrent layers: gates, directions and states."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from parity.selftest.faults.fault import fault
from parity.surgery import constant, insert_before, number, require, set_number, shape_of

_LAYERS = ("LSTM", "GRU", "RNN")


def _sizes(node: ir.Node, index: int) -> list[int]:
    """Return the shape of a weight (directions, gates * hidden, ...), whether it is stored or put together."""
    shape = shape_of(node.inputs[index] if index < len(node.inputs) else None)
    require(all(isinstance(size, int) for size in shape))
    return [int(size) for size in shape]


def _picked(graph: ir.Graph, node: ir.Node, index: int, axis: int, order: np.ndarray) -> list[ir.Node]:
    rows = constant(graph, order.astype(np.int64), "fault_order")
    return insert_before(graph, node, index, ("Gather", {"inputs": [rows], "axis": axis}))


@fault("another framework's order of gates", "LSTM", "GRU")
def _gate_order(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    order = [0, 2, 1, 3] if node.op_type == "LSTM" else [1, 0, 2]
    rows = np.arange(_sizes(node, 1)[1]).reshape(len(order), -1)[order].ravel()
    return _picked(graph, node, 1, 1, rows)


@fault("the reset gate applied before the product instead of after it, or the other way round", "GRU")
def _reset_after(graph: ir.Graph, node: ir.Node) -> None:
    set_number(node, "linear_before_reset", 1 - int(number(node, "linear_before_reset", 0)))


@fault("the sequence read from its end", *_LAYERS)
def _direction(graph: ir.Graph, node: ir.Node) -> None:
    before = number(node, "direction", "forward")
    require(before != "bidirectional")
    set_number(node, "direction", "forward" if before == "reverse" else "reverse")


@fault("a recurrent bias lost", *_LAYERS)
def _recurrent_bias(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    mask = np.ones(_sizes(node, 3), np.float32)
    mask[:, mask.shape[1] // 2 :] = 0
    return insert_before(graph, node, 3, ("Mul", {"inputs": [constant(graph, mask, "fault_mask")]}))


@fault("the directions of a bidirectional layer in the other order", *_LAYERS)
def _directions_swapped(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    require(number(node, "direction", "forward") == "bidirectional")
    return _picked(graph, node, 1, 0, np.array([1, 0]))


@fault("the recurrent weights transposed", *_LAYERS)
def _recurrence_transposed(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    directions, rows, hidden = _sizes(node, 2)
    apart = constant(graph, np.array([directions, rows // hidden, hidden, hidden]), "fault_apart")
    whole = constant(graph, np.array([directions, rows, hidden]), "fault_whole")
    steps = (("Reshape", {"inputs": [apart]}), ("Transpose", {"perm": [0, 1, 3, 2]}), ("Reshape", {"inputs": [whole]}))
    return insert_before(graph, node, 2, *steps)
