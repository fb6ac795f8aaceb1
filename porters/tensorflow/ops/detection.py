"""Suppression of boxes that overlap."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops import matrices as mx
from porters.pytorch.ops.loops import repeat
from porters.pytorch.ops.shared import known as sized
from porters.pytorch.registry import Context as Emitter
from porters.tensorflow import algorithms
from porters.tensorflow.context import Context
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.moves import static
from porters.tensorflow.node import Node
from porters.tensorflow.ops.shape import known
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor

FLOAT, LONG = ir.DataType.FLOAT, ir.DataType.INT64
# Below every score there is.
LOWEST = float(np.finfo(np.float32).min)


def suppressed(
    boxes: Formula, scores: Formula, most: Formula, overlap: Formula, least: Formula | None = None
) -> Formula:
    """Return [kept, 3]: batch, class and box of boxes [batch, N, 4] with scores [batch, classes, N]."""
    return boxes.of(
        "NonMaxSuppression", scores, most.cast(LONG).reshape([1]), overlap.cast(FLOAT).reshape([1]),
        least.cast(FLOAT).reshape([1]) if least is not None else None, dtype=LONG,
    )  # fmt: skip


def _kept(
    ctx: Context, boxes: Tensor, scores: Tensor, most: Tensor, overlap: Formula, least: Tensor | None = None
) -> Formula:
    found = suppressed(
        formula(ctx, boxes, dtype=FLOAT).unsqueeze(0), formula(ctx, scores, dtype=FLOAT).reshape([1, 1, -1]),
        formula(ctx, most), overlap, formula(ctx, least) if least is not None else None,
    )  # fmt: skip
    return found.take(2, 1)


@translates("NonMaxSuppression", "NonMaxSuppressionV2", "NonMaxSuppressionV3")
def suppression(ctx: Context, node: Node, boxes: Tensor, scores: Tensor, most: Tensor, *limits: Tensor) -> Tensor:
    """Translate the boxes that stay, the best first."""
    overlap = formula(ctx, limits[0]) if limits else number(ctx, float(node.attr("iou_threshold")), FLOAT)
    kept = _kept(ctx, boxes, scores, most, overlap, limits[1] if len(limits) > 1 else None)
    return kept.cast(ir.DataType.INT32).held((ctx.unknown(),))


@translates("NonMaxSuppressionV4")
def padded_suppression(
    ctx: Context, node: Node, boxes: Tensor, scores: Tensor, most: Tensor, overlap: Tensor, least: Tensor
) -> list[Tensor]:
    """Translate the boxes that stay, filled up with zeros where that is asked for, and their number."""
    kept = _kept(ctx, boxes, scores, most, formula(ctx, overlap), least).cast(ir.DataType.INT32)
    count = kept.of("Size", dtype=LONG)
    if not node.attr("pad_to_max_output_size"):
        return [kept.held((ctx.unknown(),)), count.cast(ir.DataType.INT32).held(())]
    length = int(known(most, "the number of boxes").reshape(()))
    missing = (number(ctx, length) - count).reshape([1])
    pads = number(ctx, [0]).of("Concat", missing, axis=0)
    padded = kept.of("Pad", pads, number(ctx, 0, ir.DataType.INT32))
    return [padded.held((length,)), count.cast(ir.DataType.INT32).held(())]


# -- one box after the other -------------------------------------------------------------------------------------------


def _overlaps(boxes: Formula) -> Formula:
    """Return how much each two boxes share of what both cover."""
    first = [boxes.slice(a, a + 1, 1).minimum(boxes.slice(a + 2, a + 3, 1)) for a in (0, 1)]
    last = [boxes.slice(a, a + 1, 1).maximum(boxes.slice(a + 2, a + 3, 1)) for a in (0, 1)]
    area = (last[0] - first[0]) * (last[1] - first[1])
    shared: Formula | None = None
    for low, high in zip(first, last, strict=True):
        side = high.minimum(high.transpose(1, 0)) - low.maximum(low.transpose(1, 0))
        side = side.maximum(0.0)
        shared = side if shared is None else shared * side
    assert shared is not None
    empty = (area <= 0.0) | (area.transpose(1, 0) <= 0.0)
    union = area + area.transpose(1, 0) - shared
    return empty.where(0.0, shared / empty.where(1.0, union))


def _greedy(
    ctx: Context, overlaps: Formula, scores: Formula, count: int, boxes: int, limit: Formula, least: Formula,
    sigma: float = 0.0,
) -> list[Tensor]:  # fmt: skip
    """Choose the best box, weaken or rule out those that overlap it, and so on; scores below the least end it.

    Returns:
        The chosen boxes, their scores at that time, and how many there are; what is behind them means nothing.
    """

    def choose(c: Emitter, shared: ir.Value, start: ir.Value, most: ir.Value, lowest: ir.Value) -> tuple[ir.Value, ...]:
        algorithms.handed(c, start, (boxes,))
        nothing = c.const(np.float32(-np.inf))
        first = sized(c, c.op("Where", c.op("Greater", start, lowest), start, nothing), [boxes])

        def step(b: Emitter, k: ir.Value, left: ir.Value, places: ir.Value, values: ir.Value) -> tuple[ir.Value, ...]:
            best = b.op("ArgMax", left, axis=0, keepdims=0)
            value = b.op("Gather", left, best, axis=0)
            own = b.op("Gather", shared, best, axis=0)
            if sigma:
                factor = b.op("Exp", b.op("Mul", b.op("Mul", own, own), b.const(np.float32(-0.5 / sigma))))
                left = b.op("Mul", left, factor)
            gone = b.op("LessOrEqual", left, lowest) if sigma else b.op("Greater", own, most)
            weak = b.op("Where", gone, nothing, left)
            here = b.op("Equal", mx.places(b, boxes), best)
            at = b.op("Equal", mx.places(b, count), k)
            return (
                b.op("Where", here, nothing, weak),
                b.op("Where", at, best, places),
                b.op("Where", at, value, values),
            )

        states = [first, c.const(np.zeros(count, np.int64)), c.const(np.full(count, -np.inf, np.float32))]
        _, places, values = repeat(c, count, states, step)
        number_kept = c.op("ReduceSum", c.cast(c.op("Greater", values, nothing), LONG), [0], keepdims=0)
        return places, values, number_kept

    results: list[tuple[ir.DataType, tuple[int, ...]]] = [(LONG, (count,)), (FLOAT, (count,)), (LONG, ())]
    operands = (item.value for item in (overlaps, scores, limit, least))
    return algorithms.run(ctx, choose, *operands, results=results)


@translates("NonMaxSuppressionWithOverlaps")
def by_overlaps(
    ctx: Context, node: Node, overlaps: Tensor, scores: Tensor, most: Tensor, limit: Tensor, least: Tensor
) -> Tensor:
    """Translate a suppression whose overlaps are given."""
    (boxes,) = static(scores.shape, "a suppression of boxes")
    count = min(int(known(most, "the number of boxes").reshape(())), boxes)
    above, below = formula(ctx, limit), formula(ctx, least)
    places, _, kept = _greedy(ctx, formula(ctx, overlaps), formula(ctx, scores), count, boxes, above, below)
    chosen = formula(ctx, places).of("Slice", [0], formula(ctx, kept).reshape([1]), [0])
    return chosen.cast(ir.DataType.INT32).held((ctx.unknown(),))


@translates("NonMaxSuppressionV5")
def soft_suppression(
    ctx: Context, node: Node, boxes: Tensor, scores: Tensor, most: Tensor, overlap: Tensor, least: Tensor, sigma: Tensor
) -> list[Tensor]:
    """Translate a suppression that weakens boxes by how much they overlap, or rules them out where sigma is zero."""
    (total,) = static(scores.shape, "a suppression of boxes")
    length = int(known(most, "the number of boxes").reshape(()))
    count = min(length, total)
    width = float(known(sigma, "the width of the suppression").reshape(()))
    shared, start = _overlaps(formula(ctx, boxes)), formula(ctx, scores)
    above, below = formula(ctx, overlap), formula(ctx, least)
    places, values, kept = (
        formula(ctx, item) for item in _greedy(ctx, shared, start, count, total, above, below, width)
    )
    narrow = kept.cast(ir.DataType.INT32).held(())
    if not node.attr("pad_to_max_output_size"):
        cut = [item.of("Slice", [0], kept.reshape([1]), [0]) for item in (places, values)]
        size = ctx.unknown()
        return [cut[0].cast(ir.DataType.INT32).held((size,)), cut[1].held((size,)), narrow]
    valid = number(ctx, np.arange(count)) < kept
    pads = number(ctx, [0, length - count])
    filled = [valid.where(item, 0).of("Pad", pads) for item in (places, values)]
    return [filled[0].cast(ir.DataType.INT32).held((length,)), filled[1].held((length,)), narrow]


@translates("CombinedNonMaxSuppression")
def combined(
    ctx: Context, node: Node, boxes: Tensor, scores: Tensor, per_class: Tensor, total: Tensor, overlap: Tensor,
    least: Tensor,
) -> list[Tensor]:  # fmt: skip
    """Translate a suppression class by class, of which each image's best boxes are returned, filled up with zeros.

    The boxes that stay keep their scores in a table of all classes and boxes; the largest entries of it are the result.
    """
    batch = boxes.shape[0]
    count, groups, classes = static((boxes.shape[1], boxes.shape[2], scores.shape[2]), "a suppression of boxes")
    if groups not in (1, classes):
        raise Untranslatable("boxes for some of the classes")
    most, limit = (int(known(item, "the number of boxes").reshape(())) for item in (per_class, total))
    length = min(limit, most * classes) if node.attr("pad_per_class") else limit
    taken = min(length, classes * count)
    # Every class of every image by itself: [batch * classes, N, 4] and [batch * classes, 1, N].
    corners = formula(ctx, boxes).transpose(0, 2, 1, 3)
    spread = corners.of("Expand", number(ctx, [1, classes, 1, 1])) if groups == 1 else corners
    ranks = formula(ctx, scores).transpose(0, 2, 1).reshape([-1, 1, count])
    kept = suppressed(
        spread.reshape([-1, count, 4]), ranks, number(ctx, most), formula(ctx, overlap), formula(ctx, least)
    )
    table = number(ctx, LOWEST, FLOAT).of("Expand", ranks.of("Shape", dtype=LONG))
    table = table.of("ScatterND", kept, ranks.of("GatherND", kept)).reshape([-1, classes * count])
    values, places = ctx.ops(
        "TopK", table.value, [taken], axis=1, sorted=1, shapes=[(batch, taken)] * 2, dtypes=[FLOAT, LONG]
    )
    best, place = formula(ctx, values), formula(ctx, places)
    valid = best > LOWEST
    flat = spread.reshape([-1, classes * count, 4])
    chosen = flat.of("GatherND", place.unsqueeze(2), batch_dims=1)
    chosen = chosen.maximum(0.0).minimum(1.0) if node.attr("clip_boxes") else chosen
    results = [
        _filled(valid.unsqueeze(2).where(chosen, 0.0), length - taken, 3).held((batch, length, 4)),
        _filled(valid.where(best, 0.0), length - taken, 2).held((batch, length)),
        _filled(valid.where((place / count).cast(FLOAT), 0.0), length - taken, 2).held((batch, length)),
    ]  # fmt: skip
    found = valid.cast(ir.DataType.INT32).reduce("ReduceSum", [1]).held((batch,))
    return [*results, found]


def _filled(value: Formula, missing: int, rank: int) -> Formula:
    """Return a value with zeros behind its entries along axis 1."""
    if not missing:
        return value
    return value.of("Pad", number(value.ctx, [0] * rank + [0, missing] + [0] * (rank - 2)))
