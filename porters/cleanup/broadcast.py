"""Takes Expand out of the way of operators that broadcast by themselves.

Contract. The operator's result has provably the same shape without the Expand. Attention broadcasts a mask over batch
and heads only: the ONNX text allows more than ONNX Runtime does.
"""

from __future__ import annotations

import onnx_ir as ir

from porters.fusions.editor import Editor, rewrite_at
from porters.fusions.match import broadcast, dims, known, made_by

_BROADCASTING = (
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Or",
    "Pow", "Sub", "Where", "Xor",
)  # fmt: skip


@rewrite_at(*_BROADCASTING)
def skip_expand(editor: Editor, node: ir.Node) -> bool:
    """Read what was expanded instead, operand by operand."""
    changed = False
    for position, value in enumerate(node.inputs):
        expanded = made_by(value, "Expand")
        if expanded is None or value is None:
            continue
        shapes = [dims(item) for item in node.inputs]
        shapes[position] = dims(expanded.inputs[0])
        result = known(node.outputs[0])
        if result is not None and broadcast(*shapes) == result:
            node.replace_input_with(position, expanded.inputs[0])
            editor.prune(value)
            changed = True
    return changed


@rewrite_at("Attention")
def skip_expanded_mask(editor: Editor, node: ir.Node) -> bool:
    """Read a mask before it is expanded over batch and heads."""
    mask = node.inputs[3] if len(node.inputs) > 3 else None
    expanded = made_by(mask, "Expand")
    before = known(expanded.inputs[0]) if expanded is not None else None
    after = known(mask)
    if mask is None or expanded is None or before is None or after is None:
        return False
    if len(before) < 2 or before[-2:] != after[-2:]:
        return False
    node.replace_input_with(3, expanded.inputs[0])
    editor.prune(mask)
    return True


REWRITES = (skip_expand, skip_expanded_mask)
