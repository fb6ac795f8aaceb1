"""Detection: non-maximum suppression and regions of interest."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.shared import known, static
from porters.pytorch.registry import Context, Size, translates
from zoo.graph import GraphBuilder

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


@translates("zooport.keypoints")
def keypoints(c: Context, maps: ir.Value, rois: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Region by region: each heatmap (kinds, H, W) is resized to its region's size, its peak is the keypoint."""
    count, kinds = c.sizes_of(maps)[:2]
    body = GraphBuilder(c.g.unique("keypoints"), parent=c.g)
    inside = Context(body, c.symbols, c.results)
    with c.symbols.scope(body):
        index = known(inside, body.input("round", ir.DataType.INT64, []), [])
        going = body.input("going", ir.DataType.BOOL, [])
        heat = known(inside, inside.op("Gather", maps, index, axis=0), c.sizes_of(maps)[1:])
        found = _peaks(inside, heat, inside.op("Gather", rois, index, axis=0), kinds)
        graph = body.body([inside.op("Identity", going, shape=[]), *found])
    rounds = c.op("Squeeze", c.vector([count]), [0])
    dtypes = [c.dtype] * 3
    # A Scan would say the same, but ONNX Runtime refuses one over no regions at all.
    places = c.ops("Loop", rounds, c.const(np.array(True)), outputs=3, dtypes=dtypes, body=graph)
    x, y, scores = (known(c, value, [count, kinds]) for value in places)
    seen = c.op("Expand", c.const(1.0, c.dtype), c.vector([count, kinds]))  # torchvision says that all are visible
    return c.op("Concat", *(c.op("Unsqueeze", item, [2]) for item in (x, y, seen)), axis=2), scores


def _peaks(c: Context, heat: ir.Value, region: ir.Value, kinds: Size) -> list[ir.Value]:
    """Return x, y and the height of the peak of each kind, as torchvision's ``heatmaps_to_keypoints`` does."""
    integer = ir.DataType.INT64
    low, high = c.op("Gather", region, [0, 1]), c.op("Gather", region, [2, 3])
    size = c.op("Max", c.op("Sub", high, low), 1.0)
    whole = c.op("Ceil", size)
    pixels = c.cast(whole, integer)
    width, height = c.op("Gather", pixels, [0]), c.op("Gather", pixels, [1])
    target = c.op("Concat", c.vector([kinds]), c.const([1], integer), height, width, axis=0)
    resized = c.op(
        "Resize", c.op("Unsqueeze", heat, [1]), None, None, target, mode="cubic", cubic_coeff_a=-0.75,
        coordinate_transformation_mode="half_pixel",
    )  # fmt: skip
    flat = c.op("Reshape", resized, c.vector([kinds, -1]))
    peak = c.op("ArgMax", flat, axis=1, keepdims=0, dtype=integer)
    column = c.op("Mod", peak, width)
    row = c.op("Div", c.op("Sub", peak, column), width)
    ratio = c.op("Div", size, whole)
    places = []
    for axis, index in enumerate((column, row)):
        middle = c.op("Add", c.cast(index, c.dtype), 0.5)
        scaled = c.op("Mul", middle, c.op("Gather", ratio, [axis]))
        places.append(c.op("Add", scaled, c.op("Gather", low, [axis])))
    return [*places, c.op("ReduceMax", flat, [1], keepdims=0)]


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
    """All samples by one GridSample, then the mean over each bin.

    RoiAlign says the same, but ONNX Runtime 1.32 has no kernel for its version of opset 22.
    """
    if sampling_ratio <= 0:
        raise NotImplementedError("roi_align with as many samples as a region has elements")
    samples, height, width = (static(c.sizes_of(x)[axis], "roi_align") for axis in (0, 2, 3))
    count = c.sizes_of(rois)[0]
    rows, columns = pooled_height * sampling_ratio, pooled_width * sampling_ratio
    edges = c.op("Mul", rois, spatial_scale)
    edges = c.op("Sub", edges, 0.5) if aligned else edges
    at_x, in_x = _samples(c, edges, 1, pooled_width, sampling_ratio, width, aligned)
    at_y, in_y = _samples(c, edges, 2, pooled_height, sampling_ratio, height, aligned)
    whole = c.vector([count, rows, columns])
    across = c.op("Expand", c.op("Unsqueeze", at_x, [1]), whole)
    down = c.op("Expand", c.op("Unsqueeze", at_y, [2]), whole)
    grid = c.op("Concat", c.op("Unsqueeze", across, [-1]), c.op("Unsqueeze", down, [-1]), axis=-1)
    grid = c.op("Reshape", grid, [1, -1, columns, 2])
    inside = c.op("Mul", c.op("Unsqueeze", in_y, [2]), c.op("Unsqueeze", in_x, [1]))
    # There may be no regions, and a size of 0 would copy the input's: -1 stands for their number.
    bins = c.vector([c.sizes_of(x)[1], -1, pooled_height, sampling_ratio, pooled_width, sampling_ratio])
    result = None
    for sample in range(samples):
        image = x if samples == 1 else c.op("Slice", x, [sample], [sample + 1], [0])
        values = c.op("GridSample", image, grid, mode="linear", padding_mode="border", align_corners=1)
        values = c.op("Mul", values, c.op("Reshape", inside, [1, 1, -1, columns]))
        pooled = c.op("ReduceMean", c.op("Reshape", values, bins), [3, 5], keepdims=0)
        pooled = c.op("Transpose", pooled, perm=[1, 0, 2, 3])
        if result is None:
            result = pooled
        else:
            own = c.op("Equal", c.op("Slice", rois, [0], [1], [1]), float(sample))
            result = c.op("Where", c.op("Unsqueeze", own, [2, 3]), pooled, result, dtype=pooled.dtype)
    if result is None:
        raise NotImplementedError("roi_align of no samples")
    return result


def _samples(
    c: Context, edges: ir.Value, axis: int, bins: int, grid: int, extent: int, aligned: bool
) -> tuple[ir.Value, ir.Value]:
    """Return of the samples along one axis (regions, bins * grid): GridSample's coordinates, and 1 where one counts."""
    start = c.op("Slice", edges, [axis], [axis + 1], [1])
    size = c.op("Sub", c.op("Slice", edges, [axis + 2], [axis + 3], [1]), start)
    size = size if aligned else c.op("Max", size, c.const(1.0, ir.DataType.FLOAT))
    steps = (np.arange(bins)[:, None] + (np.arange(grid) + 0.5) / grid).reshape(1, -1).astype(np.float32)
    at = c.op("Add", start, c.op("Mul", c.op("Div", size, float(bins)), c.const(steps)))
    counted = c.op("And", c.op("GreaterOrEqual", at, -1.0), c.op("LessOrEqual", at, float(extent)))
    last = float(max(extent - 1, 1))
    held = c.op("Clip", at, c.const(0.0, ir.DataType.FLOAT), c.const(float(extent - 1), ir.DataType.FLOAT))
    return c.op("Sub", c.op("Mul", held, 2.0 / last), 1.0), c.cast(counted, ir.DataType.FLOAT)
