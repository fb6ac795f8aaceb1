"""What changed in an operator without changing what it computes: attributes that became inputs, and names of modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from zoo.opset.rewriter import Rewriter, integers, rank_of, sizes_of


def axes_to_attribute(node: ir.Node, w: Rewriter) -> None:
    """Reduce*, Squeeze, Unsqueeze: axes were an attribute."""
    axes = integers(node.inputs[1]) if len(node.inputs) > 1 and node.inputs[1] is not None else None
    if len(node.inputs) > 1 and node.inputs[1] is not None and axes is None:
        raise NotImplementedError("axes that are computed")
    attributes: dict[str, Any] = {"axes": axes} if axes else {}
    if node.op_type.startswith("Reduce"):
        if not axes and node.attributes.get_int("noop_with_empty_axes", False):
            w.replace(w.op("Identity", node.inputs[0]))
            return
        attributes["keepdims"] = node.attributes.get_int("keepdims", True)
    w.replace(w.op(node.op_type, node.inputs[0], **attributes))


def split(node: ir.Node, w: Rewriter) -> None:
    """Split: sizes for a number of equal parts, and before opset 13 an attribute."""
    x, axis = node.inputs[0], node.attributes.get_int("axis", 0)
    sizes = integers(node.inputs[1]) if len(node.inputs) > 1 else None
    if sizes is None:
        (whole,), count = sizes_of(x, [axis]), len(node.outputs)
        part = -(-whole // count)
        sizes = [part] * (count - 1) + [whole - part * (count - 1)]
    made = (
        w.op("Split", x, outputs=len(sizes), axis=axis, split=sizes)
        if _target(w) < 13
        else w.op("Split", x, w.integers(*sizes), outputs=len(sizes), axis=axis)
    )
    w.replace(*((made,) if len(sizes) == 1 else made))


def pad(node: ir.Node, w: Rewriter) -> None:
    """Pad: widths for every axis in place of some axes."""
    x, widths, *rest = node.inputs
    axes = integers(rest[1]) if len(rest) > 1 else None
    given = integers(widths)
    mode = node.attributes.get_string("mode", "constant")
    if given is None or mode == "wrap":
        raise NotImplementedError("widths that are computed" if given is None else "the mode wrap")
    rank = rank_of(x)
    if axes is not None:
        full = [0] * (2 * rank)
        for place, axis in enumerate(axes):
            full[axis % rank], full[axis % rank + rank] = given[place], given[place + len(axes)]
        given = full
    w.replace(w.op("Pad", x, w.integers(*given), *rest[:1], mode=mode))


def softmax(node: ir.Node, w: Rewriter) -> None:
    """Softmax, LogSoftmax, before opset 13 over all axes from ``axis`` on: the axis is brought to the end."""
    x = node.inputs[0]
    rank = rank_of(x)
    axis = node.attributes.get_int("axis", -1) % rank
    if axis == rank - 1:
        w.replace(w.op(node.op_type, x, axis=axis))
        return
    order = [*(at for at in range(rank) if at != axis), axis]
    moved = w.op(node.op_type, w.op("Transpose", x, perm=order), axis=rank - 1)
    w.replace(w.op("Transpose", moved, perm=np.argsort(order).tolist()))


def shape(node: ir.Node, w: Rewriter) -> None:
    """Shape of some axes: before opset 15 a slice of all."""
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", rank_of(node.inputs[0]))
    w.replace(w.op("Slice", w.op("Shape", node.inputs[0]), w.integers(start), w.integers(end)))


def cast_like(node: ir.Node, w: Rewriter) -> None:
    """CastLike: Cast to what the other is."""
    other = node.inputs[1]
    if other is None or other.dtype is None:
        raise NotImplementedError("the element type is not known")
    w.replace(w.op("Cast", node.inputs[0], to=other.dtype.value))


def grid_sample(node: ir.Node, w: Rewriter) -> None:
    """GridSample: its modes were called bilinear and bicubic."""
    attributes = {key: item.value for key, item in node.attributes.items()}
    mode = node.attributes.get_string("mode", "linear")
    if mode in ("bilinear", "bicubic", "nearest") and _target(w) >= 16:
        return
    if _target(w) < 16:
        raise NotImplementedError("it came with opset 16")
    attributes["mode"] = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    if rank_of(node.inputs[0]) != 4:
        raise NotImplementedError("GridSample of volumes")
    w.replace(w.op("GridSample", *node.inputs, **attributes))


def resize(node: ir.Node, w: Rewriter) -> None:
    """Resize: before opset 13 a region and scales had to be given, were they empty."""
    attributes = {key: item.value for key, item in node.attributes.items()}
    x, region, scales, sizes = (*node.inputs, None, None, None)[:4]
    if _target(w) >= 13 or "axes" in attributes:
        raise NotImplementedError("its options came later")
    empty = w.constant(np.zeros(0, np.float32))
    operands = [x, region or empty, scales or empty, *([sizes] if sizes is not None else [])]
    w.replace(w.op("Resize", *operands, **attributes))


def _target(w: Rewriter) -> int:
    graph = w.node.graph
    assert graph is not None
    return int(graph.opset_imports.get("", 0))
