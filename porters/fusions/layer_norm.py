"""Puts LayerNormalization together again: ``(x - mean(x)) / sqrt(mean((x - mean(x))**2) + eps) * weight + bias``.

Contract. All is float32. Weight and bias have exactly the shape of the averaged last axes; the bias may be absent.
Epsilon stands under the root. Nothing in between is seen elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from porters.fusions.editor import Editor, rewrite_at
from porters.fusions.match import alike, attribute, made_by, private_group
from porters.fusions.moments import Scaled, constant_axes, fits_last_axes, scaled_by_root, square_of


@rewrite_at("Mul")
def fuse_layer_norm(editor: Editor, node: ir.Node) -> bool:
    """Replace the multiplication by the weight, the addition of the bias after it, and all before it."""
    for normalized, weight in (node.inputs, node.inputs[::-1]):
        quotient = made_by(normalized, "Mul", "Div")
        scaled = scaled_by_root(quotient) if quotient is not None else None
        if scaled is None or weight is None or not fits_last_axes(weight, scaled.numerator, scaled.axis):
            continue
        centred = _centred(scaled)
        if centred is None or weight.dtype != ir.DataType.FLOAT or scaled.numerator.dtype != ir.DataType.FLOAT:
            continue
        x, before = centred
        for last, bias in _endings(node, scaled):
            group = list(dict.fromkeys([*before, *scaled.nodes, node, last]))
            if private_group(group, last):
                attributes = {"axis": scaled.axis, "epsilon": scaled.epsilon, "stash_type": 1}
                inputs = [x, weight, bias] if bias is not None else [x, weight]
                editor.fuse("LayerNormalization", inputs, last, group, attributes)
                return True
    return False


def _centred(scaled: Scaled) -> tuple[ir.Value, list[ir.Node]] | None:
    """Return x and the nodes up to the square where both the numerator and what is squared are ``x - mean(x)``."""
    square = square_of(scaled.squared)
    if square is None or not alike(square[0], scaled.numerator):
        return None
    nodes: list[ir.Node] = []
    for value in (scaled.numerator, *square[1].inputs[:2]):
        difference = made_by(value, "Sub")
        mean = made_by(difference.inputs[1], "ReduceMean") if difference is not None else None
        if difference is None or mean is None:
            continue
        nodes += [mean, difference]
    if len(nodes) < 2 or nodes[0].inputs[0] is None or not alike(nodes[1].inputs[0], nodes[0].inputs[0]):
        return None
    if not attribute(nodes[0], "keepdims", 1) or not _same_axes(nodes[0], scaled.nodes[0]):
        return None
    return nodes[0].inputs[0], [*nodes, square[1]]


def _same_axes(first: ir.Node, second: ir.Node) -> bool:
    # Both means are over a value of the shape of x, so that axes that count alike are the same axes.
    axes = constant_axes(first)
    return axes is not None and axes == constant_axes(second)


def _endings(node: ir.Node, scaled: Scaled) -> Iterator[tuple[ir.Node, ir.Value | None]]:
    """Yield (last node, bias): with the addition that follows where it adds a bias, else the product alone."""
    uses = list(node.outputs[0].uses())
    after = uses[0].node if len(uses) == 1 else None
    if after is not None and after.op_type == "Add" and not after.domain and not node.outputs[0].is_graph_output():
        bias = after.inputs[1 - uses[0].idx]
        if bias is not None and bias.dtype == ir.DataType.FLOAT and fits_last_axes(bias, scaled.numerator, scaled.axis):
            yield after, bias
            return
    yield node, None
