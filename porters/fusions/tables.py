"""Builds the tables of a rotary embedding again with each angle once, where they provably hold each twice."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.fusions.editor import Editor
from porters.fusions.match import Dim, array, attribute, axes_of, dims, integers, known, made_by, scalar
from porters.fusions.sizes import reshape_target

# Tables that are constants are read up to this many elements.
_TABLE = 1 << 22
# Operators that treat every element alike: what holds each value twice holds its image twice.
_ELEMENTWISE = frozenset({"Cos", "Sin", "Cast", "Neg", "Identity"})
_BY_SCALAR = frozenset({"Mul", "Div", "Add", "Sub"})


def halved(editor: Editor, value: ir.Value, interleaved: bool) -> ir.Value | None:
    """Return ``value`` with each element of its last axis once.

    The nodes that make it are copied in front of themselves, on half the width; equal copies are left to be merged.

    Args:
        editor: The graph.
        value: A table in which the last axis holds each element twice.
        interleaved: Whether as f0 f0 f1 f1 ..., and not as f0 f1 ... f0 f1 ...

    Returns:
        The new value; ``None`` where the doubling is not proven.
    """
    constant = array(value, _TABLE)
    if constant is not None:
        return _halved_constant(editor, constant, interleaved)
    node = value.producer()
    if node is None or node.domain or node.graph is not editor.graph or not dims(value):
        return None
    source = _repeated(editor, node) if interleaved else _joined(node)
    if source is not None:
        return source
    for position in _carriers(node):
        carried = node.inputs[position]
        inner = halved(editor, carried, interleaved) if carried is not None else None
        if inner is not None:
            return _copy(editor, node, position, inner)
    return None


def _halved_constant(editor: Editor, data: np.ndarray, interleaved: bool) -> ir.Value | None:
    if data.ndim == 0 or data.shape[-1] % 2:
        return None
    half = data.shape[-1] // 2
    first, second = (data[..., 0::2], data[..., 1::2]) if interleaved else (data[..., :half], data[..., half:])
    return editor.constant(first) if np.array_equal(first, second) else None


def _joined(node: ir.Node) -> ir.Value | None:
    """Return f where ``node`` is cat(f, f) on the last axis."""
    rank = len(dims(node.outputs[0]) or [])
    if node.op_type != "Concat" or attribute(node, "axis") % rank != rank - 1:
        return None
    return node.inputs[0] if len(node.inputs) == 2 and node.inputs[0] is node.inputs[1] else None


def _repeated(editor: Editor, node: ir.Node) -> ir.Value | None:
    """Return f where ``node`` is each element of f twice: with an axis added, expanded by two on it, and flattened."""
    expanded = made_by(node.inputs[0], "Expand") if node.op_type == "Reshape" else None
    raised = made_by(expanded.inputs[0], "Unsqueeze") if expanded is not None else None
    if expanded is None or raised is None:
        return None
    source, single = known(raised.inputs[0]), known(raised.outputs[0])
    double, flat = known(expanded.outputs[0]), known(node.outputs[0])
    if source is None or single is None or flat is None or len(single) < 2 or double != [*single[:-1], 2]:
        return None
    width, axes = single[-2], axes_of(raised, len(single)) or []
    if not isinstance(width, int) or axes[-1:] != [len(single) - 1] or flat[-1] != 2 * width:
        return None
    # Axes of size one may have come in or gone with the flattening: the order of the elements is the same.
    if [size for size in flat[:-1] if size != 1] != [size for size in single[:-2] if size != 1]:
        return None
    wanted = [*flat[:-1], width]
    target = reshape_target(source, wanted)
    if source == wanted or target is None:
        return raised.inputs[0] if source == wanted else None
    inputs = [raised.inputs[0], editor.vector(target)]
    return editor.node("Reshape", inputs, before=node, dtype=node.outputs[0].dtype, shape=wanted).outputs[0]


def _carriers(node: ir.Node) -> list[int]:
    """Return the inputs of which ``node`` keeps the last axis as it is, element by element."""
    if node.op_type in _ELEMENTWISE:
        return [0]
    if node.op_type in _BY_SCALAR:
        return [position for position in (0, 1) if scalar(node.inputs[1 - position]) is not None]
    rank = len(dims(node.inputs[0]) or [])
    if node.op_type == "Unsqueeze":
        axes = axes_of(node, rank + len(integers(node.inputs[1]) or []))
        return [0] if axes is not None and rank + len(axes) - 1 not in axes else []
    if node.op_type == "Squeeze" and len(node.inputs) > 1:
        axes = axes_of(node, rank)
        return [0] if axes is not None and rank - 1 not in axes else []
    if node.op_type == "Gather":
        return [0] if rank and attribute(node, "axis", 0) % rank != rank - 1 else []
    if node.op_type == "Slice" and len(node.inputs) > 3:
        axes = axes_of_slice(node, rank)
        return [0] if axes is not None and rank - 1 not in axes else []
    return []


def axes_of_slice(node: ir.Node, rank: int) -> list[int] | None:
    """Return the constant axes of a Slice, counted from the front."""
    axes = integers(node.inputs[3])
    return None if axes is None or rank == 0 else [axis % rank for axis in axes]


def _copy(editor: Editor, node: ir.Node, position: int, inner: ir.Value) -> ir.Value:
    shape: list[Dim] = [*(dims(node.outputs[0]) or []), None]
    shape = [*shape[:-2], (dims(inner) or [None])[-1]]
    inputs = [inner if index == position else item for index, item in enumerate(node.inputs)]
    attributes = {name: item.value for name, item in node.attributes.items()}
    copied = editor.node(
        node.op_type, inputs, before=node, dtype=node.outputs[0].dtype, shape=shape, attributes=attributes
    )
    return copied.outputs[0]
