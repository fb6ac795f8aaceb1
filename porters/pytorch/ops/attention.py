"""Attention: scaled dot-product attention is one Attention node."""

from __future__ import annotations

import onnx_ir as ir

from porters.pytorch.registry import Context, translates


@translates("aten.scaled_dot_product_attention")
def attention(
    c: Context,
    q: ir.Value,
    k: ir.Value,
    v: ir.Value,
    mask: ir.Value | None = None,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> ir.Value:
    """Attention on (batch, heads, length, width); grouped queries are the operator's own."""
    rank = c.rank(q)
    if rank < 3:
        raise NotImplementedError("attention on fewer than three axes")
    if mask is not None and mask.dtype not in (ir.DataType.BOOL, q.dtype):
        mask = c.cast(mask, q.dtype or ir.DataType.FLOAT)
    four = [_four_axes(c, x) for x in (q, k, v)]
    mask_four = mask if mask is None or rank == 4 else _mask_axes(c, mask, rank)
    result = c.op(
        "Attention", *four, mask_four, scale=None if scale is None else float(scale), is_causal=int(bool(is_causal))
    )
    return result if rank == 4 else c.reshape(_known(c, result), c.shape)


def _known(c: Context, value: ir.Value) -> ir.Value:
    # Four axes that no one asks about again: only their number matters to the reshape that follows.
    c.symbols.remember(value, [-1, -1, -1, -1])
    return value


def _four_axes(c: Context, x: ir.Value) -> ir.Value:
    rank = c.rank(x)
    if rank == 4:
        return x
    if rank == 3:
        return c.op("Unsqueeze", x, [0])
    sizes = c.sizes_of(x)
    return c.op("Reshape", x, c.vector([-1, *sizes[-3:]]))


def _mask_axes(c: Context, mask: ir.Value, rank: int) -> ir.Value:
    if rank == 3 and c.rank(mask) == 3:
        return c.op("Unsqueeze", mask, [0])
    if c.rank(mask) <= 3:
        return mask
    raise NotImplementedError("an attention mask over more than four axes")
