"""Mixtures of experts: products of groups of rows, each with the matrix of its expert, and how many rows each has."""

from __future__ import annotations

import onnx_ir as ir

from porters.pytorch.registry import Context, translates

_INTEGER = ir.DataType.INT64


@translates("aten._grouped_mm", "transformers.grouped_mm_fallback")
def grouped_mm(
    c: Context,
    x: ir.Value,
    weight: ir.Value,
    offs: ir.Value | None = None,
    bias: ir.Value | None = None,
    out_dtype: object = None,
) -> ir.Value:
    """Rows (S, K) in groups that end at ``offs`` times (E, K, N): every expert on every row, of which one is taken.

    Shapes stay static that way, and no weight is copied: slices by ``offs`` would be of sizes that only data decides.
    """
    if offs is None or c.rank(x) != 2 or c.rank(weight) != 3 or bias is not None:
        raise NotImplementedError("grouped_mm but of rows by a stack of matrices, with offsets and no bias")
    rows, experts = c.sizes_of(x)[0], c.sizes_of(weight)[0]
    count = c.op("Squeeze", c.vector([rows]), [0])
    places = c.op("Range", c.const(0, _INTEGER), count, c.const(1, _INTEGER))
    column = c.op("Unsqueeze", places, [1])
    ended = c.op("LessOrEqual", c.cast(offs, _INTEGER), column)
    expert = c.op("ReduceSum", c.cast(ended, _INTEGER), [1], keepdims=1)
    if not isinstance(experts, int):
        raise NotImplementedError("grouped_mm with a number of experts that is not known")
    # Rows behind the last group belong to no expert and hold nothing that torch defines.
    expert = c.op("Min", expert, c.const(experts - 1, _INTEGER))
    every = c.op("MatMul", c.op("Unsqueeze", x, [0]), weight)
    return c.op("GatherND", every, c.op("Concat", expert, column, axis=1))
