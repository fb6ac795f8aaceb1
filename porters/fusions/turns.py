"""Reads how a rotary embedding turns x: (-second half, first half), or (-odd, even) element by element."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from porters.fusions.match import attribute, axes_of, dims, integers, known, made_by

# Slice's spelling of "to the end".
_END = (1 << 31) - 1


@dataclass(frozen=True)
class Turn:
    """A turned x.

    Attributes:
        x: What is turned.
        interleaved: Whether neighbours are paired, and not the two halves.
        nodes: The nodes that turn it.
    """

    x: ir.Value
    interleaved: bool
    nodes: tuple[ir.Node, ...]


@dataclass(frozen=True)
class _Part:
    """Every ``step``-th element from ``start`` to ``end`` of the last axis of x."""

    x: ir.Value
    start: int
    end: int
    step: int
    node: ir.Node


def read_turn(value: ir.Value) -> Turn | None:
    """Return how ``value`` turns another value along its last axis, ``None`` where it does not."""
    joined = made_by(value, "Concat")
    if joined is not None:
        return _halves(joined)
    flat = made_by(value, "Reshape")
    return _interleaved(flat) if flat is not None else None


def _halves(joined: ir.Node) -> Turn | None:
    rank = len(dims(joined.outputs[0]) or [])
    if len(joined.inputs) != 2 or rank == 0 or attribute(joined, "axis") % rank != rank - 1:
        return None
    negated = made_by(joined.inputs[0], "Neg")
    if negated is None:
        return None
    second, first = _part(negated.inputs[0]), _part(joined.inputs[1])
    if first is None or second is None or first.x is not second.x:
        return None
    width = (dims(first.x) or [None])[-1]
    if not isinstance(width, int) or width % 2:
        return None
    half = width // 2
    if (first.start, first.end, first.step) != (0, half, 1) or (second.start, second.end, second.step) != (
        half,
        width,
        1,
    ):
        return None
    return Turn(first.x, False, tuple(dict.fromkeys((first.node, second.node, negated, joined))))


def _interleaved(flat: ir.Node) -> Turn | None:
    """Read stack((-x[1::2], x[0::2]), -1) with its two last axes made one."""
    joined = made_by(flat.inputs[0], "Concat")
    if joined is None or len(joined.inputs) != 2:
        return None
    rank = len(dims(joined.outputs[0]) or [])
    raised = [made_by(part, "Unsqueeze") for part in joined.inputs]
    if rank == 0 or attribute(joined, "axis") % rank != rank - 1 or raised[0] is None or raised[1] is None:
        return None
    if any(node is None or axes_of(node, rank) != [rank - 1] for node in raised):
        return None
    negated = made_by(raised[0].inputs[0], "Neg")
    odd = _part(negated.inputs[0]) if negated is not None else None
    even = _part(raised[1].inputs[0])
    if negated is None or odd is None or even is None or odd.x is not even.x:
        return None
    width = (dims(odd.x) or [None])[-1]
    if not isinstance(width, int) or width % 2 or known(flat.outputs[0]) is None:
        return None
    if (even.start, even.end, even.step) != (0, width, 2) or (odd.start, odd.end, odd.step) != (1, width, 2):
        return None
    if known(flat.outputs[0]) != known(odd.x):
        return None
    return Turn(odd.x, True, tuple(dict.fromkeys((even.node, odd.node, negated, raised[0], raised[1], joined, flat))))


def _part(value: ir.Value | None) -> _Part | None:
    """Read a Slice, or an output of Split, of the last axis."""
    if value is None:
        return None
    node = value.producer()
    if node is None or node.domain:
        return None
    if node.op_type == "Split":
        return _split_part(value, node)
    return _slice_part(node) if node.op_type == "Slice" else None


def _slice_part(node: ir.Node) -> _Part | None:
    x = node.inputs[0]
    shape = dims(x)
    bounds = [integers(item) for item in node.inputs[1:]]
    if x is None or not shape or not isinstance(shape[-1], int) or len(bounds) < 3:
        return None
    if any(bound is None or len(bound) != 1 for bound in bounds):
        return None
    start, end, axis, step = [bound[0] for bound in bounds if bound] + [1] * (4 - len(bounds))
    width = shape[-1]
    if axis % len(shape) != len(shape) - 1 or step < 1:
        return None
    start = max(start + width, 0) if start < 0 else start
    end = max(end + width, 0) if end < 0 else min(end, width)
    return _Part(x, start, width if end >= _END else end, step, node)


def _split_part(value: ir.Value, node: ir.Node) -> _Part | None:
    x = node.inputs[0]
    shape = dims(x)
    if (
        x is None
        or not shape
        or not isinstance(shape[-1], int)
        or attribute(node, "axis", 0) % len(shape) != len(shape) - 1
    ):
        return None
    sizes = [(dims(item) or [None])[-1] for item in node.outputs]
    if not all(isinstance(size, int) for size in sizes):
        return None
    widths = [size for size in sizes if isinstance(size, int)]
    position = list(node.outputs).index(value)
    return _Part(x, sum(widths[:position]), sum(widths[: position + 1]), 1, node)
