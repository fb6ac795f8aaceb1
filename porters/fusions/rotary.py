"""Puts RotaryEmbedding together again: ``x * cos + turned(x) * sin``, in halves or interleaved.

Contract. x has four axes, its length and width known; ``turned`` is exactly (-second half, first half) of the last
axis, or (-odd, even) element by element. cos and sin have the width of x, the same for every head, and are provably
each value twice: as cat(f, f) where x is turned by halves, as f repeated element by element where it is interleaved;
or they are constants for which that holds. ONNX wants each value once, so what makes cos and sin is built again on f.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from porters.fusions.editor import Editor, rewrite_at
from porters.fusions.match import Dim, dims, made_by, private_group
from porters.fusions.sizes import sizes
from porters.fusions.tables import halved
from porters.fusions.turns import Turn, read_turn


@dataclass(frozen=True)
class _Pattern:
    """x * cos + turn * sin.

    Attributes:
        turn: The turned x.
        cos: What x is multiplied by.
        sin: What the turned x is multiplied by.
        products: The two multiplications.
        heads: The axis of x that counts heads: 1, or 2 where the length comes first.
    """

    turn: Turn
    cos: ir.Value
    sin: ir.Value
    products: tuple[ir.Node, ir.Node]
    heads: int


@rewrite_at("Add")
def fuse_rotary(editor: Editor, node: ir.Node) -> bool:
    """Replace the sum and all before it by one RotaryEmbedding."""
    pattern = _read(node)
    if pattern is None:
        return False
    group = [*pattern.turn.nodes, *pattern.products, node]
    if not private_group(group, node):
        return False
    x = pattern.turn.x
    tables = [halved(editor, value, pattern.turn.interleaved) for value in (pattern.cos, pattern.sin)]
    if tables[0] is None or tables[1] is None:
        for table in tables:
            editor.prune(table)
        return False
    cos, sin = (_cache(editor, table, x, pattern, node) for table in tables if table is not None)
    attributes = {"interleaved": int(pattern.turn.interleaved)}
    if pattern.heads == 1:
        editor.fuse("RotaryEmbedding", [x, cos, sin], node, group, attributes)
        return True
    swap = {"perm": [0, 2, 1, 3]}
    before = editor.node("Transpose", [x], before=node, dtype=x.dtype, shape=_swapped(x), attributes=swap)
    turned = editor.node(
        "RotaryEmbedding", [before.outputs[0], cos, sin],
        before=node, dtype=x.dtype, shape=_swapped(x), attributes=attributes,
    )  # fmt: skip
    editor.fuse("Transpose", turned.outputs, node, group, swap)
    return True


def _swapped(x: ir.Value) -> list[Dim]:
    batch, length, heads, width = dims(x) or [None] * 4
    return [batch, heads, length, width]


def _read(node: ir.Node) -> _Pattern | None:
    products = [made_by(value, "Mul") for value in node.inputs]
    if products[0] is None or products[1] is None:
        return None
    for plain, other in ((products[0], products[1]), (products[1], products[0])):
        for turned, sin in (other.inputs, other.inputs[::-1]):
            turn = read_turn(turned) if turned is not None else None
            if turn is None or sin is None or turn.x.dtype != node.outputs[0].dtype:
                continue
            cos = next((b for a, b in (plain.inputs, plain.inputs[::-1]) if a is turn.x), None)
            heads = _heads_axis(turn.x, cos, sin) if cos is not None else None
            if cos is not None and heads is not None:
                return _Pattern(turn, cos, sin, (plain, other), heads)
    return None


def _heads_axis(x: ir.Value, cos: ir.Value, sin: ir.Value) -> int | None:
    """Return the axis of ``x`` along which the tables do not change: 1 or 2; ``None`` where there is none."""
    shape, first, second = dims(x), dims(cos), dims(sin)
    if shape is None or len(shape) != 4 or first is None or first != second or None in first or None in shape[1:]:
        return None
    table: list[Dim] = [*([1] * (4 - len(first))), *first]
    if len(first) not in (2, 3, 4) or table[3] != shape[3] or table[0] not in (1, shape[0]):
        return None
    if table[1] == 1 and table[2] == shape[2]:
        return 1
    return 2 if table[2] == 1 and table[1] == shape[1] else None


def _cache(editor: Editor, table: ir.Value, x: ir.Value, pattern: _Pattern, node: ir.Node) -> ir.Value:
    """Return a table as the operator wants it: (batch, length, half the width)."""
    shape = dims(table) or []
    if len(shape) == 4:
        batch, length = shape[0], shape[3 - pattern.heads]
        table = _node(editor, "Squeeze", table, [pattern.heads], [batch, length, shape[3]], node)
    elif len(shape) == 2:
        table = _node(editor, "Unsqueeze", table, [0], [1, *shape], node)
    elif pattern.heads == 2:  # (length, 1, width) beside (batch, length, heads, width)
        turned = _node(editor, "Squeeze", table, [1], [shape[0], shape[2]], node)
        table = _node(editor, "Unsqueeze", turned, [0], [1, shape[0], shape[2]], node)
    _, length, width = dims(table) or [None] * 3
    batch = (dims(x) or [None])[0]
    if (dims(table) or [None])[0] == batch:
        return table
    target = sizes(editor, [batch, 1, 1], x, node)
    expanded = editor.node("Expand", [table, target], before=node, dtype=table.dtype, shape=[batch, length, width])
    return expanded.outputs[0]


def _node(
    editor: Editor, op_type: str, value: ir.Value, axes: list[int], shape: list[Dim], before: ir.Node
) -> ir.Value:
    made = editor.node(op_type, [value, editor.vector(axes)], before=before, dtype=value.dtype, shape=shape)
    return made.outputs[0]
