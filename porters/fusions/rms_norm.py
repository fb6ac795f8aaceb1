"""Puts RMSNormalization together again: ``x / sqrt(mean(x * x) + eps) * weight`` over the last axes.

Contract. The statistics are float32: either x is, or x is cast to float32 before and the quotient cast back to the
dtype of x after, which is what ``stash_type=1`` says. The weight has exactly the shape of the averaged axes and the
dtype of x, and is multiplied last. Epsilon stands under the root. Nothing in between is seen elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from porters.fusions.editor import Editor, rewrite_at
from porters.fusions.match import alike, made_by, private_group
from porters.fusions.moments import Scaled, fits_last_axes, scaled_by_root, square_of


@rewrite_at("Mul")
def fuse_rms_norm(editor: Editor, node: ir.Node) -> bool:
    """Replace the multiplication by the weight, and all before it, by one RMSNormalization."""
    for normalized, weight in (node.inputs, node.inputs[::-1]):
        if normalized is None or weight is None:
            continue
        back = made_by(normalized, "Cast")
        quotient = made_by(back.inputs[0] if back is not None else normalized, "Mul", "Div")
        scaled = scaled_by_root(quotient) if quotient is not None else None
        if scaled is not None and _fuse(editor, node, scaled, weight, back):
            return True
    return False


def _fuse(editor: Editor, node: ir.Node, scaled: Scaled, weight: ir.Value, back: ir.Node | None) -> bool:
    square = square_of(scaled.squared)
    if square is None or not alike(square[0], scaled.numerator) or scaled.numerator.dtype != ir.DataType.FLOAT:
        return False
    there = _casts([scaled.numerator, square[0]]) if back is not None else []
    x = there[0].inputs[0] if there else scaled.numerator
    result = back.outputs[0] if back is not None else scaled.nodes[-1].outputs[0]
    if x is None or not x.dtype == weight.dtype == result.dtype or not fits_last_axes(weight, x, scaled.axis):
        return False
    group = [*there, square[1], *scaled.nodes, *([back] if back is not None else []), node]
    if not private_group(group, node):
        return False
    attributes = {"axis": scaled.axis, "epsilon": scaled.epsilon, "stash_type": 1}
    editor.fuse("RMSNormalization", [x, weight], node, group, attributes)
    return True


def _casts(values: Sequence[ir.Value]) -> list[ir.Node]:
    """Return the casts from half precision that make ``values``, each once; none unless all are such casts."""
    casts = [made_by(value, "Cast") for value in values]
    narrow = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
    found = [
        cast for cast in casts if cast is not None and cast.inputs[0] is not None and cast.inputs[0].dtype in narrow
    ]
    return list(dict.fromkeys(found)) if len(found) == len(values) else []
