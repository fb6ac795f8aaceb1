"""Says slices of different axes, one after the other, as one Slice.

Contract. All bounds are constants and the axes differ, so that neither slice sees what the other does.
"""

from __future__ import annotations

import onnx_ir as ir

from porters.fusions.editor import Editor, rewrite_at
from porters.fusions.match import dims, integers, made_by, users

_Bounds = tuple[list[int], list[int], list[int], list[int]]


@rewrite_at("Slice")
def merge_slices(editor: Editor, node: ir.Node) -> bool:
    """Replace two Slices by one, where the first then goes."""
    first = made_by(node.inputs[0], "Slice")
    if first is None or first.inputs[0] is None or first.outputs[0].is_graph_output():
        return False
    inner, outer = _bounds(first), _bounds(node)
    if inner is None or outer is None or not all(_apart(inner, user) for user in users(first.outputs[0])):
        return False
    joined = [editor.vector([*a, *b]) for a, b in zip(inner, outer, strict=True)]
    editor.fuse("Slice", [first.inputs[0], *joined], node, [first, node])
    return True


def _apart(inner: _Bounds, node: ir.Node) -> bool:
    outer = _bounds(node) if node.op_type == "Slice" and not node.domain else None
    return outer is not None and not set(inner[2]) & set(outer[2])


def _bounds(node: ir.Node) -> _Bounds | None:
    """Return (starts, ends, axes, steps), axes counted from the front."""
    rank = len(dims(node.inputs[0]) or [])
    found = [integers(item) for item in node.inputs[1:]]
    if rank == 0 or len(found) < 3 or any(item is None for item in found):
        return None
    starts, ends, axes = (item or [] for item in found[:3])
    steps = found[3] if len(found) > 3 else [1] * len(starts)
    return starts, ends, [axis % rank for axis in axes], steps or []
