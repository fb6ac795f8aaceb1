"""Sizes as operands: vectors read from the inputs of the model, and targets of Reshape that need no reading."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from porters.fusions.editor import Editor
from porters.fusions.match import Dim, dims


def sizes(editor: Editor, shape: Sequence[Dim], source: ir.Value, before: ir.Node) -> ir.Value:
    """Return ``shape`` as an INT64 vector.

    Args:
        editor: The graph.
        shape: Sizes; one that is not a number is the size of ``source`` on that axis.
        source: A value of as many axes.
        before: The node in front of which the sizes are read.
    """
    if all(isinstance(size, int) for size in shape):
        return editor.vector([size for size in shape if isinstance(size, int)])
    parts: list[ir.Value] = []
    numbers: list[int] = []
    for axis, size in enumerate(shape):
        if isinstance(size, int):
            numbers.append(size)
            continue
        parts += [editor.vector(numbers)] if numbers else []
        numbers = []
        parts.append(_size(editor, size, source, axis, before))
    parts += [editor.vector(numbers)] if numbers else []
    if len(parts) == 1:
        return parts[0]
    joined = editor.node(
        "Concat", parts, before=before, dtype=ir.DataType.INT64, shape=[len(shape)], attributes={"axis": 0}
    )
    return joined.outputs[0]


def _size(editor: Editor, size: str | None, source: ir.Value, axis: int, before: ir.Node) -> ir.Value:
    for value in editor.graph.inputs:
        shape = dims(value) or []
        if size is not None and size in shape:
            source, axis = value, shape.index(size)
            break
    ends = {"start": axis, "end": axis + 1}
    read = editor.node("Shape", [source], before=before, dtype=ir.DataType.INT64, shape=[1], attributes=ends)
    return read.outputs[0]


def reshape_target(before: Sequence[int | str], after: Sequence[int | str]) -> list[int] | None:
    """Return the operand of a Reshape from one shape to another; ``None`` where no constant says it."""
    if 0 in before or 0 in after:
        return None
    open_axes = [axis for axis, size in enumerate(after) if isinstance(size, str)]
    if len(open_axes) > 1:
        open_axes = [axis for axis in open_axes if axis >= len(before) or before[axis] != after[axis]]
        if len(open_axes) > 1:
            return None
        return [(-1 if axis in open_axes else 0) if isinstance(size, str) else size for axis, size in enumerate(after)]
    return [-1 if isinstance(size, str) else size for size in after]
