"""The flat graph that is translated: TensorFlow's operations with function calls inlined and identities gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

# Node types that TensorFlow does not have.
INPUT, WEIGHT, CONST = "Input", "Weight", "Const"


class Edge(NamedTuple):
    """One output of a node, as another node reads it."""

    node: Node
    output: int

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The shape as TensorFlow inferred it; ``None`` for an unknown rank or size."""
        return self.node.shapes[self.output]


@dataclass(frozen=True)
class Variable:
    """A variable that the graph reads.

    Attributes:
        name: Its path (Keras) or name.
        shape: Its shape.
        dtype: Its element type.
        read: Returns its contents.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class State:
    """A variable that the graph reads and writes: an input of the flat graph, and an output behind its own.

    Attributes:
        index: Which of the states it is.
        shape: Its shape.
        dtype: Its element type.
    """

    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(eq=False)
class Node:
    """One operation.

    Attributes:
        op: TensorFlow's type of operation, or one of this module's.
        name: Unique name, the path of its function call before it.
        layer: Path of the Keras layer (or the name scope) that it belongs to.
        inputs: What it reads.
        shapes: Shape of each output, as far as TensorFlow knows it.
        dtypes: NumPy dtype of each output; ``None`` where there is none (resources, strings).
        attr: Returns an attribute by name.
        payload: The array of a constant, the :class:`Variable` of a weight, the number of an input.
        source: TensorFlow's operation, for evaluating it.
        uses: How many times the graph reads it.
        bodies: The graphs that control flow runs, by the name of the attribute that holds them: each has one input for
            each operand that it is called with. A weight or constant that a body reads is the node outside.
    """

    op: str
    name: str
    layer: str
    inputs: list[Edge]
    shapes: list[tuple[int | None, ...] | None]
    dtypes: list[np.dtype[Any] | None]
    attr: Callable[[str], Any] = field(repr=False)
    payload: Any = field(default=None, repr=False)
    source: Any = field(default=None, repr=False)
    uses: int = 0
    bodies: Mapping[str, FlatGraph] = field(default_factory=dict, repr=False)

    @property
    def constant(self) -> np.ndarray | None:
        """The array, if the node is a constant."""
        return self.payload if self.op == CONST else None


@dataclass
class FlatGraph:
    """Nodes in an order in which they can be computed, and the values that the graph returns.

    Attributes:
        nodes: The nodes.
        inputs: The nodes of the inputs, in order.
        outputs: The values returned, in order.
        writes: The nodes that write a variable while the model runs.
    """

    nodes: list[Node]
    inputs: list[Node]
    outputs: list[Edge]
    writes: list[Node]

    def everywhere(self) -> Iterator[Node]:
        """Yield the nodes, those of bodies behind the node that runs them."""
        for node in self.nodes:
            yield node
            for body in node.bodies.values():
                yield from body.everywhere()

    def read(self) -> Iterator[Edge]:
        """Yield each value as often as it is read, in bodies too."""
        yield from self.outputs
        for node in self.nodes:
            yield from node.inputs
            for body in node.bodies.values():
                yield from body.read()
