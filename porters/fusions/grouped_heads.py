"""Gives Attention the keys and values as they are, where each head was repeated for the queries that share it.

Contract. Key and value are each ``repeat_interleave`` over the head axis, spelled Unsqueeze, Expand and Reshape; the
number of query heads is a multiple of theirs. Attention shares heads among queries in just that order by itself.
"""

from __future__ import annotations

import onnx_ir as ir

from porters.fusions.editor import Editor, credit, rewrite_at
from porters.fusions.match import axes_of, known, made_by


@rewrite_at("Attention")
def share_heads(editor: Editor, node: ir.Node) -> bool:
    """Take the repetition of key and value heads out of the way."""
    if len(node.inputs) > 4 or any(name in node.attributes for name in ("q_num_heads", "kv_num_heads")):
        return False
    keys, values = _unrepeated(node.inputs[1]), _unrepeated(node.inputs[2])
    if keys is None or values is None:
        return False
    (key, key_nodes), (value, value_nodes) = keys, values
    key_shape, value_shape = known(key), known(value)
    if key_shape is None or value_shape is None or key_shape[:3] != value_shape[:3]:
        return False
    old = list(node.inputs)
    node.replace_input_with(1, key)
    node.replace_input_with(2, value)
    credit(node, [*key_nodes, *value_nodes, node])
    for item in old[1:3]:
        editor.prune(item)
    return True


def _unrepeated(value: ir.Value | None) -> tuple[ir.Value, list[ir.Node]] | None:
    flat = made_by(value, "Reshape")
    expanded = made_by(flat.inputs[0], "Expand") if flat is not None else None
    raised = made_by(expanded.inputs[0], "Unsqueeze") if expanded is not None else None
    if flat is None or expanded is None or raised is None or raised.inputs[0] is None:
        return None
    before, wide, after = known(raised.inputs[0]), known(expanded.outputs[0]), known(flat.outputs[0])
    if before is None or wide is None or after is None or len(before) != 4 or axes_of(raised, 5) != [2]:
        return None
    heads, times = before[1], wide[2] if len(wide) == 5 else None
    if not isinstance(heads, int) or not isinstance(times, int):
        return None
    if wide != [before[0], heads, times, *before[2:]] or after != [before[0], heads * times, *before[2:]]:
        return None
    return raised.inputs[0], [raised, expanded, flat]
