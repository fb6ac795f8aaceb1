"""Attention: scaled dot-product attention is one Attention node."""

from __future__ import annotations

import onnx_ir as ir

from porters.pytorch.ops.shared import known
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
    if dropout:
        raise NotImplementedError("attention with dropout: call .eval() on the model")
    if mask is not None and mask.dtype not in (ir.DataType.BOOL, q.dtype):
        mask = c.cast(mask, q.dtype or ir.DataType.FLOAT)
    rank = _common_rank(c, q, k, v)
    four = [_four_axes(c, x, rank) for x in (q, k, v)]
    result = c.op(
        "Attention",
        *four,
        None if mask is None else _whole_mask(c, _mask_axes(c, mask, rank), q, k),
        scale=None if scale is None else float(scale),
        is_causal=int(bool(is_causal)),
    )
    return result if rank == 4 else c.reshape(known(c, result, [-1, -1, -1, -1]), c.shape)


def _whole_mask(c: Context, mask: ir.Value, q: ir.Value, k: ir.Value) -> ir.Value:
    """Spell out the mask's last two axes: ONNX lets them broadcast, ONNX Runtime 1.32 does not."""
    have, want = c.sizes_of(mask)[-2:], [c.sizes_of(q)[-2], c.sizes_of(k)[-2]]
    if have == want:
        return mask
    target = [1 if size == whole else whole for size, whole in zip(have, want, strict=True)]
    return c.op("Expand", mask, c.vector([1] * (c.rank(mask) - 2) + target))


def _common_rank(c: Context, q: ir.Value, k: ir.Value, v: ir.Value) -> int:
    """Return the rank of all three; their batch must be the same, and one head of keys may serve several queries'."""
    queries, keys, values = (c.sizes_of(x)[:-2] for x in (q, k, v))
    if not queries[:-1] == keys[:-1] == values[:-1] or keys != values:
        raise NotImplementedError("attention that broadcasts a batch")
    if keys[-1:] != queries[-1:] and len(queries) < 2:
        raise NotImplementedError("attention that broadcasts a batch")
    if keys[-1:] != queries[-1:] and (queries[-1] == 1 or not isinstance(queries[-1], int)):
        raise NotImplementedError("attention that broadcasts the queries")
    return c.rank(q)


def _four_axes(c: Context, x: ir.Value, rank: int) -> ir.Value:
    if rank == 4:
        return x
    if rank <= 3:
        return c.op("Unsqueeze", x, list(range(4 - rank)))
    return c.op("Reshape", x, c.vector([-1, *c.sizes_of(x)[-3:]]))


def _mask_axes(c: Context, mask: ir.Value, rank: int) -> ir.Value:
    """Return the mask such that it broadcasts against the scores on four axes."""
    sizes = c.sizes_of(mask)
    if rank > 4 and len(sizes) > 3:
        raise NotImplementedError("an attention mask over more than four axes")
    if len(sizes) < 2:
        mask = c.op("Unsqueeze", mask, list(range(2 - len(sizes))))
        c.symbols.remember(mask, [1] * (2 - len(sizes)) + sizes)
    return mask
