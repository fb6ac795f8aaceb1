"""Control flow of TensorFlow 1, which is made of single operations, as While and If with bodies.

A loop is a frame: Enter brings a value in, Merge takes it from there or from NextIteration, Switch sends it on while
LoopCond holds and out through Exit where it does not. A choice is the same without a frame: Switch sends a value to one
of two sides, Merge takes what arrives. White paper: "Implementation of Control Flow in TensorFlow" (2017).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from porters.tensorflow.node import CONST, INPUT, WEIGHT, Edge, FlatGraph, Node

ENTERS, MERGES = frozenset({"Enter", "RefEnter"}), frozenset({"Merge", "RefMerge"})
NEXTS = frozenset({"NextIteration", "RefNextIteration"})
SWITCHES = frozenset({"Switch", "RefSwitch"})
_LEAVES = frozenset({CONST, WEIGHT})
Replaced = dict[Edge, Edge]


def restructure(graph: FlatGraph) -> None:
    """Put While and If where the graph has frames and switches, in place; what fits no pattern stays as it is."""
    if not any(node.op in ENTERS or node.op in SWITCHES for node in graph.nodes):
        return
    _loops(graph)
    for body in _every_graph(graph):
        _choices(body)
        _sort(body)


def _every_graph(graph: FlatGraph) -> list[FlatGraph]:
    return [graph, *(inner for node in graph.nodes for body in node.bodies.values() for inner in _every_graph(body))]


def _rewire(graph: FlatGraph, replaced: Replaced) -> None:
    """Read what stands in ``replaced`` for the values that went."""
    for node in graph.nodes:
        node.inputs = [replaced.get(edge, edge) for edge in node.inputs]
    graph.outputs = [replaced.get(edge, edge) for edge in graph.outputs]


def _sort(graph: FlatGraph) -> None:
    """Bring the nodes into an order in which they can be computed, near the one that they have."""
    order: dict[Node, None] = {}
    mine = set(graph.nodes)
    for root in graph.nodes:
        stack = [(root, iter(root.inputs))]
        opened = {root}
        while stack:
            node, rest = stack[-1]
            edge = next((item for item in rest if item.node in mine and item.node not in order), None)
            if edge is None:
                order[node] = None
                stack.pop()
            elif edge.node not in opened:
                opened.add(edge.node)
                stack.append((edge.node, iter(edge.node.inputs)))
    graph.nodes = list(order)


# -- loops -----------------------------------------------------------------------------------------------------------


def _loops(graph: FlatGraph) -> None:
    """Replace every frame by a While, those inside others first."""
    frames: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.op in ENTERS:
            frames.setdefault(_text(node.attr("frame_name")), []).append(node)
    for name in sorted(frames, key=lambda item: -_depth(frames, item)):
        made = _Frame(graph, name, frames[name]).build()
        if made is not None:
            node, replaced = made
            graph.nodes.append(node)
            _rewire(graph, replaced)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _depth(frames: dict[str, list[Node]], name: str) -> int:
    """Return how many frames a frame lies in: those through whose Enter a value comes that it takes in."""
    outer = {
        _text(node.attr("frame_name"))
        for node in _back([enter.inputs[0] for enter in frames[name]], lambda edge: edge.node.op == "Exit")
        if node.op in ENTERS
    }
    return len(outer - {name})


def _back(edges: Iterable[Edge], stop: Callable[[Edge], bool]) -> list[Node]:
    """Return the nodes that compute ``edges``, walking back no further than values of which ``stop`` is true."""
    found: dict[Node, None] = {}
    pending = list(edges)
    while pending:
        edge = pending.pop()
        if not stop(edge) and edge.node not in found:
            found[edge.node] = None
            pending += edge.node.inputs
    return list(found)


class _Frame:
    """One frame: what it carries, and its two bodies."""

    def __init__(self, graph: FlatGraph, name: str, enters: Sequence[Node]) -> None:
        self.graph = graph
        self.name = name
        self.enters = set(enters)
        self.merges = [
            node for node in graph.nodes if node.op in MERGES and any(edge.node in self.enters for edge in node.inputs)
        ]
        self.constant = [node for node in enters if node.attr("is_constant")]

    def build(self) -> tuple[Node, Replaced] | None:
        """Return the While and what its results replace; ``None`` where the frame is no loop as we know it."""
        nexts = [edge.node for merge in self.merges for edge in merge.inputs if edge.node.op in NEXTS]
        switches = self._switches()
        conditions = {switch.inputs[1].node for switch in switches.values()}
        if len(nexts) != len(self.merges) or len(conditions) != 1:
            return None
        condition = conditions.pop()
        merged = {Edge(merge, 0): at for at, merge in enumerate(self.merges)}
        going = {Edge(switches[merge], 1): at for at, merge in enumerate(self.merges) if merge in switches}
        in_cond = self._body([condition.inputs[0]], merged, "cond")
        in_body = self._body([node.inputs[0] for node in nexts], going, "body")
        in_body.outputs += [Edge(node, 0) for node in in_body.inputs[len(self.merges) :]]
        made = self._while(condition, {"cond": in_cond, "body": in_body})
        leaving = {switches[merge]: at for at, merge in enumerate(self.merges) if merge in switches}
        exits = {
            Edge(node, 0): Edge(made, leaving[node.inputs[0].node])
            for node in self.graph.nodes
            if node.op in ("Exit", "RefExit") and node.inputs[0].node in leaving
        }
        return made, exits

    def _switches(self) -> dict[Node, Node]:
        """Return the switch behind each Merge that sends its value on or out."""
        carried = set(self.merges)
        return {
            node.inputs[0].node: node
            for node in self.graph.nodes
            if node.op in SWITCHES and node.inputs[0].node in carried and node.inputs[1].node.op == "LoopCond"
        }

    def _while(self, condition: Node, bodies: dict[str, FlatGraph]) -> Node:
        """Return the While: what it carries, and behind that what stays the same."""
        start = [next(edge.node for edge in merge.inputs if edge.node in self.enters) for merge in self.merges]
        operands = [*start, *self.constant]
        return Node(
            "While",
            f"{condition.name}/While",
            condition.layer,
            [enter.inputs[0] for enter in operands],
            [enter.shapes[0] for enter in operands],
            [enter.dtypes[0] for enter in operands],
            condition.attr,
            source=condition.source,
            bodies=bodies,
        )

    def _body(self, outputs: Sequence[Edge], inside: dict[Edge, int], name: str) -> FlatGraph:
        """Copy what computes ``outputs`` from the values ``inside``, which are operands by number."""
        places = dict(inside)
        places |= {Edge(enter, 0): len(self.merges) + at for at, enter in enumerate(self.constant)}
        operands = [*self.merges, *self.constant]
        inputs = [_input(node, at, f"{self.name}/{name}") for at, node in enumerate(operands)]
        known = {edge: Edge(inputs[at], 0) for edge, at in places.items()}
        return FlatGraph(*_copied(outputs, known, inputs))


def _input(node: Node, at: int, prefix: str) -> Node:
    return Node(
        INPUT, f"{prefix}/{node.name}", node.layer, [], node.shapes[:1], node.dtypes[:1], node.attr, at, node.source
    )


def _copied(
    outputs: Sequence[Edge], known: Replaced, inputs: list[Node]
) -> tuple[list[Node], list[Node], list[Edge], list[Node]]:
    """Return copies of the nodes that compute ``outputs`` from what is ``known``; leaves are read where they stand."""
    mine = _back(outputs, lambda edge: edge in known or edge.node.op in _LEAVES)
    copies = {node: replace(node) for node in mine}

    def moved(edge: Edge) -> Edge:
        return known.get(edge) or (Edge(copies[edge.node], edge.output) if edge.node in copies else edge)

    for copy in copies.values():
        copy.inputs = [moved(edge) for edge in copy.inputs]
    return [*inputs, *copies.values()], inputs, [moved(edge) for edge in outputs], []


# -- choices ---------------------------------------------------------------------------------------------------------


def _choices(graph: FlatGraph) -> None:
    """Replace every Merge of two sides by an If, those inside others first."""
    _sort(graph)
    for merge in [node for node in graph.nodes if node.op in MERGES]:
        made = _choice(merge)
        if made is not None:
            graph.nodes.append(made)
            _rewire(graph, {Edge(merge, 0): Edge(made, 0)})


def _choice(merge: Node) -> Node | None:
    """Return the If that a Merge is; ``None`` where its two sides do not hang on one condition."""
    if len(merge.inputs) != 2:
        return None
    sides = [_switched([edge]) for edge in merge.inputs]
    conditions = {switch.node.inputs[1] for found in sides for switch in found}
    ways = [{switch.output for switch in found} for found in sides]
    if len(conditions) != 1 or not all(len(way) <= 1 for way in ways) or ways[0] == ways[1]:
        return None
    first_is_true = 1 in ways[0] or 0 in ways[1]
    yes, no = (0, 1) if first_is_true else (1, 0)
    data = {switch: switch.node.inputs[0] for found in sides for switch in found}
    branches = {key: (merge.inputs[at], sides[at]) for key, at in (("then_branch", yes), ("else_branch", no))}
    operands = list(dict.fromkeys(edge for item, found in branches.values() for edge in _read(item, found, data)))
    bodies = {key: _branch(merge, key, item, operands, found, data) for key, (item, found) in branches.items()}
    (condition,) = conditions
    return Node(
        "If", f"{merge.name}/If", merge.layer, [condition, *operands], merge.shapes[:1], merge.dtypes[:1], merge.attr,
        source=merge.source, bodies=bodies,
    )  # fmt: skip


def _switched(edges: Iterable[Edge]) -> set[Edge]:
    """Return the results of switches that ``edges`` are computed from, the nearest ones."""
    found: set[Edge] = set()

    def stop(edge: Edge) -> bool:
        if edge.node.op in SWITCHES:
            found.add(edge)
            return True
        return False

    _back(edges, stop)
    return found


def _dependent(result: Edge, switched: set[Edge]) -> set[Node]:
    """Return the nodes behind ``result`` that run on one side only: they read what a switch let through."""
    nodes = _back([result], lambda edge: edge in switched or edge.node.op in _LEAVES)
    found: set[Node] = set()
    grown = True
    while grown:
        more = {n for n in nodes if n not in found and any(e in switched or e.node in found for e in n.inputs)}
        found |= more
        grown = bool(more)
    return found


def _read(result: Edge, switched: set[Edge], data: Replaced) -> list[Edge]:
    """Return the values from outside that one side reads: what comes through switches, and what hangs on none."""
    mine = _dependent(result, switched)
    edges = [result, *(edge for node in mine for edge in node.inputs)]
    return [data.get(edge, edge) for edge in edges if edge.node not in mine and edge.node.op not in _LEAVES]


def _branch(
    merge: Node, name: str, result: Edge, operands: Sequence[Edge], switched: set[Edge], data: Replaced
) -> FlatGraph:
    inputs = [
        Node(
            INPUT, f"{merge.name}/{name}/{at}", merge.layer, [], [edge.shape], [edge.node.dtypes[edge.output]],
            edge.node.attr, at, edge.node.source,
        )
        for at, edge in enumerate(operands)
    ]  # fmt: skip
    known = {edge: Edge(inputs[at], 0) for at, edge in enumerate(operands)}
    known |= {switch: known.get(data[switch], data[switch]) for switch in switched}
    body = FlatGraph(*_copied([result], known, inputs))
    _sort(body)
    return body
