"""Constant propagation: operations on constants alone are computed by TensorFlow and become constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from porters.tensorflow import operation
from porters.tensorflow.node import CONST, INPUT, WEIGHT, Edge, FlatGraph, Node

# A folded result above this size would bloat the graph for no gain.
LARGEST = 1 << 24


def fold(graph: FlatGraph) -> None:
    """Turn every node whose inputs are all constants into a constant, in place."""
    import tensorflow as tf

    with tf.init_scope():
        _fold(graph)


def _fold(graph: FlatGraph) -> None:
    for node in graph.nodes:
        if node.bodies:
            _fold_bodies(node)
        elif _foldable(node):
            _replace(node, evaluate(node, [edge.node.constant for edge in node.inputs]))


def _fold_bodies(node: Node) -> None:
    """Fold what a body computes of constants, also of those that it is called with and never changes.

    Of a choice that is certain only the branch that is taken is left.
    """
    decided = node.inputs[0].node.constant if "then_branch" in node.bodies else None
    if decided is not None:
        taken = node.bodies["then_branch" if decided.all() else "else_branch"]
        node.bodies = {"then_branch": taken, "else_branch": taken}
    for name, body in node.bodies.items():
        operands = node.inputs[len(node.inputs) - len(body.inputs) :]
        turn = node.bodies["body"] if name in ("cond", "body") else None
        for at, (inside, operand) in enumerate(zip(body.inputs, operands, strict=True)):
            same = turn is None or turn.outputs[at] in (Edge(turn.inputs[at], 0), operand)
            if same and operand.node.constant is not None and inside.op == INPUT:
                _replace(inside, operand.node.constant)
        _fold(body)


def evaluated(node: Node, arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Return the result of ``node`` where its inputs turn out to be known while translating, sizes of axes say."""
    if not arrays or any(array is None or array.dtype == object for array in arrays) or not _pure(node):
        return None
    return evaluate(node, arrays)


def _foldable(node: Node) -> bool:
    return _pure(node) and all(edge.node.constant is not None for edge in node.inputs)


def _pure(node: Node) -> bool:
    if node.op in (CONST, INPUT, WEIGHT) or node.dtypes in ([], [None]) or not node.source.outputs:
        return False
    if node.bodies or node.source.op_def.is_stateful:
        return False
    return len(node.shapes) == 1 and node.dtypes[0] is not None and _size(node) <= LARGEST


def _size(node: Node) -> int:
    shape = node.shapes[0]
    return 0 if shape is None or None in shape else int(np.prod([dim or 0 for dim in shape], dtype=np.int64))


def _replace(node: Node, array: np.ndarray | None) -> None:
    if array is not None:
        node.op, node.payload, node.inputs = CONST, array, []
        node.shapes = [array.shape]


def evaluate(node: Node, arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Return what TensorFlow computes from ``arrays``, ``None`` where it cannot do so by itself."""
    try:
        kinds = [tensor.dtype for tensor in getattr(node.source, "inputs", ())]
        kinds = kinds if len(kinds) == len(arrays) else [None] * len(arrays)
        tensors = [operation.constant(array, like=kind) for array, kind in zip(arrays, kinds, strict=True)]
        (result,) = operation.run(node, tensors)
    except NotImplementedError:
        return None
    return operation.plain(result.numpy())
