"""Reading a graph for patterns: producers, users, small constants, and dimensions as far as they are proven."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from zoo.graph import is_parameter

# Constants up to this many elements are read; the weights of the model never are.
SMALL = 1024
FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE})

# A dimension: its size, its name (equal names are equal sizes), or None where nothing is known of it.
Dim = int | str | None


def made_by(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """Return the node of the standard domain that makes ``value`` if it is one of ``op_types``."""
    node = value.producer() if value is not None else None
    if node is None or node.domain or node.op_type not in op_types or node.outputs[0] is not value:
        return None
    return node


def users(value: ir.Value) -> list[ir.Node]:
    """Return the nodes that read ``value``, each once."""
    return list(dict.fromkeys(use.node for use in value.uses()))


def private(value: ir.Value, *readers: ir.Node) -> bool:
    """Say whether nobody but ``readers`` sees ``value`` (one reader, whoever it is, where none are named)."""
    if value.is_graph_output():
        return False
    found = users(value)
    return set(found) <= set(readers) if readers else len(found) == 1


def private_group(group: Collection[ir.Node], last: ir.Node) -> bool:
    """Say whether nothing that ``group`` computes is seen outside it, except what ``last`` computes."""
    members = set(group)
    return all(
        not value.is_graph_output() and set(users(value)) <= members
        for node in members - {last}
        for value in node.outputs
    )


def array(value: ir.Value | None, limit: int = SMALL) -> np.ndarray | None:
    """Return the elements of a constant of at most ``limit`` elements; ``None`` for weights and all else."""
    if value is None or value.const_value is None or not value.is_initializer() or is_parameter(value):
        return None
    # An initializer that is a graph input as well can be fed another value.
    if value.is_graph_input() or value.const_value.size > limit:
        return None
    return value.const_value.numpy()


def scalar(value: ir.Value | None) -> float | None:
    """Return the number that a constant of one element holds."""
    found = array(value, 1)
    return float(found.reshape(())) if found is not None and found.size == 1 else None


def integers(value: ir.Value | None) -> list[int] | None:
    """Return the elements of a small constant of integers."""
    found = array(value)
    if found is None or not np.issubdtype(found.dtype, np.integer):
        return None
    return [int(item) for item in found.reshape(-1)]


def same_constant(found: float | None, wanted: float) -> bool:
    """Say whether a constant is ``wanted`` up to the rounding of float32."""
    return found is not None and abs(found - wanted) <= 1e-6 * abs(wanted)


def dims(value: ir.Value | None) -> list[Dim] | None:
    """Return what is known of the dimensions of ``value``; ``None`` where not even their number is."""
    if value is None or value.shape is None:
        return None
    # A negative size is a placeholder of a translator, not a size.
    return [
        (size if size >= 0 else None) if isinstance(size, int) else size.value
        for size in value.shape
    ]  # fmt: skip


def known(value: ir.Value | None) -> list[int | str] | None:
    """Return the dimensions of ``value`` where all of them are known."""
    found = dims(value)
    if found is None:
        return None
    sure = [size for size in found if size is not None]
    return sure if len(sure) == len(found) else None


def same_dims(a: ir.Value | None, b: ir.Value | None) -> bool:
    """Say whether two values provably have the same shape."""
    first = known(a)
    return first is not None and first == known(b)


def broadcast(*shapes: Sequence[Dim] | None) -> list[int | str] | None:
    """Return the shape that NumPy's rules give; ``None`` where it cannot be told."""
    if any(shape is None for shape in shapes):
        return None
    rank = max((len(shape) for shape in shapes if shape is not None), default=0)
    result: list[int | str] = []
    for axis in range(-rank, 0):
        sizes = {shape[axis] for shape in shapes if shape is not None and len(shape) >= -axis} - {1}
        if None in sizes or len(sizes) > 1:
            return None
        result.append(next((size for size in sizes if size is not None), 1))
    return result


def attribute(node: ir.Node, name: str, default: Any = None) -> Any:
    """Return the value of an attribute, or ``default``."""
    found = node.attributes.get(name)
    return default if found is None else found.value


def perm_of(node: ir.Node) -> list[int] | None:
    """Return the permutation of a Transpose, spelled out."""
    perm = attribute(node, "perm")
    if perm is not None:
        return [int(axis) for axis in perm]
    shape = dims(node.inputs[0])
    return None if shape is None else list(range(len(shape)))[::-1]


def axes_of(node: ir.Node, rank: int) -> list[int] | None:
    """Return the constant axes of an Unsqueeze, Squeeze or Reduce, counted from the front of ``rank`` axes."""
    axes = integers(node.inputs[1]) if len(node.inputs) > 1 else None
    return None if axes is None else sorted(axis % rank for axis in axes)


def alike(a: ir.Value | None, b: ir.Value | None, depth: int = 3) -> bool:
    """Say whether two values are the same, or computed alike from the same values by at most ``depth`` nodes."""
    if a is b:
        return True
    if a is None or b is None or depth == 0:
        return False
    first, second = a.producer(), b.producer()
    if first is None or second is None or len(first.outputs) != 1 or len(second.outputs) != 1:
        return False
    if first.op_identifier() != second.op_identifier() or len(first.inputs) != len(second.inputs):
        return False
    if {k: v.value for k, v in first.attributes.items()} != {k: v.value for k, v in second.attributes.items()}:
        return False
    return all(alike(x, y, depth - 1) for x, y in zip(first.inputs, second.inputs, strict=True))


def either_way(node: ir.Node, test: Callable[[ir.Value], bool]) -> tuple[ir.Value, ir.Value] | None:
    """Return (the operand that passes ``test``, the other one) of a node with two operands, in whatever order."""
    a, b = node.inputs if len(node.inputs) == 2 else (None, None)
    if a is None or b is None:
        return None
    if test(a):
        return a, b
    return (b, a) if test(b) else None
