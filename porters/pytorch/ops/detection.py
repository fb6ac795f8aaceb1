"""Detection: non-maximum suppression and regions of interest."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.pytorch.registry import Context, translates

# torchvision's batched_nms moves the boxes of each class apart where there are at most this many coordinates on a CPU,
# and goes through the classes one by one where there are more (torchvision/ops/boxes.py).
MOST_MOVED = 4000


def _threshold(value: float) -> np.ndarray:
    """Return a threshold in float32 that divides the float32 numbers just as the double does."""
    narrow = np.float32(value)
    return np.asarray([np.nextafter(narrow, np.float32(-np.inf)) if float(narrow) > value else narrow], np.float32)


def _suppress(c: Context, boxes: ir.Value, scores: ir.Value, threshold: float) -> ir.Value:
    """Return (kept, 3): sample, class and box, class by class, of boxes (N, 4) with scores (classes, N)."""
    if boxes.dtype != ir.DataType.FLOAT or scores.dtype != ir.DataType.FLOAT:
        raise NotImplementedError("non-maximum suppression of other numbers than float32")
    if not 0.0 <= threshold <= 1.0:
        raise NotImplementedError(f"non-maximum suppression above an overlap of {threshold}")
    every = c.const([np.iinfo(np.int64).max])
    # Below this score stands only what was ruled out; the scores of torch's kernel have no lower limit.
    lowest = c.const([np.finfo(np.float32).min])
    one = c.const([0], ir.DataType.INT64)
    return c.op(
        "NonMaxSuppression", c.op("Unsqueeze", boxes, one), c.op("Unsqueeze", scores, one), every,
        _threshold(threshold), lowest, dtype=ir.DataType.INT64,
    )  # fmt: skip


@translates("torchvision.nms")
def nms(c: Context, boxes: ir.Value, scores: ir.Value, iou_threshold: float) -> ir.Value:
    """NonMaxSuppression of one class: it keeps the order of the scores, as torchvision does."""
    kept = _suppress(c, boxes, c.op("Unsqueeze", scores, [0]), iou_threshold)
    return c.op("Gather", kept, c.const(2, ir.DataType.INT64), axis=1)


@translates("zooport.batched_nms")
def batched_nms(c: Context, boxes: ir.Value, scores: ir.Value, idxs: ir.Value, iou_threshold: float) -> ir.Value:
    """NonMaxSuppression class by class, then all that is kept by score.

    Boxes of different classes never meet, whether they are moved apart or not; but moving rounds the coordinates, and
    the original moves them where there are few. So does the port: the shift is nothing where there are many.
    """
    integer = ir.DataType.INT64
    labels = c.cast(idxs, integer)
    # A zero beside the labels and the coordinates: there may be no boxes.
    zero = c.const([0], integer)
    classes = c.op("Add", c.op("ReduceMax", c.op("Concat", labels, zero, axis=0), [0], keepdims=0), 1)
    few = c.op("LessOrEqual", c.op("Size", boxes, dtype=integer), MOST_MOVED)
    flat = c.op("Concat", c.op("Reshape", boxes, [-1]), c.const([np.finfo(np.float32).min]), axis=0)
    step = c.op("Add", c.op("ReduceMax", flat, [0], keepdims=0), 1.0)
    shift = c.op("Mul", c.cast(labels, ir.DataType.FLOAT), step)
    shift = c.op("Where", few, shift, c.const(0.0, ir.DataType.FLOAT))
    moved = c.op("Add", boxes, c.op("Unsqueeze", shift, [1]))
    numbers = c.op("Range", c.const(0, integer), classes, c.const(1, integer), dtype=integer)
    own = c.op("Equal", c.op("Unsqueeze", numbers, [1]), c.op("Unsqueeze", labels, [0]))
    ruled_out = c.const(-np.inf, ir.DataType.FLOAT)
    by_class = c.op("Where", own, c.op("Unsqueeze", scores, [0]), ruled_out, dtype=ir.DataType.FLOAT)
    kept = c.op("Gather", _suppress(c, moved, by_class, iou_threshold), c.const(2, integer), axis=1)
    return _by_score(c, kept, scores)


def _by_score(c: Context, kept: ir.Value, scores: ir.Value) -> ir.Value:
    """Return box numbers in the order of their scores, the best first and the first of equal ones first."""
    integer = ir.DataType.INT64
    count = c.op("Shape", kept, dtype=integer)
    ordered, _ = c.ops("TopK", kept, count, outputs=2, dtypes=[integer, integer], axis=0, largest=0)
    ranked = c.op("Gather", scores, ordered, axis=0)
    _, places = c.ops("TopK", ranked, count, outputs=2, dtypes=[ranked.dtype, integer], axis=0, largest=1)
    return c.op("Gather", ordered, places, axis=0)


@translates("torchvision.roi_align")
def roi_align(
    c: Context, x: ir.Value, rois: ir.Value, spatial_scale: float, pooled_height: int, pooled_width: int,
    sampling_ratio: int, aligned: bool,
) -> ir.Value:  # fmt: skip
    """RoiAlign; ``aligned`` is ONNX's half-pixel."""
    if not isinstance(pooled_height, int) or not isinstance(pooled_width, int):
        raise NotImplementedError("roi_align into a symbolic extent")
    sample = c.op("Slice", rois, [0], [1], [1])
    boxes = c.op("Slice", rois, [1], [5], [1])
    return c.op(
        "RoiAlign", x, boxes, c.cast(c.op("Squeeze", sample, [1]), ir.DataType.INT64),
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel", mode="avg",
        output_height=pooled_height, output_width=pooled_width, sampling_ratio=max(sampling_ratio, 0),
        spatial_scale=spatial_scale,
    )  # fmt: skip
