"""Says a chain of Transpose, Unsqueeze and Squeeze once: at most one of each.

Contract. Such a chain only moves axes, adds axes of size one and takes axes of size one away; what it does as a whole
is which axis of its input each axis of its output is. The chain is replaced only by one of fewer nodes. Values that
others see on the way stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from porters.fusions.editor import Editor, rewrite_at
from porters.fusions.match import Dim, axes_of, dims, integers, made_by, perm_of, private

_MOVES = ("Transpose", "Unsqueeze", "Squeeze")
# The axis of the input that an output axis is; None where it was added.
Axes = list[int | None]


@dataclass(frozen=True)
class _Chain:
    source: ir.Value
    nodes: list[ir.Node]
    axes: Axes


@rewrite_at(*_MOVES)
def merge_moves(editor: Editor, node: ir.Node) -> bool:
    """Replace the chain that ends in ``node`` by the shortest one that does the same."""
    following = [use.node for use in node.outputs[0].uses()]
    if private(node.outputs[0]) and following[0].op_type in _MOVES and not following[0].domain:
        return False  # the chain goes on: its end will do it all
    chain = _chain(node)
    if chain is None or len(chain.nodes) < 2:
        return False
    rank = len(dims(chain.source) or [])
    steps = min((_steps(axes, rank) for axes in (chain.axes, _reused(chain.axes, rank))), key=len)
    return len(steps) < len(chain.nodes) and _emit(editor, chain, steps)


def _chain(node: ir.Node) -> _Chain | None:
    """Return the longest chain that ends in ``node`` and of which nobody else sees a value on the way."""
    nodes: list[ir.Node] = []
    current: ir.Node | None = node
    while current is not None and _understood(current) and (not nodes or private(current.outputs[0])):
        nodes.append(current)
        current = made_by(current.inputs[0], *_MOVES)
    source = nodes[-1].inputs[0] if nodes else None
    shape = dims(source)
    if source is None or shape is None:
        return None
    axes: Axes = list(range(len(shape)))
    for item in reversed(nodes):
        axes = _moved(item, axes)
    return _Chain(source, nodes[::-1], axes)


def _understood(node: ir.Node) -> bool:
    if dims(node.inputs[0]) is None:
        return False
    if node.op_type == "Transpose":
        return True
    return len(node.inputs) > 1 and integers(node.inputs[1]) is not None


def _moved(node: ir.Node, axes: Axes) -> Axes:
    if node.op_type == "Transpose":
        return [axes[axis] for axis in perm_of(node) or []]
    if node.op_type == "Squeeze":
        gone = axes_of(node, len(axes)) or []
        return [axis for position, axis in enumerate(axes) if position not in gone]
    rank = len(axes) + len(integers(node.inputs[1]) or [])
    new, rest = axes_of(node, rank) or [], iter(axes)
    return [None if position in new else next(rest) for position in range(rank)]


def _reused(axes: Axes, rank: int) -> Axes:
    """Let the axes that are added be those that were taken away, in order: all of them have size one."""
    gone = iter(axis for axis in range(rank) if axis not in axes)
    return [next(gone, None) if axis is None else axis for axis in axes]


def _steps(axes: Axes, rank: int) -> list[tuple[str, list[int]]]:
    """Return the operators, with their axes, that turn an input of ``rank`` axes into ``axes``."""
    kept = [axis for axis in axes if axis is not None]
    removed = [axis for axis in range(rank) if axis not in kept]
    perm = [sorted(kept).index(axis) for axis in kept]
    added = [position for position, axis in enumerate(axes) if axis is None]
    steps = [("Squeeze", removed)] if removed else []
    steps += [("Transpose", perm)] if perm != sorted(perm) else []
    steps += [("Unsqueeze", added)] if added else []
    return steps


def _emit(editor: Editor, chain: _Chain, steps: list[tuple[str, list[int]]]) -> bool:
    last = chain.nodes[-1]
    if not steps:
        return editor.bypass(last.outputs[0], chain.source)
    value = chain.source
    for position, (op_type, axes) in enumerate(steps):
        inputs = [value] if op_type == "Transpose" else [value, editor.vector(axes)]
        attributes = {"perm": axes} if op_type == "Transpose" else {}
        if position == len(steps) - 1:
            editor.fuse(op_type, inputs, last, chain.nodes, attributes)
            return True
        shape = _shape_after(op_type, axes, dims(value) or [])
        made = editor.node(op_type, inputs, before=last, dtype=value.dtype, shape=shape, attributes=attributes)
        value = made.outputs[0]
    return True


def _shape_after(op_type: str, axes: list[int], shape: list[Dim]) -> list[Dim]:
    if op_type == "Transpose":
        return [shape[axis] for axis in axes]
    return [size for axis, size in enumerate(shape) if axis not in axes]
