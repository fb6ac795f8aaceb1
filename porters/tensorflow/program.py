"""A flat graph as a program: which operations its outputs need, what reads what, and runs of it by operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from porters.porter import PrecisionUnavailableError
from porters.tensorflow import operation
from porters.tensorflow.interpret import run_control
from porters.tensorflow.node import CONST, INPUT, WEIGHT, Edge, FlatGraph, Node

# What is not computed.
LEAVES = (CONST, INPUT, WEIGHT)
# What is asked of a value without looking at its elements.
_SIZES = ("Shape", "ShapeN", "Size", "Rank")


class Program:
    """The operations that a flat graph's outputs need.

    Attributes:
        nodes: The operations and leaves in the order in which they can be computed.
        inputs: The nodes of the inputs, in order.
        outputs: The values returned, in order.
        readers: How many operations read each value.
        sizes: The operations whose results are known from the shapes of values alone.
    """

    def __init__(self, graph: FlatGraph) -> None:
        needed = closure(edge.node for edge in graph.outputs)
        self.nodes = [node for node in graph.nodes if node in needed]
        self.inputs = graph.inputs
        self.outputs = graph.outputs
        self.readers = Counter(edge for node in self.nodes for edge in node.inputs)
        self.sizes: set[Node] = set()
        for node in self.nodes:
            if node.op in _SIZES or self._computes_sizes(node):
                self.sizes.add(node)

    def _computes_sizes(self, node: Node) -> bool:
        whole = all(dtype is not None and dtype.kind in "iu" for dtype in node.dtypes)
        reads = [edge.node for edge in node.inputs]
        known = all(read.op == CONST or read in self.sizes for read in reads)
        return whole and known and any(read in self.sizes for read in reads)

    def run(self, feed: Iterable[np.ndarray], *, wide: bool) -> list[np.ndarray]:
        """Return the outputs for one array for each input, holding no value longer than it is read.

        Raises:
            PrecisionUnavailableError: If an operation cannot be run so.
        """
        chain, left = Chain(dict(zip(self.inputs, feed, strict=True)), wide=wide), Counter(self.readers)
        left.update(self.outputs)
        for node in self.nodes:
            chain.run(node)
            self.release(node, left, chain)
        return [operation.plain(chain.read(edge).numpy()) for edge in self.outputs]

    @staticmethod
    def release(node: Node, left: Counter[Edge], *chains: Chain) -> None:
        """Count what ``node`` has read off ``left``, and forget what nothing to come reads."""
        left.subtract(node.inputs)
        for edge in (*node.inputs, *(Edge(node, index) for index in range(len(node.shapes)))):
            if left[edge] <= 0:
                for chain in chains:
                    chain.held.pop(edge, None)


def closure(nodes: Iterable[Node], known: Mapping[Edge, Any] | None = None) -> set[Node]:
    """Return ``nodes`` and what must be computed for them where the values ``known`` are there already."""
    found: set[Node] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending += [edge.node for edge in node.inputs if known is None or edge not in known]
    return found


class Chain:
    """One run of a program in one precision.

    Attributes:
        wide: Whether every float is computed in float64.
        held: The values that are there, as eager tensors.
    """

    def __init__(self, feed: Mapping[Node, np.ndarray], *, wide: bool) -> None:
        self.wide = wide
        self.held: dict[Edge, Any] = {}
        self._feed = feed
        # What each body of control flow needs, in order; shared by the chains of its rounds.
        self._orders: dict[int, list[Node]] = {}

    def inner(self) -> Chain:
        """Return a chain for one run of a body."""
        chain = Chain(self._feed, wide=self.wide)
        chain._orders = self._orders
        return chain

    def order(self, body: FlatGraph) -> list[Node]:
        """Return the operations that a body's results need, in the order in which they can be computed."""
        if id(body) not in self._orders:
            needed = closure(edge.node for edge in body.outputs)
            self._orders[id(body)] = [node for node in body.nodes if node in needed]
        return self._orders[id(body)]

    def hold(self, edge: Edge, array: np.ndarray) -> None:
        """Take a value from outside."""
        self.held[edge] = operation.constant(array, wide=self.wide)

    def run(self, node: Node, *, keep: bool = False) -> None:
        """Compute one operation from what is held; ``keep`` what is held of its results already.

        Raises:
            PrecisionUnavailableError: If TensorFlow cannot run it by itself, or not in this precision.
        """
        if node.op in LEAVES:
            return
        try:
            operands = [self.read(edge) for edge in node.inputs]
            if node.bodies:
                results = run_control(self, node, operands)
            else:
                results = operation.run(node, operands, wide=self.wide)
        except PrecisionUnavailableError:
            raise  # of an operation in a body, which it names
        except Exception as error:  # TensorFlow raises one of many classes where it has no kernel
            precision = "in float64" if self.wide else "alone"
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise PrecisionUnavailableError(f"{node.op} ({node.name}) does not run {precision}: {reason}") from error
        computed = {Edge(node, index): result for index, result in enumerate(results)}
        self.held |= {edge: result for edge, result in computed.items() if not keep or edge not in self.held}

    def read(self, edge: Edge) -> Any:
        """Return a value as an eager tensor; a weight is read anew for each operation, and never held twice."""
        node = edge.node
        if edge in self.held:
            return self.held[edge]
        if node.op == INPUT:
            return operation.constant(self._feed[node], wide=self.wide)
        if node.op == WEIGHT:
            return operation.constant(node.payload.read(), wide=self.wide)
        if node.op == CONST:
            return operation.constant(node.payload, wide=self.wide, like=node.source.outputs[0].dtype)
        raise NotImplementedError(f"result {edge.output} of {node.op} ({node.name}) is not known")
