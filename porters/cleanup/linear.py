"""Says a linear layer on more than two axes as a product: reshape(gemm(reshape(x))) is x @ w + b.

Contract. The Gemm takes neither operand transposed and has no factors; the reshapes only join all axes but the last,
and take them apart again.
"""

from __future__ import annotations

import onnx_ir as ir

from porters.fusions.editor import Editor, credit, rewrite_at
from porters.fusions.match import attribute, integers, known, made_by, private
from porters.fusions.sizes import reshape_target


@rewrite_at("Reshape")
def unflatten_gemm(editor: Editor, node: ir.Node) -> bool:
    """Replace the three nodes by MatMul and Add: no size needs to be computed to get the axes back."""
    gemm = made_by(node.inputs[0], "Gemm")
    flat = made_by(gemm.inputs[0], "Reshape") if gemm is not None else None
    if gemm is None or flat is None or not private(gemm.outputs[0]) or not _plain(gemm):
        return False
    x, weight = flat.inputs[0], gemm.inputs[1]
    bias = gemm.inputs[2] if len(gemm.inputs) > 2 else None
    rows, after = known(flat.outputs[0]), known(node.outputs[0])
    if rows is None or after is None or x is None or weight is None or len(rows) != 2 or len(after) < 3:
        return False
    if bias is not None and known(bias) != after[-1:]:
        return False
    group = [item for item in (flat if private(flat.outputs[0]) else None, gemm, node) if item is not None]
    operand = _on_axes(editor, node, x, [*after[:-1], rows[1]])
    if operand is None:
        return False
    if bias is None:
        editor.fuse("MatMul", [operand, weight], node, group)
        return True
    product = editor.node("MatMul", [operand, weight], before=node, dtype=x.dtype, shape=after)
    product.metadata_props.clear()
    product.metadata_props.update(gemm.metadata_props)
    credit(product, [gemm])
    editor.fuse("Add", [product.outputs[0], bias], node, group)
    return True


def _on_axes(editor: Editor, node: ir.Node, x: ir.Value, wanted: list[int | str]) -> ir.Value | None:
    """Return ``x`` with the axes that the result shall have; reshaped only where that saves computing sizes."""
    before = known(x)
    if before is None or before == wanted:
        return None if before is None else x
    target = reshape_target(before, wanted)
    if target is None or integers(node.inputs[1]) is not None:
        return None
    return editor.node("Reshape", [x, editor.vector(target)], before=node, dtype=x.dtype, shape=wanted).outputs[0]


def _plain(gemm: ir.Node) -> bool:
    factors = attribute(gemm, "alpha", 1.0), attribute(gemm, "beta", 1.0)
    return factors == (1.0, 1.0) and not attribute(gemm, "transA", 0) and not attribute(gemm, "transB", 0)
