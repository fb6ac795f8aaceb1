"""Attention and rotary embeddings."""

from __future__ import annotations

from zoo.mindspore.code import Code
from zoo.mindspore.registry import Call, Default, Operand, translates


@translates("Attention")
def attention(
    c: Call,
    query: Operand,
    key: Operand,
    value: Operand,
    mask: Operand | None = None,
    past_key: Operand | None = None,
    past_value: Operand | None = None,
    lengths: Operand | None = None,
) -> Code:
    """``attention`` of layers.py, over (batch, heads, sequence, size) or, with a number of heads, three axes."""
    if past_key is not None or past_value is not None or lengths is not None:
        raise NotImplementedError("a cache of keys and values inside the operator")
    if any(value.uses() or value.is_graph_output() for value in c.node.outputs[1:]):
        raise NotImplementedError("its further results are used")
    scale = c.attribute("scale")
    heads = [c.attribute(name) for name in ("q_num_heads", "kv_num_heads")]
    operands = [query.tensor, key.tensor, value.tensor]
    if len(query.shape) == 3:
        if None in heads:
            raise NotImplementedError("the number of heads is not said")
        split = [c.function("split_heads", item, c.number(count, "num_heads")) for item, count in
                 zip(operands, (heads[0], heads[1], heads[1]), strict=True)]  # fmt: skip
    else:
        split = operands
    made = c.function(
        "attention", *split, None if mask is None else mask.tensor,
        scale=Default(None if scale is None else float(scale), None),
        is_causal=Default(bool(c.attribute("is_causal", 0)), False),
        softcap=Default(float(c.attribute("softcap", 0.0)), 0.0),
    )  # fmt: skip
    return c.function("merge_heads", made) if len(query.shape) == 3 else made


@translates("RotaryEmbedding")
def rotary(c: Call, x: Operand, cos: Operand, sin: Operand, places: Operand | None = None) -> Code:
    """``rotary_embedding`` of layers.py."""
    if c.attribute("rotary_embedding_dim", 0) or len(x.shape) != 4:
        raise NotImplementedError("a rotation of part of each head, or of heads that are not apart")
    tables = [cos.tensor, sin.tensor]
    if places is not None:
        tables = [c.function("gather", table, places.tensor, axis=0) for table in tables]
    return c.function(
        "rotary_embedding", x.tensor, *tables, interleaved=Default(bool(c.attribute("interleaved", 0)), False)
    )
