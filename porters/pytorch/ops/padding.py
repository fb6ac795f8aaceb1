"""Padding: constants, reflections, repeated edges, circles; negative pads crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from porters.pytorch.ops.shared import END, known
from porters.pytorch.registry import Context, Size, translates
from porters.pytorch.writes import total

_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


@translates("aten.pad")
def pad(c: Context, x: ir.Value, pads: Sequence[Size], mode: str = "constant", value: float | None = None) -> ir.Value:
    """Pad; torch counts from the last axis."""
    return padded(c, x, pads, mode, value or 0)


@translates("aten.constant_pad_nd")
def constant_pad(c: Context, x: ir.Value, pads: Sequence[Size], value: float = 0) -> ir.Value:
    """Pad with a constant."""
    return padded(c, x, pads, "constant", value)


@translates("aten.reflection_pad1d", "aten.reflection_pad2d", "aten.reflection_pad3d")
def reflection_pad(c: Context, x: ir.Value, pads: Sequence[Size]) -> ir.Value:
    """Pad by reflection."""
    return padded(c, x, pads, "reflect", 0)


@translates("aten.replication_pad1d", "aten.replication_pad2d", "aten.replication_pad3d")
def replication_pad(c: Context, x: ir.Value, pads: Sequence[Size]) -> ir.Value:
    """Pad by repeating the edge."""
    return padded(c, x, pads, "replicate", 0)


@translates("aten._pad_circular")
def circular_pad(c: Context, x: ir.Value, pads: Sequence[Size]) -> ir.Value:
    """Pad with the other end."""
    return padded(c, x, pads, "circular", 0)


def padded(c: Context, x: ir.Value, pads: Sequence[Size], mode: str, value: Any) -> ir.Value:
    """Return ``x`` cropped where pads are negative and padded where they are not."""
    x = _cropped(c, x, pads)
    begins, ends = _sides(c, x, pads)
    axes = [axis for axis in range(c.rank(x)) if begins[axis] != 0 or ends[axis] != 0]
    if not axes:
        return x
    if mode == "circular":
        for axis in axes:
            x = _wrapped(c, x, axis, begins[axis], ends[axis])
        return x
    if mode not in _MODES:
        raise NotImplementedError(f"padding mode {mode}")
    if mode != "constant" and any(c.sizes_of(x)[axis] == 0 for axis in axes):
        raise NotImplementedError(f"padding mode {mode} of nothing")
    filler = c.scalar(value, c.dtype) if mode == "constant" else None
    return c.op("Pad", x, c.vector([*begins, *ends]), filler, mode=_MODES[mode])


def _sides(c: Context, x: ir.Value, pads: Sequence[Size]) -> tuple[list[Size], list[Size]]:
    """Return what is added before and behind each axis."""
    rank = c.rank(x)
    begins: list[Size] = [0] * rank
    ends: list[Size] = [0] * rank
    for position in range(len(pads) // 2):
        before, behind = pads[2 * position], pads[2 * position + 1]
        begins[rank - 1 - position] = max(before, 0) if isinstance(before, int) else before
        ends[rank - 1 - position] = max(behind, 0) if isinstance(behind, int) else behind
    return begins, ends


def _cropped(c: Context, x: ir.Value, pads: Sequence[Size]) -> ir.Value:
    sizes = list(c.sizes_of(x))
    starts, stops, axes = [], [], []
    for position in range(len(pads) // 2):
        before, behind = (
            min(size, 0) if isinstance(size, int) else 0 for size in pads[2 * position : 2 * position + 2]
        )
        if before or behind:
            axis = len(sizes) - 1 - position
            starts.append(-before)
            stops.append(behind or END)
            axes.append(axis)
            sizes[axis] = total(c, sizes[axis], before + behind)
    return known(c, c.op("Slice", x, starts, stops, axes), sizes) if axes else x


def _wrapped(c: Context, x: ir.Value, axis: int, before: Size, behind: Size) -> ir.Value:
    if not (isinstance(before, int) and isinstance(behind, int)):
        raise NotImplementedError("circular padding by a symbolic size")
    parts = [x]
    if before:
        parts.insert(0, c.op("Slice", x, [-before], [END], [axis]))
    if behind:
        parts.append(c.op("Slice", x, [0], [behind], [axis]))
    sizes = list(c.sizes_of(x))
    sizes[axis] = total(c, sizes[axis], before + behind)
    return known(c, c.op("Concat", *parts, axis=axis), sizes)
