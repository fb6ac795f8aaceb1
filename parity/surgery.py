"""Cuts and stitches in a graph: what injected faults and tried corrections are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import onnx_ir as ir

from zoo.store import read_tensor


class NotHereError(Exception):
    """The change cannot be made at this node, or would change nothing there."""


def require(condition: object) -> None:
    """Say that a change does not apply where ``condition`` is false."""
    if not condition:
        raise NotHereError


# -- reading ------------------------------------------------------------------------------------------------------


def weight(node: ir.Node, index: int, *, rank: int | None = None) -> np.ndarray:
    """Return input ``index`` as an array; it must be an initializer of floats, of ``rank`` if that is given."""
    value = node.inputs[index] if index < len(node.inputs) else None
    require(value is not None and value.is_initializer() and value.const_value is not None)
    assert value is not None
    assert value.const_value is not None
    array = read_tensor(value.const_value)
    require(array.dtype.kind == "f" and (rank is None or array.ndim == rank))
    return array


def shape_of(value: ir.Value | None) -> list[int | str]:
    """Return the shape of a value, symbolic dimensions as names; without one nothing can be said of it."""
    require(value is not None and value.shape is not None)
    assert value is not None
    assert value.shape is not None
    return [dim if isinstance(dim, int) else str(dim) for dim in value.shape]


def computed(value: ir.Value | None) -> bool:
    """Say whether a value is computed by the graph or comes in, rather than being constant."""
    return value is not None and not value.is_initializer()


def number(node: ir.Node, name: str, default: Any = None) -> Any:
    """Return the value of an attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.value


# -- changing -----------------------------------------------------------------------------------------------------


def set_weight(node: ir.Node, index: int, array: np.ndarray) -> list[ir.Node]:
    """Replace the tensor of an initializer; return every node that reads it. It must become another one."""
    value = node.inputs[index]
    assert value is not None
    assert value.const_value is not None
    before = read_tensor(value.const_value)
    require(array.shape != before.shape or not np.array_equal(array, before))
    changed = ir.Tensor(np.ascontiguousarray(array, before.dtype), name=value.name)
    changed.metadata_props.update(value.const_value.metadata_props)
    value.const_value = changed
    return [use.node for use in value.uses()]


def set_number(node: ir.Node, name: str, value: Any) -> None:
    """Set an attribute to an integer, a float, a text or a list of integers."""
    kinds: Iterable[tuple[type, Callable[[str, Any], ir.Attr]]] = (
        (int, ir.AttrInt64), (float, ir.AttrFloat32), (str, ir.AttrString), (list, ir.AttrInt64s),
    )  # fmt: skip
    make = next(make for kind, make in kinds if isinstance(value, kind))
    node.attributes[name] = make(name, value)


def constant(graph: ir.Graph, array: np.ndarray, name: str) -> ir.Value:
    """Add an initializer to the graph and return it."""
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(ir.DataType.from_numpy(array.dtype)))
    value.const_value = ir.Tensor(array, name=name)
    graph.register_initializer(value)
    return value


def insert_before(graph: ir.Graph, node: ir.Node, index: int, *steps: tuple[str, dict[str, Any]]) -> list[ir.Node]:
    """Send input ``index`` of a node through operators first; return them and the node.

    The new operators get no handle, so that they belong to the node's layer.
    """
    value = node.inputs[index]
    made = []
    for op, attributes in steps:
        extra = attributes.pop("inputs", [])
        step = ir.node(op, [value, *extra], attributes)
        graph.insert_before(node, step)
        made.append(step)
        value = step.outputs[0]
    node.replace_input_with(index, value)
    return [*made, node]


def append_after(op: str, operand: np.ndarray, graph: ir.Graph, node: ir.Node) -> ir.Node:
    """Send the graph's output that ``node`` makes through one more operator with a constant."""
    value = node.outputs[0]
    require(value.is_graph_output())
    extra = constant(graph, np.asarray(operand), "surgery_operand")
    step = ir.node(op, [value, extra])
    made = step.outputs[0]
    made.name = f"{value.name}_after"
    made.type = value.type
    graph.append(step)
    graph.outputs[list(graph.outputs).index(value)] = made
    return step


def bypass(graph: ir.Graph, node: ir.Node, index: int = 0) -> None:
    """Send input ``index`` of a node on as its result."""
    source = node.inputs[index]
    node.op_type, node.version = "Identity", None
    node.attributes.clear()
    node.resize_inputs(1)
    node.replace_input_with(0, source)
