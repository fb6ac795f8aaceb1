"""Keeps the lowest number of a dtype out of the masks of Attention, where runtimes take it for minus infinity.

Contract. transformers masks by adding ``finfo.min``: in a row of nothing else the scores are all the same, and so are
the probabilities. ONNX Runtime 1.32 gives such a row zeros. Half that number still hides everything beside any other
score, and is a number to everybody. Masks in which the lowest number cannot occur are left alone.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.fusions.editor import Editor, rewrite_at
from porters.fusions.match import FLOATS, array, dims, made_by

# Values searched for it, upstream of the mask; past that many it may be there.
_SEARCHED = 256
# Constants up to this many elements are read.
_LARGEST = 1 << 20


@rewrite_at("Attention")
def raise_lowest(editor: Editor, node: ir.Node) -> bool:
    """Put half the lowest number where a mask of floats may hold the lowest."""
    mask = node.inputs[3] if len(node.inputs) > 3 else None
    if mask is None or mask.dtype is None or mask.dtype not in FLOATS or _is_raised(mask):
        return False
    numeric = mask.dtype.numpy()
    lowest = _lowest(numeric)
    if not _may_hold(mask, lowest):
        return False
    shape = dims(mask)
    bottom = editor.constant(np.asarray(lowest, numeric))
    half = editor.constant(np.asarray(lowest / 2, numeric))
    found = editor.node("Equal", [mask, bottom], before=node, dtype=ir.DataType.BOOL, shape=shape)
    raised = editor.node("Where", [found.outputs[0], half, mask], before=node, dtype=mask.dtype, shape=shape)
    node.replace_input_with(3, raised.outputs[0])
    return True


def _lowest(numeric: np.dtype) -> float:
    import ml_dtypes

    return float(ml_dtypes.finfo(numeric).min)


def _is_raised(mask: ir.Value) -> bool:
    chosen = made_by(mask, "Where")
    compared = None if chosen is None else made_by(chosen.inputs[0], "Equal")
    return chosen is not None and compared is not None and compared.inputs[0] is chosen.inputs[2]


def _may_hold(mask: ir.Value, lowest: float) -> bool:
    """Say whether a constant that ``mask`` is made of holds the lowest number, or its opposite."""
    seen: set[int] = set()
    pending: list[ir.Value | None] = [mask]
    while pending:
        value = pending.pop()
        if value is None or id(value) in seen:
            continue
        seen.add(id(value))
        if len(seen) > _SEARCHED:
            return True
        data = array(value, _LARGEST)
        if data is not None and data.dtype.kind not in "iub" and bool((np.abs(data) == abs(lowest)).any()):
            return True
        producer = value.producer()
        if producer is not None:
            pending += producer.inputs
    return False
