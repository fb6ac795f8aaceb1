"""Boxes drawn into images, and pieces of images seen through a window."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.coordinates import LONG, counting
from porters.tensorflow.formula import Formula, formula, number, sizes
from porters.tensorflow.node import Node
from porters.tensorflow.ops.shape import known
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor

FLOAT = ir.DataType.FLOAT
# Yellow, blue, red, lime, purple, olive, maroon, navy blue, aqua, fuchsia (draw_bounding_box_op.cc).
_COLORS = np.array(
    [
        [1, 1, 0, 1], [0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 0, 1], [0.5, 0, 0.5, 1], [0.5, 0.5, 0, 1], [0.5, 0, 0, 1],
        [0, 0, 0.5, 1], [0, 1, 1, 1], [1, 0, 1, 1],
    ], np.float32,
)  # fmt: skip


@translates("DrawBoundingBoxes", "DrawBoundingBoxesV2")
def draw(ctx: Context, node: Node, images: Tensor, boxes: Tensor, colors: Tensor | None = None) -> Tensor:
    """Translate the outlines of boxes, of several that meet the last one (draw_bounding_box_op.cc)."""
    _, height, width, depth = images.shape
    table = _table(ctx, depth if isinstance(depth, int) else 4, colors)
    ends = formula(ctx, boxes, dtype=FLOAT)
    top, left, bottom, right = (
        (ends.take(at, 2) * (sizes(ctx, [size]) - 1).cast(FLOAT)).cast(LONG).reshape([0, 0, 1, 1])
        for at, size in ((0, height), (1, width), (2, height), (3, width))
    )
    rows = counting(ctx, sizes(ctx, [height])).reshape([1, 1, -1, 1])
    columns = counting(ctx, sizes(ctx, [width])).reshape([1, 1, 1, -1])
    down, across = (top <= rows) & (rows <= bottom), (left <= columns) & (columns <= right)
    edge = ((rows.equals(top) | rows.equals(bottom)) & across) | ((columns.equals(left) | columns.equals(right)) & down)
    edge = edge & (top <= bottom) & (left <= right)
    # The last box whose outline a pixel is on, counted from one.
    count = sizes(ctx, [boxes.shape[1]])
    line = (counting(ctx, count) + 1).reshape([1, -1, 1, 1])
    last = edge.where(line, 0).reduce("ReduceMax", [1])
    chosen = (last - 1).maximum(0).of("Mod", table.of("Shape", start=0, end=1, dtype=LONG))
    paint = table.of("Gather", chosen, axis=0).cast(images.dtype)
    return (last > 0).unsqueeze(3).where(paint, formula(ctx, images)).held(images.shape)


def _table(ctx: Context, depth: int, colors: Tensor | None) -> Formula:
    """Return [colours, depth]; grey images have white boxes unless colours are given."""
    if colors is not None and colors.shape[0] != 0:
        return formula(ctx, colors, dtype=FLOAT).slice(0, depth, 1)
    usual = _COLORS.copy()
    if depth == 1:
        usual[:, 0] = 1.0
    return number(ctx, usual[:, :depth])


@translates("ExtractGlimpse", "ExtractGlimpseV2")
def glimpse(ctx: Context, node: Node, x: Tensor, size: Tensor, offsets: Tensor) -> Tensor:
    """Translate a window of each image around a place of its own; zeros are outside (attention_ops.cc)."""
    noise = node.attr("noise")
    if (noise.decode() if isinstance(noise, bytes) else str(noise)) != "zero":
        raise Untranslatable("a glimpse with random numbers outside of the image")
    window = [int(item) for item in known(size, "the size of a glimpse").reshape(-1)]
    value = formula(ctx, x)
    inside: list[Formula] = []
    for axis in (0, 1):
        extent = sizes(ctx, x.shape[axis + 1 : axis + 2])
        start = _start(node, formula(ctx, offsets).take(axis, 1), extent.cast(FLOAT), window[axis])
        at = start.unsqueeze(1) + number(ctx, np.arange(window[axis]))
        inside.append((at >= 0) & (at < extent))
        inner = [0, -1, 1, 1] if axis == 0 else [0, 1, -1, 1]
        full = value.of("Shape", dtype=LONG)
        place = at.maximum(0).minimum(extent - 1).reshape(inner)
        target = number(ctx, np.eye(4, dtype=np.int64)[axis + 1] > 0).where(window[axis], full)
        value = value.of("GatherElements", place.of("Expand", target), axis=axis + 1)
    seen = inside[0].reshape([0, -1, 1, 1]) & inside[1].reshape([0, 1, -1, 1])
    return seen.where(value, 0.0).held((x.shape[0], *window, x.shape[3]))


def _start(node: Node, offset: Formula, extent: Formula, window: int) -> Formula:
    """Return where a window begins, rounded towards zero; the two versions count from different places."""
    normalized, centered = bool(node.attr("normalized")), bool(node.attr("centered"))
    if normalized:
        offset = offset * extent
    first = node.op == "ExtractGlimpse"
    if centered and (normalized or first):
        offset = offset / 2.0 + extent / 2.0 - window / 2.0
    elif centered:
        offset = offset + extent / 2.0
    elif first:
        offset = offset - window / 2.0
    return offset.cast(LONG)
