"""Lets a convolution or a pooling pad by itself what is padded before it.

Contract. The Pad puts zeros around the spatial axes and takes nothing away. Before a maximum it goes only where no
value is negative and every window still meets one. A Transpose may stand between.
"""

from __future__ import annotations

import onnx_ir as ir

from porters.fusions.editor import Editor, credit, rewrite_at
from porters.fusions.match import attribute, dims, integers, made_by, perm_of, private, scalar

# Operators whose results are never negative.
_NOT_NEGATIVE = ("Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp")


@rewrite_at("Conv", "MaxPool")
def merge_pads(editor: Editor, node: ir.Node) -> bool:
    """Add the pads of the Pad before ``node`` to its own."""
    value = node.inputs[0]
    turn = made_by(value, "Transpose")
    turn = turn if turn is not None and private(turn.outputs[0]) else None
    pad = made_by(turn.inputs[0] if turn is not None else value, "Pad")
    if pad is None or not private(pad.outputs[0]) or attribute(node, "auto_pad", "NOTSET") != "NOTSET":
        return False
    rank = len(dims(pad.inputs[0]) or ())
    amounts = _amounts(pad, rank)
    if amounts is None:
        return False
    order = (perm_of(turn) or []) if turn is not None else list(range(rank))
    before, after = ([side[axis] for axis in order] for side in amounts)
    if any((*before[:2], *after[:2])) or min((*before, *after)) < 0:
        return False
    if node.op_type == "MaxPool" and not _is_safe(pad, node, before[2:], after[2:]):
        return False
    _merge(editor, node, turn, pad, [*before[2:], *after[2:]])
    return True


def _amounts(pad: ir.Node, rank: int) -> tuple[list[int], list[int]] | None:
    """Return what a Pad with zeros puts before and behind each of ``rank`` axes."""
    if not rank or attribute(pad, "mode", "constant") != "constant":
        return None
    amounts = integers(pad.inputs[1])
    fill = pad.inputs[2] if len(pad.inputs) > 2 else None
    axes = integers(pad.inputs[3]) if len(pad.inputs) > 3 else list(range(rank))
    if amounts is None or axes is None or (fill is not None and scalar(fill) != 0):
        return None
    before, after = [0] * rank, [0] * rank
    for position, axis in enumerate(axes):
        before[axis % rank], after[axis % rank] = amounts[position], amounts[position + len(axes)]
    return before, after


def _is_safe(pad: ir.Node, node: ir.Node, before: list[int], after: list[int]) -> bool:
    """Say whether padding with nothing gives the same maximum as padding with zeros."""
    kernel = attribute(node, "kernel_shape")
    pads = list(attribute(node, "pads", [0] * 2 * len(kernel)))
    if len(node.outputs) > 1 or attribute(node, "ceil_mode", 0) or set(attribute(node, "dilations", [1])) != {1}:
        return False
    amounts = [*before, *after]
    sizes = [*kernel, *kernel]
    met = all(mine + more < size for mine, more, size in zip(pads, amounts, sizes, strict=True))
    return met and not any(pads) and made_by(pad.inputs[0], *_NOT_NEGATIVE) is not None


def _merge(editor: Editor, node: ir.Node, turn: ir.Node | None, pad: ir.Node, amounts: list[int]) -> None:
    source = pad.inputs[0]
    assert source is not None
    group = [pad, node]
    if turn is not None:
        order = perm_of(turn) or []
        sizes = dims(source) or []
        made = editor.node(
            "Transpose", [source], before=turn, dtype=source.dtype, shape=[sizes[axis] for axis in order],
            attributes={"perm": order},
        )  # fmt: skip
        credit(made, [turn])
        source = made.outputs[0]
    mine = attribute(node, "pads", [0] * len(amounts))
    attributes = {key: item.value for key, item in node.attributes.items()}
    attributes["pads"] = [a + b for a, b in zip(mine, amounts, strict=True)]
    kept = dict(node.metadata_props)
    fused = editor.fuse(node.op_type, [source, *node.inputs[1:]], node, group, attributes)
    fused.metadata_props.update(kept)
    credit(fused, group)
