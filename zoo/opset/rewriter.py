"""Writes nodes in the place of one that an older opset does not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from zoo.graph import OPSET
from zoo.sizes import infer_node

# Larger constants are no axes and no target shapes.
_SMALL = 64


class Rewriter:
    """Puts new nodes before ``node``, each with its metadata, and lets their results stand for its own."""

    def __init__(self, node: ir.Node) -> None:
        graph = node.graph
        assert graph is not None
        self.node = node
        self._graph = graph
        self._count = 0

    def op(self, op_type: str, *inputs: ir.Value | None, outputs: int = 1, **attributes: Any) -> Any:
        """Emit an operator and return its result, or a tuple of ``outputs`` of them."""
        self._count += 1
        name = f"{self.node.name or self.node.outputs[0].name}/{op_type}_{self._count}"
        made = [ir.Value(name=name if outputs == 1 else f"{name}#{at}") for at in range(outputs)]
        node = ir.node(op_type, inputs, attributes=attributes, outputs=made, name=name)
        node.metadata_props.update(self.node.metadata_props)
        self._graph.insert_before(self.node, node)
        known = {v: t.numpy() for v in inputs if v and (t := ir.convenience.get_const_tensor(v)) and t.size <= _SMALL}
        newest = not set(attributes) - set(onnx.defs.get_schema(op_type, OPSET, "").attributes)
        infer_node(node, OPSET if newest else int(self._graph.opset_imports.get("", OPSET)), known)
        return made[0] if outputs == 1 else tuple(made)

    def constant(self, array: Any, dtype: ir.DataType | None = None) -> ir.Value:
        """Return a constant; a Python number takes ``dtype``."""
        data = np.asarray(array) if dtype is None else np.asarray(array, dtype.numpy())
        value: ir.Value = self.op("Constant", value=ir.tensor(data))
        value.type, value.shape = ir.TensorType(ir.tensor(data).dtype), ir.Shape(data.shape)
        return value

    def integers(self, *items: int) -> ir.Value:
        """Return an int64 vector."""
        return self.constant(np.array(items, np.int64))

    def replace(self, *values: ir.Value) -> None:
        """Let ``values`` stand for the results of the node, names, shapes and handles included, and drop the node."""
        for old, new in zip(self.node.outputs, values, strict=True):
            new.shape, new.type = old.shape or new.shape, old.type or new.type
            new.metadata_props.update(old.metadata_props)
            ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
            name, old.name = old.name, None
            new.name = name
        self._graph.remove(self.node, safe=True)


def integers(value: ir.Value | None) -> list[int] | None:
    """Return what a constant vector of integers holds, or None."""
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return None if tensor is None else [int(item) for item in tensor.numpy().reshape(-1)]


def rank_of(value: ir.Value | None) -> int:
    """Return a value's rank.

    Raises:
        NotImplementedError: If it is not known.
    """
    if value is None or value.shape is None:
        raise NotImplementedError("the rank is not known")
    return len(value.shape)


def sizes_of(value: ir.Value | None, axes: Sequence[int]) -> list[int]:
    """Return a value's sizes along ``axes``.

    Raises:
        NotImplementedError: If one of them is not fixed.
    """
    rank = rank_of(value)
    assert value is not None
    assert value.shape is not None
    sizes = [value.shape[axis % rank] for axis in axes]
    if not all(isinstance(size, int) for size in sizes):
        raise NotImplementedError(f"sizes that are not fixed: {sizes}")
    return [int(size) for size in sizes]  # type: ignore[arg-type]
