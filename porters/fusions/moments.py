"""What the norms have in common: the mean over the last axes, and the division by a root of a mean plus epsilon."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from porters.fusions.match import alike, attribute, axes_of, dims, either_way, integers, made_by, scalar


@dataclass(frozen=True)
class Scaled:
    """``numerator / sqrt(mean(squared) + epsilon)``, however it was spelled.

    Attributes:
        numerator: What is divided.
        squared: What is averaged.
        epsilon: The constant under the root.
        axis: The first of the averaged axes, counted from the back.
        nodes: The nodes that make it, the quotient last; what makes ``squared`` is not among them.
    """

    numerator: ir.Value
    squared: ir.Value
    epsilon: float
    axis: int
    nodes: tuple[ir.Node, ...]


def scaled_by_root(node: ir.Node) -> Scaled | None:
    """Read ``node`` (a Mul or Div) as a quotient by the root of a mean."""
    if node.op_type == "Div":
        return _over_root(node, node.inputs[0], made_by(node.inputs[1], "Sqrt"), ())
    found = either_way(node, lambda value: made_by(value, "Reciprocal", "Div", "Pow") is not None)
    if found is None:
        return None
    inverse = found[0].producer()
    assert inverse is not None
    if inverse.op_type == "Pow":
        return _over_root(node, found[1], inverse, ()) if scalar(inverse.inputs[1]) == -0.5 else None
    if inverse.op_type == "Div" and scalar(inverse.inputs[0]) != 1.0:
        return None
    root = made_by(inverse.inputs[-1], "Sqrt")
    return _over_root(node, found[1], root, (inverse,))


def _over_root(
    node: ir.Node, numerator: ir.Value | None, root: ir.Node | None, between: tuple[ir.Node, ...]
) -> Scaled | None:
    added = made_by(root.inputs[0], "Add") if root is not None else None
    parts = either_way(added, lambda value: made_by(value, "ReduceMean") is not None) if added is not None else None
    if root is None or added is None or parts is None or numerator is None:
        return None
    mean = parts[0].producer()
    epsilon = scalar(parts[1])
    axis = trailing_mean(mean) if mean is not None else None
    if mean is None or epsilon is None or axis is None or mean.inputs[0] is None:
        return None
    return Scaled(numerator, mean.inputs[0], epsilon, axis, (mean, added, root, *between, node))


def trailing_mean(mean: ir.Node) -> int | None:
    """Return the first axis, from the back, of a ReduceMean that keeps dimensions and takes the last axes."""
    shape = dims(mean.inputs[0])
    if shape is None or not attribute(mean, "keepdims", 1):
        return None
    axes = axes_of(mean, len(shape))
    if not axes or axes != list(range(axes[0], len(shape))):
        return None
    return axes[0] - len(shape)


def square_of(value: ir.Value | None) -> tuple[ir.Value, ir.Node] | None:
    """Return (x, node) where ``value`` is x * x or x ** 2."""
    node = made_by(value, "Mul", "Pow")
    if node is None or node.inputs[0] is None:
        return None
    if node.op_type == "Pow":
        return (node.inputs[0], node) if scalar(node.inputs[1]) == 2.0 else None
    return (node.inputs[0], node) if alike(node.inputs[0], node.inputs[1]) else None


def fits_last_axes(value: ir.Value | None, x: ir.Value, axis: int) -> bool:
    """Say whether ``value`` has exactly the shape of the last axes of ``x``, all of them known sizes."""
    shape, whole = dims(value), dims(x)
    if shape is None or whole is None:
        return False
    last = whole[axis:]
    return shape == last and all(isinstance(size, int) for size in last)


def constant_axes(node: ir.Node) -> list[int] | None:
    """Return the constant axes of a node as they stand."""
    return integers(node.inputs[1]) if len(node.inputs) > 1 else None
