"""The traced graph run operation by operation, in its own precision and in float64, weights read as they are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from porters.porter import Step
from porters.tensorflow.flatten import flatten
from porters.tensorflow.fold import fold
from porters.tensorflow.handles import Result
from porters.tensorflow.node import Edge, Node
from porters.tensorflow.operation import plain
from porters.tensorflow.program import LEAVES, Chain, Program, closure
from porters.tensorflow.tensor import Order, inverse
from porters.tensorflow.walk import Walk
from zoo.graph import HANDLE
from zoo.inputs import Feed, InputSpec

if TYPE_CHECKING:
    from porters.tensorflow.original import TensorFlowOriginal
    from porters.tensorflow.trace import Traced


class TensorFlowSteps:
    """See ``porters.porter.Steps``.

    The graph is the one that the porter walks, before constants are folded. The port may hold a result in another order
    of axes: which results it has, and in which orders, is read off a walk like the port's.
    """

    def __init__(self, original: TensorFlowOriginal, ported: Sequence[InputSpec]) -> None:
        traced = original.trace(ported)
        self._program = Program(flatten(traced.graph, traced.captured, traced.layer_of))
        self._place = {node: place for place, node in enumerate(self._program.nodes)}
        self._by_handle = self._results(_held_in_port(traced, ported, original.outputs))
        self._names = [spec.name for spec in ported]
        self._feed: dict[Node, np.ndarray] = {}
        self._sizes: dict[Edge, Any] = {}

    def _results(self, held: Mapping[Result, Sequence[Order]]) -> dict[str, tuple[Edge, Order]]:
        """Return (result, order of its axes) by handle, in order; what the port does not hold has its own order."""
        found: dict[str, tuple[Edge, Order]] = {}
        for node in self._program.nodes:
            for index in range(len(node.shapes)):
                result = Result.of(node, index)
                for order in held.get(result, () if node.op in LEAVES else ((),)):
                    found[result.handle(order)] = (Edge(node, index), order)
        return found

    def handles(self) -> Sequence[str]:
        """Return the handles of every result in the order in which they are computed."""
        return list(self._by_handle)

    def walk(self, feed: Feed, wanted: Collection[str]) -> Iterator[Step]:
        """Run on ``feed`` and yield the results in ``wanted`` as they come; see the protocol."""
        self._feed = {node: feed[name] for node, name in zip(self._program.inputs, self._names, strict=True)}
        self._sizes = {}
        looked_at: dict[Node, list[str]] = {}
        for handle in wanted:
            looked_at.setdefault(self._by_handle[handle][0].node, []).append(handle)
        own, truth = Chain(self._feed, wide=False), Chain(self._feed, wide=True)
        left = Counter(self._program.readers)
        for node in self._program.nodes:
            for chain in (own, truth):
                chain.run(node)
            if node in self._program.sizes:
                self._sizes |= {edge: tensor for edge, tensor in own.held.items() if edge.node is node}
            for handle in looked_at.get(node, ()):
                edge, order = self._by_handle[handle]
                single, wide = (_in_order(chain.read(edge).numpy(), order) for chain in (own, truth))
                yield Step(handle, single, wide, _unordered(node, single.ndim, order))
            self._program.release(node, left, own, truth)

    def single(self, handles: Sequence[str], known: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return results in float64 computed from ``known`` ones; see the protocol."""
        chain = Chain(self._feed, wide=True)
        chain.held |= self._sizes
        for handle, array in known.items():
            edge, order = self._by_handle[handle]
            chain.hold(edge, _in_order(array, inverse(order)))
        wanted = {handle: self._by_handle[handle] for handle in handles}
        needed = closure((edge.node for edge, _ in wanted.values() if edge not in chain.held), chain.held)
        left = Counter(edge for node in needed for edge in node.inputs)
        left.update(edge for edge, _ in wanted.values())
        for node in sorted(needed, key=self._place.__getitem__):
            chain.run(node, keep=True)
            self._program.release(node, left, chain)
        return {handle: _in_order(chain.read(edge).numpy(), order) for handle, (edge, order) in wanted.items()}


def _held_in_port(traced: Traced, ported: Sequence[InputSpec], outputs: Sequence[str]) -> dict[Result, list[Order]]:
    """Return the orders of axes in which a port holds each result that it has."""
    graph = flatten(traced.graph, traced.captured, traced.layer_of)
    fold(graph)
    walk = Walk(graph, ported, "steps")
    held: dict[Result, list[Order]] = {}
    for node in walk.model(outputs).graph:
        for value in node.outputs:
            if HANDLE in value.metadata_props:
                result, order = walk.context.marked[value.metadata_props[HANDLE]]
                held.setdefault(result, []).append(order)
    return held


def _in_order(array: np.ndarray, order: Order) -> np.ndarray:
    array = plain(array)  # TensorFlow returns a scalar as NumPy's scalar
    return np.ascontiguousarray(array.transpose(order)) if order and len(order) > 1 else array


def _unordered(node: Node, rank: int, order: Order) -> int | None:
    """Return the axis along which an operation answers in any order: ``TopK`` does where it is not told to sort."""
    if node.op not in ("TopK", "TopKV2") or node.attr("sorted"):
        return None
    return order.index(rank - 1) if order else rank - 1
