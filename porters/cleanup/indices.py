"""What integers say without being computed: ranges along axes, and comparisons that always hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from porters.fusions.match import array, axes_of, dims, integers, made_by, scalar

_INTEGERS = frozenset({ir.DataType.INT32, ir.DataType.INT64})
# Chains of indices are a few nodes long; past this many the question is not worth its time.
_DEPTH = 12


@dataclass(frozen=True)
class Affine:
    """The integers ``offset + sum of step * position along axis``.

    Attributes:
        steps: Axis, counted from the back, to its step; steps of zero are left out.
        offset: The first element.
    """

    steps: tuple[tuple[int, int], ...]
    offset: int

    @property
    def smallest(self) -> int | None:
        """The smallest element where no step is negative."""
        return self.offset if all(step > 0 for _, step in self.steps) else None


def affine(value: ir.Value | None, depth: int = _DEPTH) -> Affine | None:
    """Return ``value`` as a range over its axes, ``None`` where it is not known to be one."""
    constant = array(value)
    if constant is not None:
        same = constant.size > 0 and np.issubdtype(constant.dtype, np.integer) and np.all(constant == constant.flat[0])
        return Affine((), int(constant.flat[0])) if same else None
    node = value.producer() if value is not None else None
    if value is None or node is None or node.domain or depth == 0 or value.dtype not in _INTEGERS:
        return None
    if node.op_type == "Range":
        start, step = scalar(node.inputs[0]), scalar(node.inputs[2])
        return None if start is None or not step else _made({-1: int(step)}, int(start), value)
    if node.op_type in ("Add", "Sub", "Mul"):
        left, right = (affine(item, depth - 1) for item in node.inputs[:2])
        return None if left is None or right is None else _combined(node, left, right)
    inner = affine(node.inputs[0], depth - 1) if node.op_type in ("Identity", "Cast", "Unsqueeze", "Expand") else None
    if inner is None or node.op_type in ("Identity", "Cast"):
        return inner
    return _unsqueezed(node, inner) if node.op_type == "Unsqueeze" else _expanded(node, inner)


def _made(steps: dict[int, int], offset: int, value: ir.Value) -> Affine:
    # An axis of size one has the position zero only, whatever the step.
    shape = dims(value) or []
    kept = {axis: step for axis, step in steps.items() if step and not (len(shape) >= -axis and shape[axis] == 1)}
    return Affine(tuple(sorted(kept.items())), offset)


def _combined(node: ir.Node, left: Affine, right: Affine) -> Affine | None:
    out = node.outputs[0]
    if node.op_type == "Mul":
        for constant, other in ((left, right), (right, left)):
            if not constant.steps:
                factor = constant.offset
                return _made({axis: step * factor for axis, step in other.steps}, other.offset * factor, out)
        return None
    sign = 1 if node.op_type == "Add" else -1
    steps = dict(left.steps)
    for axis, step in right.steps:
        steps[axis] = steps.get(axis, 0) + sign * step
    return _made(steps, left.offset + sign * right.offset, out)


def _unsqueezed(node: ir.Node, inner: Affine) -> Affine | None:
    rank = len(dims(node.inputs[0]) or []) + len(integers(node.inputs[1]) or [])
    new = axes_of(node, rank)
    if new is None or dims(node.inputs[0]) is None:
        return None
    rest = [axis - rank for axis in range(rank) if axis not in new]
    return _made({rest[axis]: step for axis, step in inner.steps}, inner.offset, node.outputs[0])


def _expanded(node: ir.Node, inner: Affine) -> Affine | None:
    before, after = dims(node.inputs[0]), dims(node.outputs[0])
    if before is None or after is None:
        return None
    moved = any(before[axis] is None or before[axis] != after[axis] for axis, _ in inner.steps)
    return None if moved else inner


def always_true(value: ir.Value | None, depth: int = _DEPTH) -> bool:
    """Say whether every element of a boolean value is provably true."""
    constant = array(value)
    if constant is not None:
        return constant.dtype == np.bool_ and bool(np.all(constant))
    node = made_by(value, "And", "Unsqueeze", "Expand", "GreaterOrEqual", "LessOrEqual")
    if node is None or depth == 0:
        return False
    if node.op_type in ("Unsqueeze", "Expand"):
        return always_true(node.inputs[0], depth - 1)
    if node.op_type == "And":
        return all(always_true(item, depth - 1) for item in node.inputs)
    large, small = node.inputs if node.op_type == "GreaterOrEqual" else node.inputs[::-1]
    indices, bound = affine(large), affine(small)
    if indices is None or bound is None or bound.steps or indices.smallest is None:
        return False
    return indices.smallest >= bound.offset
