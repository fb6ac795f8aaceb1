"""Writing to a graph: new nodes that keep the names and the provenance of those they replace."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.fusions.match import SMALL, array, users
from zoo.graph import converted

# Which source nodes a node stands for, where there are several.
FUSED = "zooport.fused"
SOURCE = "zooport.node"
_MODULE = "zooport.module"
# Rewriting ends by itself, after a few rounds; more than this are a defect of a rewrite.
MAX_ROUNDS = 100
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rewrite:
    """A local change of a graph that provably computes the same.

    Attributes:
        anchors: The operators at which it is tried.
        apply: Changes the graph around a node and says whether it did.
    """

    anchors: frozenset[str]
    apply: Callable[[Editor, ir.Node], bool]


def rewrite_at(*anchors: str) -> Callable[[Callable[[Editor, ir.Node], bool]], Rewrite]:
    """Make a function a :class:`Rewrite` that is tried at these operators."""
    return lambda function: Rewrite(frozenset(anchors), function)


class Editor:
    """Changes one graph in place."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self._names = {str(value.name) for value in graph.inputs} | set(graph.initializers)
        self._node_names = set()
        for node in graph:
            self._names.update(str(value.name) for value in node.outputs)
            self._node_names.add(str(node.name))
        self._constants: dict[tuple[Any, ...], ir.Value] = {}

    # -- adding ---------------------------------------------------------------------------------------------------

    def constant(self, data: np.ndarray) -> ir.Value:
        """Return an initializer with these elements; the one the graph has, where it has one."""
        if not self._constants:
            for value in self.graph.initializers.values():
                held = array(value)
                if held is not None:
                    self._constants.setdefault(_key(held), value)
        key = _key(data)
        found = self._constants.get(key)
        if found is None or found.graph is not self.graph:
            tensor = ir.Tensor(np.ascontiguousarray(data).reshape(data.shape), name=self._unique("const", self._names))
            found = ir.Value(
                name=tensor.name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(data.shape), const_value=tensor
            )
            self.graph.register_initializer(found)
            self._constants[key] = found
        return found

    def vector(self, numbers: Sequence[int]) -> ir.Value:
        """Return integers as an INT64 vector."""
        return self.constant(np.asarray(numbers, dtype=np.int64).reshape(len(numbers)))

    def node(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        *,
        before: ir.Node | None = None,
        after: ir.Node | None = None,
        dtype: ir.DataType | None,
        shape: Sequence[int | str | None] | None,
        attributes: Mapping[str, Any] | None = None,
        outputs: int = 1,
    ) -> ir.Node:
        """Insert a node of the standard domain in front of ``before`` or behind ``after``, whose provenance it takes.

        Its inputs must be known there; its outputs, one or more, all have ``dtype`` and ``shape``.
        """
        beside = before or after
        assert beside is not None
        source = beside.metadata_props.get(SOURCE) or op_type.lower()
        values = [
            ir.Value(
                name=self._unique(source, self._names),
                type=None if dtype is None else ir.TensorType(dtype),
                shape=None if shape is None else ir.Shape(shape),
            )
            for _ in range(outputs)
        ]
        module = beside.metadata_props.get(_MODULE) or self.graph.name or ""
        node = ir.Node(
            "",
            op_type,
            inputs,
            converted(attributes or {}),
            outputs=values,
            name=self._unique(f"{module}/{op_type}", self._node_names),
            metadata_props=dict(beside.metadata_props),
        )
        insert = self.graph.insert_after if before is None else self.graph.insert_before
        insert(beside, node)
        return node

    def unique(self, name: str) -> str:
        """Return ``name`` for a value, or ``name.1`` ... where it is taken."""
        return self._unique(name, self._names)

    def _unique(self, name: str, taken: set[str]) -> str:
        candidate, count = name, 0
        while candidate in taken:
            count += 1
            candidate = f"{name}.{count}"
        taken.add(candidate)
        return candidate

    # -- replacing ------------------------------------------------------------------------------------------------

    def fuse(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        last: ir.Node,
        group: Iterable[ir.Node],
        attributes: Mapping[str, Any] | None = None,
    ) -> ir.Node:
        """Replace ``group``, whose result ``last`` computes, by one node; its value keeps name, dtype and shape."""
        old = last.outputs[0]
        node = self.node(op_type, inputs, before=last, dtype=old.dtype, shape=None, attributes=attributes)
        credit(node, [*group, last])
        self.take_over(old, node.outputs[0])
        return node

    def take_over(self, old: ir.Value, new: ir.Value) -> None:
        """Let a new value stand wherever ``old`` stood, under its name; ``old`` and what only it needed go."""
        new.shape, new.type = old.shape, old.type
        new.metadata_props.update(old.metadata_props)
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
        old.name, new.name = None, old.name
        self.prune(old)

    def bypass(self, old: ir.Value, by: ir.Value) -> bool:
        """Let a value that was there before stand for ``old``; refuse where an output's name would be lost."""
        if old is by:
            return False
        if old.is_graph_output():
            if by.is_graph_output() or by.is_graph_input() or by.is_initializer():
                return False
            name = old.name
            by.metadata_props.update(old.metadata_props)
            ir.convenience.replace_all_uses_with(old, by, replace_graph_outputs=True)
            old.name, by.name = None, name
        else:
            ir.convenience.replace_all_uses_with(old, by)
        if by.shape is None:
            by.shape = old.shape
        self.prune(old)
        return True

    def prune(self, value: ir.Value | None) -> None:
        """Remove the node that makes ``value`` if nobody needs it any more, and then what only it needed."""
        pending = [value]
        while pending:
            item = pending.pop()
            node = item.producer() if item is not None else None
            if node is None or node.graph is not self.graph:
                continue
            if any(users(output) or output.is_graph_output() for output in node.outputs):
                continue
            pending.extend(node.inputs)
            self.graph.remove(node, safe=True)

    # -- rewriting ------------------------------------------------------------------------------------------------

    def rewrite(self, rewrites: Sequence[Rewrite]) -> None:
        """Apply ``rewrites`` at every node, front to back, until none of them changes anything."""
        table: dict[str, list[Rewrite]] = {}
        for item in rewrites:
            for anchor in item.anchors:
                table.setdefault(anchor, []).append(item)
        for _ in range(MAX_ROUNDS):
            if not self._round(table):
                return
        # The graph is right at every step: what is left undone costs nodes, not the port.
        _LOG.warning("rewriting %r did not come to an end in %d rounds", self.graph.name, MAX_ROUNDS)

    def _round(self, table: Mapping[str, Sequence[Rewrite]]) -> bool:
        changed = False
        for node in list(self.graph):
            for item in table.get(node.op_type, ()):
                if node.graph is None or node.domain:
                    break  # an earlier rewrite has removed it
                changed |= item.apply(self, node)
        return changed


def credit(node: ir.Node, group: Iterable[ir.Node]) -> None:
    """Note on ``node`` which source nodes it stands for."""
    node.metadata_props[FUSED] = ",".join(_sources(group))


def _key(data: np.ndarray) -> tuple[Any, ...]:
    content = np.ascontiguousarray(data).tobytes()
    # A table is known by its digest: the key would else hold it a second time.
    return str(data.dtype), data.shape, content if data.size <= SMALL else hashlib.sha256(content).digest()


def _sources(nodes: Iterable[ir.Node]) -> list[str]:
    """Return the source nodes that ``nodes`` stand for, in order, each once."""
    found: dict[str, None] = {}
    for node in nodes:
        listed = node.metadata_props.get(FUSED) or node.metadata_props.get(SOURCE) or ""
        found.update(dict.fromkeys(name for name in listed.split(",") if name))
    return list(found)
