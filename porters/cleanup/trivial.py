"""Removes nodes that do nothing: identities, casts to the same dtype, arithmetic with neutral constants, full slices.

Contract. The value that takes the node's place provably has its dtype, its shape and its elements (a float zero may
lose its sign). A graph output keeps its name, and so stays where the value behind it already is an input, a weight or
an output.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.fusions.editor import Editor, rewrite_at
from porters.fusions.match import array, dims, integers, made_by, perm_of, same_dims

# Casts that lose nothing: what comes back from them is what went in.
_WIDER = {
    ir.DataType.BOOL: {
        ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.INT32, ir.DataType.INT64,
        ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE,
    },
    ir.DataType.UINT8: {ir.DataType.INT16, ir.DataType.INT32, ir.DataType.INT64, ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.INT8: {ir.DataType.INT16, ir.DataType.INT32, ir.DataType.INT64, ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.INT16: {ir.DataType.INT32, ir.DataType.INT64, ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.INT32: {ir.DataType.INT64, ir.DataType.DOUBLE},
    ir.DataType.FLOAT16: {ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.BFLOAT16: {ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.FLOAT: {ir.DataType.DOUBLE},
}  # fmt: skip
# Operator -> (the position its neutral constant may have, the constant).
_NEUTRAL = {
    "Mul": ((0, 1), 1), "Div": ((1,), 1), "Add": ((0, 1), 0), "Sub": ((1,), 0), "Pow": ((1,), 1),
    "And": ((0, 1), 1), "Or": ((0, 1), 0),
}  # fmt: skip


@rewrite_at("Identity")
def drop_identity(editor: Editor, node: ir.Node) -> bool:
    """Let the input stand for the output."""
    value = node.inputs[0]
    return value is not None and editor.bypass(node.outputs[0], value)


@rewrite_at("Cast")
def drop_cast(editor: Editor, node: ir.Node) -> bool:
    """Drop a cast to the dtype that is there; skip a cast before it that loses nothing."""
    value = node.inputs[0]
    if value is None or value.dtype is None:
        return False
    if value.dtype == node.outputs[0].dtype:
        return editor.bypass(node.outputs[0], value)
    inner = made_by(value, "Cast")
    source = inner.inputs[0] if inner is not None else None
    if source is None or source.dtype is None or value.dtype not in _WIDER.get(source.dtype, ()):
        return False
    node.replace_input_with(0, source)
    editor.prune(value)
    return True


@rewrite_at(*_NEUTRAL)
def drop_neutral(editor: Editor, node: ir.Node) -> bool:
    """Drop an operation with a constant that changes nothing."""
    positions, neutral = _NEUTRAL[node.op_type]
    for position in positions:
        constant = array(node.inputs[position])
        value = node.inputs[1 - position]
        if constant is None or value is None or not np.all(constant == neutral) or constant.size == 0:
            continue
        small = constant.size == 1 and constant.ndim <= len(dims(value) or [])
        if (small or same_dims(value, node.outputs[0])) and value.dtype == node.outputs[0].dtype:
            return editor.bypass(node.outputs[0], value)
    return False


@rewrite_at("Reshape", "Expand", "Squeeze", "Unsqueeze")
def drop_same_shape(editor: Editor, node: ir.Node) -> bool:
    """Drop what changes the shape to the shape that is there."""
    value = node.inputs[0]
    return value is not None and same_dims(value, node.outputs[0]) and editor.bypass(node.outputs[0], value)


@rewrite_at("Slice")
def drop_full_slice(editor: Editor, node: ir.Node) -> bool:
    """Drop a slice, forwards, that leaves nothing out."""
    value = node.inputs[0]
    steps = integers(node.inputs[4]) if len(node.inputs) > 4 else [1]
    if value is None or steps is None or any(step < 1 for step in steps):
        return False
    return same_dims(value, node.outputs[0]) and editor.bypass(node.outputs[0], value)


@rewrite_at("Pad")
def drop_empty_pad(editor: Editor, node: ir.Node) -> bool:
    """Drop a padding of no width."""
    value = node.inputs[0]
    widths = integers(node.inputs[1])
    if value is None or widths is None or any(widths):
        return False
    return editor.bypass(node.outputs[0], value)


@rewrite_at("Transpose")
def drop_straight_transpose(editor: Editor, node: ir.Node) -> bool:
    """Drop a permutation that leaves every axis in place."""
    value, perm = node.inputs[0], perm_of(node)
    return value is not None and perm == list(range(len(perm or [0]))) and editor.bypass(node.outputs[0], value)


@rewrite_at("Concat")
def drop_single_concat(editor: Editor, node: ir.Node) -> bool:
    """Drop the concatenation of one value."""
    value = node.inputs[0]
    return value is not None and len(node.inputs) == 1 and editor.bypass(node.outputs[0], value)


REWRITES = (
    drop_identity,
    drop_cast,
    drop_neutral,
    drop_same_shape,
    drop_full_slice,
    drop_empty_pad,
    drop_straight_transpose,
    drop_single_concat,
)
