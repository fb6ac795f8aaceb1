"""Labels read from scores over time."""

from __future__ import annotations

from porters.tensorflow.context import Context
from porters.tensorflow.coordinates import LONG, counting, listed, vector, within
from porters.tensorflow.formula import formula, number, sizes
from porters.tensorflow.moves import static
from porters.tensorflow.node import Node
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor


@translates("CTCGreedyDecoder")
def greedy(ctx: Context, node: Node, scores: Tensor, lengths: Tensor) -> list[Tensor]:
    """Translate the best label of each moment, without blanks and, if asked for, repetitions (ctc_decoder_ops.cc)."""
    (classes,) = static(scores.shape[2:], "labels")
    blank = int(node.attr("blank_index"))
    blank = blank + classes if blank < 0 else blank
    value = formula(ctx, scores).transpose(1, 0, 2)
    moments = counting(ctx, sizes(ctx, scores.shape[:1]))
    spoken = moments.unsqueeze(0) < formula(ctx, lengths, dtype=LONG).unsqueeze(1)
    best = value.reduce("ArgMax", [2])
    kept = spoken & ~best.equals(blank)
    if node.attr("merge_repeated"):
        before = best.of("Pad", number(ctx, [0, 1, 0, 0]), number(ctx, -1, LONG)).slice(0, -1, 1)
        kept = kept & ~best.equals(before)
    places = kept.of("NonZero", dtype=LONG)
    rows = places.take(0, 0)
    height = sizes(ctx, scores.shape[1:2])
    columns, counts = within(rows, height)
    index = rows.unsqueeze(1).of("Concat", columns.unsqueeze(1), axis=1)
    labels = best.of("GatherND", places.transpose(1, 0))
    width = counts.reduce("ReduceMax", [0])
    shares = spoken.where(value.reduce("ReduceMax", [2]), 0.0)
    total = -shares.reduce("ReduceSum", [1], keep=True)
    parts = listed(index, labels, vector(ctx, [height, width]), (ctx.unknown(), 2))
    return [*parts, total.held((scores.shape[1], 1))]
