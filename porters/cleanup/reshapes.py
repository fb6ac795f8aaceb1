"""Says reshapes once and with constant targets, and takes the detours of packed projections out.

Contract. All shapes involved are known, so that the result is the same elements in the same order. A target is spelled
with 0 for a symbolic size that is copied from the same axis and one -1 for another: it needs no arithmetic on sizes.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from porters.fusions.editor import Editor, credit, rewrite_at
from porters.fusions.match import attribute, integers, known, made_by, perm_of, private, users
from porters.fusions.sizes import reshape_target

_RESHAPES = ("Reshape", "Unsqueeze", "Squeeze", "Flatten")
_MOVES = ("Transpose", "Unsqueeze", "Squeeze")
_Sizes = Sequence[int | str]


@rewrite_at("Reshape")
def constant_target(editor: Editor, node: ir.Node) -> bool:
    """Replace a target that is computed from sizes by a constant."""
    before, after = known(node.inputs[0]), known(node.outputs[0])
    if before is None or after is None or node.inputs[1] is None or integers(node.inputs[1]) is not None:
        return False
    sizes = reshape_target(before, after)
    if sizes is None:
        return False
    computed = node.inputs[1]
    node.replace_input_with(1, editor.vector(sizes))
    node.attributes.pop("allowzero", None)
    editor.prune(computed)
    return True


@rewrite_at(*_RESHAPES)
def merge_reshapes(editor: Editor, node: ir.Node) -> bool:
    """Replace two operators that only change the shape by one Reshape, or by none."""
    inner = made_by(node.inputs[0], *_RESHAPES)
    if inner is None or inner.inputs[0] is None or not private(inner.outputs[0]):
        return False
    if "Reshape" not in (inner.op_type, node.op_type):
        return False  # added and removed axes are said better as such
    if node.op_type != "Reshape" and any(user.op_type in _MOVES for user in users(node.outputs[0])):
        return False  # they may yet cancel against those that a Transpose moves
    before, after = known(inner.inputs[0]), known(node.outputs[0])
    if before is None or after is None:
        return False
    if before == after and editor.bypass(node.outputs[0], inner.inputs[0]):
        return True
    sizes = reshape_target(before, after)
    if sizes is None:
        return False
    editor.fuse("Reshape", [inner.inputs[0], editor.vector(sizes)], node, [inner, node])
    return True


@rewrite_at("Gather")
def pick_before_transpose(editor: Editor, node: ir.Node) -> bool:
    """Pick one index of an axis before a Transpose that, without that axis, leaves everything in place."""
    turned = made_by(node.inputs[0], "Transpose")
    index = integers(node.inputs[1])
    perm = perm_of(turned) if turned is not None else None
    if turned is None or index is None or perm is None or known(node.inputs[1]) != []:
        return False
    axis = attribute(node, "axis", 0) % len(perm)
    rest = perm[:axis] + perm[axis + 1 :]
    if rest != sorted(rest):
        return False
    editor.fuse("Gather", [turned.inputs[0], node.inputs[1]], node, [node], {"axis": perm[axis]})
    return True


@rewrite_at("Reshape")
def split_packed(editor: Editor, node: ir.Node) -> bool:
    """Replace (..., n * k) -> (..., n, k) and the picks of its n parts by one Split."""
    before, after = known(node.inputs[0]), known(node.outputs[0])
    if before is None or after is None or len(after) < 2 or list(before[:-1]) != list(after[:-2]):
        return False
    count, width = after[-2:]
    picks = users(node.outputs[0])
    if not isinstance(count, int) or not isinstance(width, int) or node.outputs[0].is_graph_output() or not picks:
        return False
    places = [_picked(pick, len(after) - 2, count) for pick in picks]
    if None in places or len(set(places)) != len(places):
        return False
    parts = editor.node(
        "Split", [node.inputs[0], editor.vector([width] * count)], before=node, dtype=node.outputs[0].dtype,
        shape=[*before[:-1], width], attributes={"axis": len(before) - 1}, outputs=count,
    )  # fmt: skip
    credit(parts, [node, *picks])
    for place, pick in zip(places, picks, strict=True):
        assert place is not None
        editor.take_over(pick.outputs[0], parts.outputs[place])
    for part in parts.outputs:
        part.shape, part.type = ir.Shape([*before[:-1], width]), parts.outputs[0].type
    return True


def _picked(node: ir.Node, axis: int, count: int) -> int | None:
    """Return which single index of ``axis`` a Gather picks."""
    if node.op_type != "Gather" or node.domain or known(node.inputs[1]) != []:
        return None
    index = integers(node.inputs[1])
    shape = known(node.inputs[0])
    if index is None or shape is None or attribute(node, "axis", 0) % len(shape) != axis:
        return None
    return index[0] % count


@rewrite_at("Reshape")
def split_before_transpose(editor: Editor, node: ir.Node) -> bool:
    """Replace reshape(transpose(reshape(x))) by transpose(reshape(x)) where the last one only splits axes."""
    turned = made_by(node.inputs[0], "Transpose")
    first = made_by(turned.inputs[0], *_RESHAPES) if turned is not None else None
    if turned is None or first is None or not private(turned.outputs[0]) or not private(first.outputs[0]):
        return False
    before, middle = known(first.inputs[0]), known(turned.inputs[0])
    after, perm = known(node.outputs[0]), perm_of(turned)
    if before is None or middle is None or after is None or perm is None:
        return False
    groups = split_groups([middle[axis] for axis in perm], after)
    if groups is None or all(len(group) == 1 for group in groups):
        return False
    by_axis = {axis: [after[place] for place in group] for axis, group in zip(perm, groups, strict=True)}
    shape = [size for axis in range(len(middle)) for size in by_axis[axis]]
    starts = {axis: sum(len(by_axis[other]) for other in range(axis)) for axis in by_axis}
    sizes = reshape_target(before, shape)
    if sizes is None:
        return False
    order = [starts[axis] + offset for axis in perm for offset in range(len(by_axis[axis]))]
    value = first.inputs[0]
    split = editor.node("Reshape", [value, editor.vector(sizes)], before=node, dtype=node.outputs[0].dtype, shape=shape)
    credit(split, [first])
    editor.fuse("Transpose", split.outputs, node, [first, turned, node], {"perm": order})
    return True


@rewrite_at("Reshape")
def split_before_concat(editor: Editor, node: ir.Node) -> bool:
    """Replace reshape(concat(reshape(x), ...)) by concat(reshape(x), ...) where only axes that are not joined split."""
    joined = made_by(node.inputs[0], "Concat")
    before, after = known(node.inputs[0]), known(node.outputs[0])
    if joined is None or before is None or after is None or not private(joined.outputs[0]):
        return False
    groups = split_groups(before, after)
    axis = attribute(joined, "axis", 0) % len(before)
    if groups is None or len(groups[axis]) != 1:
        return False
    place = groups[axis][0]
    plans = [_reshaped_otherwise(value, after, place, axis) for value in joined.inputs]
    branches = []
    for inner, sizes, shape in filter(None, plans if None not in plans else ()):
        inputs = [inner.inputs[0], editor.vector(sizes)]
        branch = editor.node("Reshape", inputs, before=inner, dtype=node.outputs[0].dtype, shape=shape)
        credit(branch, [inner])
        branches.append(branch.outputs[0])
    if branches:
        editor.fuse("Concat", branches, node, [joined, node], {"axis": place})
    return bool(branches)


def _reshaped_otherwise(
    value: ir.Value | None, after: _Sizes, place: int, axis: int
) -> tuple[ir.Node, Sequence[int], _Sizes] | None:
    """Return the reshape that made ``value`` with the target and shape that give it the other axes of ``after``."""
    inner = made_by(value, *_RESHAPES)
    if value is None or inner is None or not private(value):
        return None
    start, old = known(inner.inputs[0]), known(value)
    if start is None or old is None:
        return None
    shape = [*after[:place], old[axis], *after[place + 1 :]]
    sizes = reshape_target(start, shape)
    return None if sizes is None else (inner, sizes, shape)


def split_groups(before: _Sizes, after: _Sizes) -> list[list[int]] | None:
    """Return, for each axis of ``before``, the axes of ``after`` that it was split into; ``None`` where unclear.

    One axis may be matched by exclusion: the number of elements is the same, so what is left is its split.
    """
    front, used = _matched(list(before), list(after))
    back, used_back = _matched(list(before)[::-1], list(after)[::-1])
    if used == len(after) and len(front) == len(before):
        return front
    missing = len(before) - len(front) - len(back)
    if missing != 1 or used + used_back > len(after):
        return None
    tail = [[len(after) - 1 - place for place in group][::-1] for group in back][::-1]
    return [*front, list(range(used, len(after) - used_back)), *tail]


def _matched(before: list[int | str], after: list[int | str]) -> tuple[list[list[int]], int]:
    """Match axes from the front as far as they are plainly equal or plainly a product of numbers."""
    groups: list[list[int]] = []
    place = 0
    for size in before:
        start, product = place, 1
        if place < len(after) and after[place] == size:
            place += 1
        else:
            while place < len(after) and isinstance(size, int) and product != size:
                factor = after[place]
                if not isinstance(factor, int) or size % (product * factor):
                    break
                product, place = product * factor, place + 1
            if product != size:
                return groups, start
        groups.append(list(range(start, place)))
    return groups, place


REWRITES = (
    constant_target,
    merge_reshapes,
    pick_before_transpose,
    split_packed,
    split_before_transpose,
    split_before_concat,
)
