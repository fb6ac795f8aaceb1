"""The names of a graph's results, by which a port's values are matched: also of those held in another order of axes."""

from __future__ import annotations

from dataclasses import dataclass

from porters.tensorflow.node import Node
from porters.tensorflow.tensor import Order, logical


@dataclass(frozen=True)
class Result:
    """A result of the flat graph, as it is known in every trace of one model.

    Attributes:
        node: Name of the operation.
        index: Which of its results.
        several: Whether it has several.
    """

    node: str
    index: int
    several: bool

    @staticmethod
    def of(node: Node, index: int) -> Result:
        """Return result ``index`` of ``node``."""
        return Result(node.name, index, len(node.shapes) > 1)

    def handle(self, order: Order) -> str:
        """Return the name of the result with its axes in ``order``: what stands elsewhere is another result."""
        name = f"{self.node}#{self.index}" if self.several else self.node
        return name if order == logical(len(order)) else f"{name}[{','.join(str(axis) for axis in order)}]"
