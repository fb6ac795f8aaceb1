"""Puts Attention together again: ``softmax(q @ k.T * scale + masks) @ v``, spelled out in four to nine nodes.

Contract. q, k and v have four axes with provably the same batch and the same number of heads. The softmax is over the
last axis, in the dtype of q. Scales are positive constants of one element, on q, on k or on the scores; they are
multiplied into one. Masks are added to the scores, in their dtype, without making the scores larger; they are added
up. A mask may be added to the scores seen as (batch, windows, heads, ...), as shifted windows do: then windows and
heads count as heads of the Attention. Nothing in between is seen elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from porters.fusions.editor import Editor, credit, rewrite_at
from porters.fusions.match import (
    FLOATS,
    Dim,
    attribute,
    broadcast,
    dims,
    known,
    made_by,
    perm_of,
    private_group,
    scalar,
)
from porters.fusions.sizes import sizes


@dataclass
class _Scores:
    """What a softmax was found to be taken of.

    Attributes:
        scale: The product of all scales.
        masks: What was added to the scores of four axes.
        window_mask: What was added to the scores of five axes.
        windows: The number of windows, where there was such a mask.
        batch: The batch without the windows.
        nodes: The nodes passed, the last one first.
        product: The product of q and k.
    """

    scale: float = 1.0
    masks: list[ir.Value] = field(default_factory=list)
    window_mask: ir.Value | None = None
    windows: int = 0
    batch: Dim = None
    nodes: list[ir.Node] = field(default_factory=list)
    product: ir.Node | None = None


@rewrite_at("MatMul")
def fuse_attention(editor: Editor, node: ir.Node) -> bool:
    """Replace the product of the probabilities with v, and all before it, by one Attention."""
    softmax = made_by(node.inputs[0], "Softmax")
    v = node.inputs[1]
    if softmax is None or v is None or not _last_axis(softmax):
        return False
    scores = _Scores()
    if not _read_scores(softmax.inputs[0], scores) or scores.product is None or scores.scale <= 0:
        return False
    product = scores.product
    q = _unscaled(product.inputs[0], scores)
    turned = made_by(_unscaled(product.inputs[1], scores), "Transpose")
    if q is None or turned is None or not _fits(q, turned, v, product, node, scores.windows):
        return False
    group = list(dict.fromkeys([turned, *scores.nodes[::-1], softmax, node]))
    if not private_group([item for item in group if item is not turned], node) or scores.scale <= 0:
        return False
    _emit(editor, node, group, q, _keys(editor, turned, node), v, scores)
    return True


def _last_axis(softmax: ir.Node) -> bool:
    shape = dims(softmax.inputs[0])
    return shape is not None and int(attribute(softmax, "axis", -1)) in (-1, len(shape) - 1)


def _read_scores(value: ir.Value | None, scores: _Scores) -> bool:
    """Walk from the softmax up to the product of q and k; say whether all that was passed is understood."""
    while value is not None:
        node = made_by(value, "MatMul", "Add", "Mul", "Div", "Reshape")
        if node is None:
            return False
        scores.nodes.append(node)
        if node.op_type == "MatMul":
            scores.product = node
            return True
        if node.op_type in ("Mul", "Div"):
            value = _scaled(node, scores)
        elif scores.scale != 1.0:
            return False  # a scale behind a mask scales the mask as well
        else:
            value = _masked(node, scores) if node.op_type == "Add" else _windowed(node, scores)
    return False


def _masked(node: ir.Node, scores: _Scores) -> ir.Value | None:
    shape = known(node.outputs[0])
    for value, mask in (node.inputs, node.inputs[::-1]):
        if made_by(value, "MatMul", "Add", "Mul", "Div", "Reshape") is None or mask is None:
            continue
        rows = known(mask)
        if shape is None or len(shape) != 4 or known(value) != shape or rows is None or len(rows) < 2:
            continue
        if rows[-1] == shape[3] and rows[-2] in (1, shape[2]) and _leads_to_product(value):
            scores.masks.append(mask)
            return value
    return None


def _leads_to_product(value: ir.Value | None) -> bool:
    """Say whether ``value`` is on the way to the product of q and k, and not a mask that was computed."""
    for _ in range(8):
        node = made_by(value, "MatMul", "Add", "Mul", "Div", "Reshape")
        if node is None or node.op_type == "MatMul":
            return node is not None
        following = [item for item in node.inputs[:2] if made_by(item, "MatMul", "Add", "Mul", "Div", "Reshape")]
        if not following:
            return False
        value = following[0]
    return False


def _scaled(node: ir.Node, scores: _Scores) -> ir.Value | None:
    """Take the scale of a Mul or Div into account and return what is scaled."""
    for position in (1, 0) if node.op_type == "Mul" else (1,):
        number = scalar(node.inputs[position])
        if number is not None and number > 0:
            scores.scale *= 1 / number if node.op_type == "Div" else number
            return node.inputs[1 - position]
    return None


def _windowed(node: ir.Node, scores: _Scores) -> ir.Value | None:
    """Read (windows * batch, heads, n, m) = reshape(reshape(scores, (batch, windows, heads, n, m)) + mask)."""
    added = made_by(node.inputs[0], "Add")
    if added is None or scores.window_mask is not None:
        return None
    for value, mask in (added.inputs, added.inputs[::-1]):
        split = made_by(value, "Reshape")
        if split is None or mask is None or split.inputs[0] is None:
            continue
        whole, parts, masked = known(split.inputs[0]), known(split.outputs[0]), known(mask)
        if whole is None or parts is None or masked is None or whole != known(node.outputs[0]):
            return None
        if len(whole) != 4 or len(parts) != 5 or parts[2:] != whole[1:] or known(added.outputs[0]) != parts:
            return None
        if not all(isinstance(size, int) for size in parts[1:]) or len(masked) != 5 or masked[0] != 1:
            return None
        if masked[1] != parts[1] or masked[3:] != parts[3:]:
            return None
        scores.window_mask, scores.windows, scores.batch = mask, int(parts[1]), parts[0]
        scores.nodes += [added, split]
        return split.inputs[0]
    return None


def _unscaled(value: ir.Value | None, scores: _Scores) -> ir.Value | None:
    node = made_by(value, "Mul", "Div")
    if node is None:
        return value
    before = scores.scale
    inner = _scaled(node, scores)
    if inner is None or known(inner) != known(value):
        scores.scale = before
        return value
    scores.nodes.append(node)
    return inner


def _fits(q: ir.Value, turned: ir.Node, v: ir.Value, product: ir.Node, node: ir.Node, windows: int) -> bool:
    perm = perm_of(turned)
    shapes = [known(item) for item in (q, turned.outputs[0], v, product.outputs[0], node.outputs[0])]
    if perm is None or any(shape is None or len(shape) != 4 for shape in shapes):
        return False
    heads = [shape[:2] for shape in shapes if shape is not None]
    if windows and not all(isinstance(size, int) for shape in shapes if shape is not None for size in shape[1:]):
        return False
    dtypes = {item.dtype for item in (q, turned.outputs[0], v, product.outputs[0], node.outputs[0])}
    return all(item == heads[0] for item in heads) and len(dtypes) == 1 and q.dtype in FLOATS


def _keys(editor: Editor, turned: ir.Node, node: ir.Node) -> ir.Value:
    """Return k with its two last axes the right way round: the Transpose undone, or changed."""
    perm = perm_of(turned) or []
    perm = [*perm[:2], perm[3], perm[2]]
    source = turned.inputs[0]
    assert source is not None
    if perm == [0, 1, 2, 3]:
        return source
    shape = dims(source) or []
    swapped = editor.node(
        "Transpose", [source], before=node, dtype=source.dtype,
        shape=[shape[axis] for axis in perm], attributes={"perm": perm},
    )  # fmt: skip
    swapped.metadata_props.clear()
    swapped.metadata_props.update(turned.metadata_props)
    return swapped.outputs[0]


def _emit(
    editor: Editor, node: ir.Node, group: list[ir.Node], q: ir.Value, k: ir.Value, v: ir.Value, scores: _Scores
) -> None:
    attributes = {"scale": scores.scale}
    mask = _sum(editor, scores.masks, node)
    if scores.window_mask is None:
        inputs = [q, k, v] if mask is None else [q, k, v, full_mask(editor, mask, q, node)]
        editor.fuse("Attention", inputs, node, group, attributes)
        return
    heads = (known(q) or [])[1]
    assert isinstance(heads, int)
    wide = _sum(editor, [item for item in (mask, scores.window_mask) if item is not None], node)
    assert wide is not None
    if (known(wide) or [])[2] != heads:
        shape: list[Dim] = [1, scores.windows, heads, *(known(wide) or [])[3:]]
        ones = editor.vector([1, 1, heads, 1, 1])
        wide = editor.node("Expand", [wide, ones], before=node, dtype=q.dtype, shape=shape).outputs[0]
    many = scores.windows * heads
    folded = [_folded(editor, item, [scores.batch, many], node) for item in (q, k, v)]
    folded.append(_folded(editor, wide, [1, many], node))
    result = known(node.outputs[0]) or []
    inner = editor.node(
        "Attention", folded, before=node, dtype=q.dtype,
        shape=[scores.batch, many, *result[2:]], attributes=attributes,
    )  # fmt: skip
    credit(inner, group)
    target = editor.vector([-1, *(int(size) for size in result[1:])])
    editor.fuse("Reshape", [inner.outputs[0], target], node, group)


def _sum(editor: Editor, masks: list[ir.Value], node: ir.Node) -> ir.Value | None:
    total: ir.Value | None = None
    for mask in masks:
        if total is None:
            total = mask
            continue
        shape = broadcast(known(total), known(mask))
        total = editor.node("Add", [total, mask], before=node, dtype=mask.dtype, shape=shape).outputs[0]
    return total


def _folded(editor: Editor, value: ir.Value, leading: list[Dim], node: ir.Node) -> ir.Value:
    """Return ``value`` with its windows counted as heads; ``leading`` is the batch and that number."""
    last = [int(size) for size in (known(value) or [])[-2:]]
    heads = leading[1]
    assert isinstance(heads, int)
    target = editor.vector([-1, heads, *last])
    return editor.node("Reshape", [value, target], before=node, dtype=value.dtype, shape=[*leading, *last]).outputs[0]


def full_mask(editor: Editor, mask: ir.Value, q: ir.Value, node: ir.Node) -> ir.Value:
    """Return ``mask`` with a row for every query: runtimes broadcast it over batch and heads only."""
    shape, length = dims(mask) or [], (dims(q) or [None] * 4)[2]
    if len(shape) < 2 or shape[-2] == length:
        return mask
    target = sizes(editor, [1, 1, length, 1], q, node)
    wide: list[Dim] = [*([1] * (4 - len(shape))), *shape[:-2], length, shape[-1]]
    return editor.node("Expand", [mask, target], before=node, dtype=mask.dtype, shape=wide).outputs[0]
