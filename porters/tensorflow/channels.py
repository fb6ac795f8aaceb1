"""Runs stretches of channels-last operators channels first where that leaves fewer Transposes.

Contract. A stretch is what is connected, through operators that can run either way, to a Transpose from channels first
to channels last: elementwise operators, layer normalisations over the channels, products with a matrix over them. It is
moved whole, and only where counting the Transposes at its edges, before and after, says that some go. A matrix becomes
the kernel of a convolution over single points, and a normalisation is written as its definition along axis 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from porters.fusions.editor import Editor
from porters.fusions.match import Dim, attribute, axes_of, dims, perm_of, users
from porters.tensorflow.pointwise import PointwiseRunner, operands
from porters.tensorflow.tensor import Order, channels_first, inverse, permuted
from zoo.graph import HANDLE

Reordered = Callable[[str, Order], str]


@dataclass
class Stretch:
    """What is moved.

    Attributes:
        rank: The number of axes of every value in it.
        values: Its values, all of them channels last.
        nodes: Its operators.
    """

    rank: int
    values: dict[ir.Value, None] = field(default_factory=dict)
    nodes: dict[ir.Node, None] = field(default_factory=dict)

    def enters(self, value: ir.Value) -> bool:
        """Say whether ``value`` is computed outside."""
        return value.producer() not in self.nodes

    def outside(self, value: ir.Value) -> list[ir.Node]:
        """Return the nodes outside that read ``value``."""
        return [node for node in users(value) if node not in self.nodes]


def move_channels_first(graph: ir.Graph, reordered: Reordered) -> dict[str, str]:
    """Move every stretch that is worth it, in place.

    Args:
        graph: A graph in topological order, as the walk has left it.
        reordered: Returns the handle of a value whose axes are permuted, from the handle before and the permutation.

    Returns:
        Names of the weights that are written in another order of axes for it, with the orders.
    """
    editor = Editor(graph)
    relaid: dict[str, str] = {}
    seen: set[ir.Value] = set()
    for node in list(graph):
        if node.graph is not graph or not _is_turn(node, to_first=False) or node.outputs[0] in seen:
            continue
        stretch = _grown(graph, node.outputs[0])
        seen.update(stretch.values)
        if stretch.nodes and _gain(stretch) > 0:
            relaid |= _move(editor, stretch, reordered)
    return relaid


def _is_turn(node: ir.Node | None, *, to_first: bool) -> bool:
    """Say whether a node brings its input from channels last to channels first, or the other way."""
    if node is None or node.domain or node.op_type != "Transpose":
        return False
    perm = tuple(perm_of(node) or ())
    order = channels_first(len(perm))
    return len(perm) > 2 and perm == (order if to_first else inverse(order))


def _grown(graph: ir.Graph, seed: ir.Value) -> Stretch:
    """Return everything that is connected to ``seed`` through operators that can run either way."""
    stretch = Stretch(len(dims(seed) or ()))
    pending = [seed]
    while pending:
        value = pending.pop()
        if value in stretch.values:
            continue
        stretch.values[value] = None
        for node in (value.producer(), *users(value)):
            data = operands(node, stretch.rank) if node is not None and node.graph is graph else None
            if node is not None and data is not None:
                stretch.nodes[node] = None
                pending += [*data, node.outputs[0]]
    return stretch


def _gain(stretch: Stretch) -> int:
    """Return how many Transposes go, less those that come."""
    gain = 0
    for value in stretch.values:
        outside = stretch.outside(value)
        turns = [node for node in outside if _is_turn(node, to_first=True)]
        if not stretch.enters(value):
            gain += len(turns)
            gain -= value.is_graph_output() or any(not _is_free(node) for node in outside)
        elif _is_turn(value.producer(), to_first=False):
            gain += len(outside) == len(turns) and not value.is_graph_output()
        else:
            gain -= not turns
    return gain


def _is_free(node: ir.Node) -> bool:
    """Say whether a node reads a value of either order at no cost."""
    return _is_turn(node, to_first=True) or _forgets_order(node)


def _forgets_order(node: ir.Node) -> bool:
    """Say whether a node reduces all axes but the first and the last, and keeps none of them."""
    if node.domain or node.op_type not in ("ReduceMean", "ReduceMax", "ReduceSum", "ReduceMin"):
        return False
    rank = len(dims(node.inputs[0]) or ())
    return not attribute(node, "keepdims", 1) and axes_of(node, rank) == list(range(1, rank - 1))


# -- moving ------------------------------------------------------------------------------------------------------------


def _move(editor: Editor, stretch: Stretch, reordered: Reordered) -> dict[str, str]:
    nodes = [node for node in editor.graph if node in stretch.nodes]
    for value in [value for value in stretch.values if stretch.enters(value)]:
        _enter(editor, stretch, value, reordered)
    for node in nodes:
        _leave(editor, stretch, node, reordered)
    runner = PointwiseRunner(editor, stretch.rank)
    for node in nodes:
        runner.run(node)
    return runner.relaid


def _enter(editor: Editor, stretch: Stretch, value: ir.Value, reordered: Reordered) -> None:
    """Let the stretch read what comes from outside channels first."""
    maker, order = value.producer(), channels_first(stretch.rank)
    if maker is not None and _is_turn(maker, to_first=False):
        first = maker.inputs[0]
        assert first is not None
    else:
        first = _turned(editor, value, order)
        first.metadata_props.update(value.metadata_props)
        _reorder(first, order, reordered)
    for use in list(value.uses()):
        if use.node in stretch.nodes:
            use.node.replace_input_with(use.idx, first)
        elif _is_turn(use.node, to_first=True):
            editor.bypass(use.node.outputs[0], first)
    editor.prune(value)


def _leave(editor: Editor, stretch: Stretch, node: ir.Node, reordered: Reordered) -> None:
    """Let what stands outside read the result of ``node``, which comes channels first."""
    value, order = node.outputs[0], channels_first(stretch.rank)
    others = [use for use in value.uses() if use.node not in stretch.nodes]
    rest = [use for use in others if not _is_free(use.node)]
    if rest or value.is_graph_output():
        last = _turned(editor, value, inverse(order), extent=dims(value))
        last.metadata_props.update(value.metadata_props)
        for use in rest:
            use.node.replace_input_with(use.idx, last)
        if value.is_graph_output():
            outputs = editor.graph.outputs
            outputs[:] = [last if item is value else item for item in outputs]
            value.name, last.name = last.name, value.name
    value.shape = ir.Shape(permuted(dims(value) or [], order))
    _reorder(value, order, reordered)
    for use in others:
        if _forgets_order(use.node):
            use.node.replace_input_with(1, editor.vector(range(2, stretch.rank)))
        elif _is_turn(use.node, to_first=True) and not editor.bypass(use.node.outputs[0], value):
            editor.fuse("Identity", [value], use.node, [use.node])


def _turned(editor: Editor, value: ir.Value, perm: Order, extent: Sequence[Dim] | None = None) -> ir.Value:
    """Return ``value`` transposed, right behind it; ``extent`` is the result's shape where its own is not known."""
    shape = permuted(dims(value) or [], perm) if extent is None else extent
    maker = value.producer()
    first = editor.graph[0] if maker is None else None
    attributes = {"perm": list(perm)}
    made = editor.node(
        "Transpose", [value], before=first, after=maker, dtype=value.dtype, shape=shape, attributes=attributes
    )
    return made.outputs[0]


def _reorder(value: ir.Value, order: Order, reordered: Reordered) -> None:
    if HANDLE in value.metadata_props:
        value.metadata_props[HANDLE] = reordered(value.metadata_props[HANDLE], order)
