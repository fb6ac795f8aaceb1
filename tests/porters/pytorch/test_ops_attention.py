"""Scaled dot-product attention and the modules built on it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

sdpa = F.scaled_dot_product_attention
LOWER = torch.ones(5, 5, dtype=torch.bool).tril()

TABLE = {
    "plain": lambda x: sdpa(x, x * 0.5, x + 1),
    "causal": lambda x: sdpa(x, x, x, is_causal=True),
    "scale": lambda x: sdpa(x, x, x, scale=0.3),
    "bool_mask": lambda x: sdpa(x, x, x, attn_mask=LOWER),
    "float_mask": lambda x: sdpa(x, x, x, attn_mask=torch.linspace(-2, 2, 25).reshape(5, 5).to(x.dtype)),
    "mask_per_head": lambda x: sdpa(x, x, x, attn_mask=x[..., :5] * 3),
    "mask_per_sample": lambda x: sdpa(x, x, x, attn_mask=(x[:, :1, :1, :5] < 0.8) | LOWER[0]),
    "cross": lambda x: sdpa(x[:, :, :3], x, x[..., :4]),
    "causal_cross": lambda x: sdpa(x[:, :, :3], x, x, is_causal=True),
    "causal_long": lambda x: sdpa(x, x[:, :, :3], x[:, :, :3], is_causal=True),
    "three_axes": lambda x: sdpa(x[:, 0], x[:, 1], x[:, 2]),
    "three_axes_mask": lambda x: sdpa(x[:, 0], x[:, 1], x[:, 2], attn_mask=x[:, 0, :, :5]),
    "five_axes": lambda x: sdpa(x[:, None].expand(-1, 2, -1, -1, -1), x[:, None].expand(-1, 2, -1, -1, -1) * 2,
                                x[:, None].expand(-1, 2, -1, -1, -1)),
    "grouped": lambda x: sdpa(x, x[:, :2], x[:, 2:], enable_gqa=True),
    "one_key_head": lambda x: sdpa(x, x[:, :1], x[:, 1:2], enable_gqa=True),
    "by_hand": lambda x: torch.softmax(x @ x.mT / 8**0.5, -1) @ x,
}  # fmt: skip


def test_values(port_and_compare: Any) -> None:
    ported = port_and_compare(TABLE, "batch,4,5,8")
    assert ported.ops["Attention"] >= len(TABLE) - 1


def test_attention_is_one_node(port_and_compare: Any) -> None:
    assert port_and_compare({"y": TABLE["causal"]}, "batch,4,5,8").ops == {"Attention": 1}
    assert port_and_compare({"y": TABLE["grouped"]}, "batch,4,5,8").ops["Attention"] == 1


def test_symbolic_length(port_and_compare: Any) -> None:
    table = {"causal": TABLE["causal"], "plain": TABLE["plain"]}
    port_and_compare(table, "batch,2,length,4")


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_layer(port_and_compare: Any, norm_first: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
    decoder = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.decoder = layer, decoder

        def forward(self, x: Any) -> Any:
            mask = nn.Transformer.generate_square_subsequent_mask(5).to(x.dtype)
            seen = self.layer(x, src_mask=mask, is_causal=True)
            return self.decoder(x, seen, tgt_mask=mask)

    port_and_compare(Both(), "batch,5,8")


def test_multihead_attention_with_weights(port_and_compare: Any) -> None:
    torch.manual_seed(0)

    class Weights(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, add_bias_kv=True, kdim=6, vdim=5)

        def forward(self, q: Any, k: Any) -> Any:
            return self.attention(q, k, k[..., :5])

    port_and_compare(Weights(), "5,batch,8", "4,batch,6")


def test_dropout_in_attention_is_refused(refused: Any) -> None:
    assert "dropout" in refused(lambda x: sdpa(x, x, x, dropout_p=0.5), "batch,2,3,4")
