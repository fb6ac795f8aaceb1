"""Says a recurrent operator that reads its sequence from behind, and one beside it that does not, as one operator.

Contract. Both read the same sequence, one of them reversed in time, with the same attributes, and neither waits for the
other. Whatever reads the results of the reversed one over time reverses them again: ONNX's operator returns them in
order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from porters.fusions.editor import Editor, credit, rewrite_at
from porters.fusions.match import alike, attribute, dims, integers, known, made_by, perm_of, users
from zoo.graph import HANDLE

_RECURRENT = ("LSTM", "GRU", "RNN")
# Attributes whose place in a list says which function they belong to, counted over those that take one.
_NUMBERED = ("activation_alpha", "activation_beta")
# Inputs of a recurrent operator.
_X, _WEIGHTS, _BIAS, _LENGTHS, _STATES = 0, (1, 2), 3, 4, (5, 6)
# More nodes than this are not searched for what an operator waits for.
_FAR = 20_000


@rewrite_at(*_RECURRENT)
def read_from_behind(editor: Editor, node: ir.Node) -> bool:
    """Let an operator whose sequence is reversed read it from behind itself."""
    found = _reversed(node.inputs[_X]) if _is_plain(node) else None
    backs = None if found is None else _reversals(node.outputs[0], 0)
    if found is None or backs is None:
        return False
    _put_in_order(editor, node, backs)
    node.attributes["direction"] = ir.AttrString("direction", "reverse")
    node.replace_input_with(_X, _sequence(editor, found, node))
    return True


@rewrite_at(*_RECURRENT)
def join_directions(editor: Editor, node: ir.Node) -> bool:
    """Put an operator that reads a sequence from behind and one that reads it in order into one."""
    if attribute(node, "direction") != "reverse" or attribute(node, "layout", 0):
        return False
    partner = next((item for item in _partners(node) if _agree(node, item)), None)
    if partner is None:
        return False
    _join(editor, partner, node)
    return True


@rewrite_at("Slice")
def reverse_once(editor: Editor, node: ir.Node) -> bool:
    """Take away two reversals of one axis, between which axes may have been permuted."""
    axes = integers(_input(node, 3))
    rank = len(dims(node.inputs[0]) or ())
    if not axes or not rank or not _is_reversal(node, axes[0] % rank):
        return False
    found = _reversed(node.inputs[0], axes[0] % rank)
    return found is not None and editor.bypass(node.outputs[0], _sequence(editor, found, node))


REWRITES = (reverse_once, read_from_behind, join_directions)


def _is_plain(node: ir.Node) -> bool:
    forward = attribute(node, "direction", "forward") == "forward" and not attribute(node, "layout", 0)
    return forward and _input(node, _LENGTHS) is None


def _input(node: ir.Node, position: int) -> ir.Value | None:
    return node.inputs[position] if len(node.inputs) > position else None


# -- the sequence that comes in ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reversed:
    """What was reversed: ``base``, before its axes were permuted by ``perm``."""

    base: ir.Value
    perm: list[int] | None


def _reversed(value: ir.Value | None, axis: int = 0) -> _Reversed | None:
    """Return what ``value`` is with ``axis`` reversed, perhaps with its axes permuted behind that; time comes first."""
    turn = made_by(value, "Transpose")
    perm = perm_of(turn) if turn is not None else None
    back = made_by(turn.inputs[0] if turn is not None else value, "Slice")
    if back is None or back.inputs[0] is None or not _is_reversal(back, perm[axis] if perm else axis):
        return None
    return _Reversed(back.inputs[0], perm)


def _is_reversal(node: ir.Node, axis: int) -> bool:
    """Say whether a Slice reverses ``axis`` and does nothing else."""
    rank = len(dims(node.inputs[0]) or ())
    starts, ends, axes, steps = [integers(_input(node, position)) for position in range(1, 5)]
    if not starts or not ends or not axes or not steps or not rank:
        return False
    # An end so low lies before the first element of any axis.
    return [item % rank for item in axes] == [axis] and starts == steps == [-1] and ends[0] < -(2**31)


def _sequence(editor: Editor, found: _Reversed, node: ir.Node) -> ir.Value:
    if found.perm is None:
        return found.base
    sizes = dims(found.base) or []
    shape = [sizes[axis] for axis in found.perm]
    made = editor.node(
        "Transpose", [found.base], before=node, dtype=found.base.dtype, shape=shape, attributes={"perm": found.perm}
    )
    return made.outputs[0]


def _partners(node: ir.Node) -> Iterator[ir.Node]:
    """Yield the operators of the same kind that read the sequence in order."""
    value = node.inputs[_X]
    assert value is not None
    turn = made_by(value, "Transpose")
    source = turn.inputs[0] if turn is not None else None
    others = [] if source is None else [item.outputs[0] for item in users(source) if item.op_type == "Transpose"]
    for item in [reader for same in (value, *others) for reader in users(same)]:
        kind = item.op_type == node.op_type and not item.domain and item.graph is node.graph
        in_order = attribute(item, "direction", "forward") == "forward" and not attribute(item, "layout", 0)
        if kind and in_order and alike(item.inputs[_X], value):
            yield item


def _agree(node: ir.Node, partner: ir.Node) -> bool:
    """Say whether one operator can be both."""
    mine, theirs = ({k: item.value for k, item in n.attributes.items() if k != "direction"} for n in (node, partner))
    if mine != theirs or any(name in mine for name in _NUMBERED):
        return False
    if not alike(_input(node, _LENGTHS), _input(partner, _LENGTHS)):
        return False
    optional = (_BIAS, *_STATES)
    if any((_input(node, at) is None) != (_input(partner, at) is None) for at in optional):
        return False
    if dims(node.inputs[1]) != dims(partner.inputs[1]) or dims(node.inputs[2]) != dims(partner.inputs[2]):
        return False
    return not _waits_for(node, partner) and not _waits_for(partner, node)


def _waits_for(node: ir.Node, other: ir.Node) -> bool:
    """Say whether ``node`` needs a result of ``other``, or may need one."""
    pending, seen = [node], {node}
    while pending:
        current = pending.pop()
        for value in current.inputs:
            maker = value.producer() if value is not None else None
            if maker is other or len(seen) > _FAR or (maker is not None and _has_bodies(maker)):
                return True
            if maker is not None and maker not in seen:
                seen.add(maker)
                pending.append(maker)
    return False


def _has_bodies(node: ir.Node) -> bool:
    """Say whether a node reads values through its bodies, which its inputs do not name."""
    return any(item.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for item in node.attributes.values())


# -- the sequence that comes out ---------------------------------------------------------------------------------------


def _reversals(value: ir.Value, axis: int) -> list[ir.Node] | None:
    """Return the nodes that reverse ``axis`` of ``value`` again; ``None`` where something else reads it."""
    if value.is_graph_output():
        return None
    found: list[ir.Node] = []
    for node in users(value):
        if node.domain or node.inputs[0] is not value:
            return None
        if node.op_type == "Slice" and _is_reversal(node, axis):
            found.append(node)
            continue
        place = _follow(node, axis)
        further = None if place is None else _reversals(node.outputs[0], place)
        if further is None:
            return None
        found += further
    return found


def _follow(node: ir.Node, axis: int) -> int | None:
    """Return where ``axis`` is behind a node that moves axes or drops some of size one; ``None`` for any other."""
    if node.op_type == "Transpose":
        return (perm_of(node) or []).index(axis)
    if node.op_type not in ("Reshape", "Squeeze"):
        return None
    before, after = known(node.inputs[0]), known(node.outputs[0])
    if before is None or after is None or before[axis] == 1:
        return None
    kept = [place for place, size in enumerate(before) if size != 1]
    return after.index(before[axis]) if [before[place] for place in kept] == after and axis == kept[0] else None


def _put_in_order(editor: Editor, node: ir.Node, backs: list[ir.Node]) -> None:
    """Take the reversals behind ``node`` away: what they read comes in order from now on."""
    pending = [node.outputs[0]]
    while pending:
        value = pending.pop()
        # It is another result of the source than it was.
        value.metadata_props.pop(HANDLE, None)
        pending += [reader.outputs[0] for reader in users(value) if reader not in backs]
    for back in backs:
        inner = back.inputs[0]
        assert inner is not None
        handle = back.outputs[0].metadata_props.get(HANDLE)
        if not editor.bypass(back.outputs[0], inner):
            editor.fuse("Identity", [inner], back, [back])
        elif handle is not None:
            inner.metadata_props[HANDLE] = handle


# -- joining -----------------------------------------------------------------------------------------------------------


def _join(editor: Editor, forward: ir.Node, backward: ir.Node) -> None:
    both = (forward, backward)
    inputs = [forward.inputs[_X], *(_stacked(editor, both, at) for at in (*_WEIGHTS, _BIAS)), _input(forward, _LENGTHS)]
    inputs += [_stacked(editor, both, at) for at in _STATES]
    while inputs[-1] is None:
        inputs.pop()
    attributes = {key: item.value for key, item in backward.attributes.items()} | {"direction": "bidirectional"}
    if "activations" in attributes:
        attributes["activations"] = [*attributes["activations"], *attributes["activations"]]
    pairs = list(zip(forward.outputs, backward.outputs, strict=False))
    joined = editor.node(
        backward.op_type, inputs, before=backward, dtype=backward.outputs[0].dtype, shape=None, attributes=attributes,
        outputs=len(pairs),
    )  # fmt: skip
    credit(joined, both)
    for position, (pair, value) in enumerate(zip(pairs, joined.outputs, strict=True)):
        axis = 0 if position else 1
        sizes = dims(pair[0]) or dims(pair[1])
        value.shape = None if sizes is None else ir.Shape([*sizes[:axis], 2, *sizes[axis + 1 :]])
        if any(users(item) or item.is_graph_output() for item in pair):
            _split(editor, value, axis, pair, backward)


def _stacked(editor: Editor, both: tuple[ir.Node, ir.Node], position: int) -> ir.Value | None:
    """Return an input of both operators, one direction behind the other."""
    values = [_input(node, position) for node in both]
    if any(value is None for value in values):
        return None
    first = values[0]
    assert first is not None
    sizes = dims(first)
    shape = None if sizes is None else [2, *sizes[1:]]
    made = editor.node("Concat", values, before=both[1], dtype=first.dtype, shape=shape, attributes={"axis": 0})
    return made.outputs[0]


def _split(editor: Editor, value: ir.Value, axis: int, pair: tuple[ir.Value, ir.Value], before: ir.Node) -> None:
    parts, attributes = editor.vector([1, 1]), {"axis": axis}
    made = editor.node(
        "Split", [value, parts], before=before, dtype=value.dtype, shape=None, attributes=attributes, outputs=2
    )
    for old, new in zip(pair, made.outputs, strict=True):
        editor.take_over(old, new)
