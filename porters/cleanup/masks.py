"""Reduces the index arithmetic of attention masks, and whatever else only picks all there is, to what it does.

Contract. Indices are proven to run over whole axes from zero, one by one; conditions are proven to hold everywhere.
"""

from __future__ import annotations

import onnx_ir as ir

from porters.cleanup.indices import affine, always_true
from porters.fusions.editor import Editor, rewrite_at
from porters.fusions.match import Dim, attribute, axes_of, dims, known, made_by, same_dims
from porters.fusions.sizes import sizes


@rewrite_at("Gather")
def drop_full_gather(editor: Editor, node: ir.Node) -> bool:
    """Drop a Gather of all indices of an axis in order."""
    data, indices = known(node.inputs[0]), known(node.inputs[1])
    if data is None or indices is None or len(indices) != 1 or node.inputs[0] is None:
        return False
    found = affine(node.inputs[1])
    axis = attribute(node, "axis", 0) % len(data)
    if found is None or found.steps != ((-1, 1),) or found.offset != 0 or indices[0] != data[axis]:
        return False
    return editor.bypass(node.outputs[0], node.inputs[0])


@rewrite_at("GatherND")
def drop_full_gather_nd(editor: Editor, node: ir.Node) -> bool:
    """Replace a GatherND over all indices of all axes, in order, by the axes of size one that it adds."""
    data, result = known(node.inputs[0]), known(node.outputs[0])
    joined = made_by(node.inputs[1], "Concat")
    if data is None or result is None or joined is None or attribute(node, "batch_dims", 0) != 0:
        return False
    rank = len(result)
    if attribute(joined, "axis") not in (-1, rank) or len(joined.inputs) != len(data):
        return False
    axes = [_axis_of(item, rank) for item in joined.inputs]
    order = [axis for axis in axes if axis is not None]
    if len(order) != len(data) or order != sorted(set(order)) or [result[axis] for axis in order] != data:
        return False
    added = [axis for axis in range(rank) if axis not in order]
    if any(result[axis] != 1 for axis in added) or node.inputs[0] is None:
        return False
    if not added:
        return editor.bypass(node.outputs[0], node.inputs[0])
    editor.fuse("Unsqueeze", [node.inputs[0], editor.vector(added)], node, [node])
    return True


def _axis_of(index: ir.Value | None, rank: int) -> int | None:
    """Return the axis of the result along which one column of the indices counts."""
    raised = made_by(index, "Unsqueeze")
    if raised is None or dims(raised.inputs[0]) is None or axes_of(raised, rank + 1) != [rank]:
        return None
    found = affine(raised.inputs[0])
    if found is None or len(found.steps) != 1 or found.offset != 0 or found.steps[0][1] != 1:
        return None
    return rank + found.steps[0][0]


@rewrite_at("And")
def drop_true(editor: Editor, node: ir.Node) -> bool:
    """Replace ``true and x`` by x, expanded where the condition made it larger."""
    for truth, value in (node.inputs, node.inputs[::-1]):
        if value is None or not always_true(truth):
            continue
        if same_dims(value, node.outputs[0]):
            return editor.bypass(node.outputs[0], value)
        before, after = known(value), known(node.outputs[0])
        if before is None or after is None or truth is None or len(dims(truth) or []) != len(after):
            continue
        padded: list[Dim] = [*([1] * (len(after) - len(before))), *before]
        target: list[Dim] = [1 if have == want else want for have, want in zip(padded, after, strict=True)]
        # The sizes are read from the condition: only it has them all where x is smaller.
        editor.fuse("Expand", [value, sizes(editor, target, truth, node)], node, [node])
        return True
    return False


REWRITES = (drop_full_gather, drop_full_gather_nd, drop_true)
