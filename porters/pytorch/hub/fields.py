"""What the fields of a transformers configuration mean, by their names, and how small each kind is in a tiny model."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# What is small about every tiny model. Heads times their width is the model's width, so that sub-models fit together.
WIDTH, HEADS, KEY_HEADS, HEAD_WIDTH, INNER = 64, 4, 2, 16, 128
LAYERS, VOCABULARY, POSITIONS = 2, 256, 128
EXPERTS, CHOSEN = 4, 2
# Special tokens stand below this, the random ones of a signature above.
FIRST_ORDINARY_TOKEN = 64
# The narrowest stage of a hierarchical model.
STAGE = 16


class Kind(enum.Enum):
    """What a number says about a model; decides in which variants it shrinks."""

    KEPT = "kept"
    LAYERS = "layers"
    COUNT = "count"  # of things that nothing else is measured by: words, positions, experts
    HEADS = "heads"
    WIDTH = "width"
    DETAIL = "detail"  # windows, chunks, ranks, periods: small only where everything is


@dataclass(frozen=True)
class Rule:
    """The kind of the fields whose names match ``pattern``, and their value in the smallest model."""

    pattern: str
    kind: Kind
    value: int = 0


# The first that matches decides.
RULES = (
    Rule(r"vocab_size$|^vocab_size|_vocab_size|_vocab$|^num_embeddings$|^n_vocab", Kind.COUNT, VOCABULARY),
    Rule(
        r"^type_vocab_size$|seed|_version$|num_labels|^num_channels$|^in_channels$|^in_chans$|_loss_|_cost$", Kind.KEPT
    ),
    Rule(r"^clip_qkv$", Kind.KEPT, 8),
    Rule(r"layer_offset$", Kind.DETAIL, 1),
    Rule(r"kv_shared_layers$", Kind.COUNT, 0),
    Rule(
        r"stride|^padding$|kernel|_padding$|dilation|^groups$|pretraining_tp|_offset$|temporal_patch|merge_size",
        Kind.KEPT,
    ),
    Rule(r"^mamba_n_heads$|^mamba_num_heads$|^ssm_num_heads$", Kind.HEADS, 2 * HEADS),
    Rule(r"num_key_value_heads$|num_kv_heads$|kv_heads$|^kv_n_heads$|num_key_value_groups", Kind.HEADS, KEY_HEADS),
    Rule(r"linear_num_key_heads|index_n_heads|num_global_key_value_heads", Kind.HEADS, KEY_HEADS),
    Rule(
        r"attention_heads$|num_heads$|^n_heads?$|num_attn_heads|_n_heads$|resampler_heads|linear_num_value_heads",
        Kind.HEADS,
        HEADS,
    ),
    Rule(
        r"head_dim$|^dim_head$|d_head$|_dim_head$|^d_kv$|dim_per_head|attention_head_size|head_size$",
        Kind.DETAIL,
        HEAD_WIDTH,
    ),
    Rule(r"mamba_d_ssm", Kind.WIDTH, 2 * WIDTH),
    Rule(r"kv_channels|lora_rank|^rotary_dim$|_rank$|head_width", Kind.DETAIL, HEAD_WIDTH),
    Rule(
        r"shared_experts?$|^num_shared_experts$|n_shared|expert_num_shared|first_k_dense|moe_layer_start|num_dense",
        Kind.COUNT,
        1,
    ),
    Rule(r"_layers?$|^layers$|^depth$|num_[a-z_]*(layers|blocks)$|_depth$|_num_blocks$|^n_block$", Kind.LAYERS, LAYERS),
    Rule(
        r"experts_per_tok|expert_top_?k|moe_k$|^top_k(_experts)?$|moe_top_?k|num_selected_experts|topk_experts",
        Kind.COUNT,
        CHOSEN,
    ),
    Rule(
        r"num_experts$|n_routed_experts|num_local_experts|^moe_num_experts|^num_.*_experts$|num_zero_experts",
        Kind.COUNT,
        EXPERTS,
    ),
    Rule(r"^n_group$|^topk_group$|^num_expert_group", Kind.COUNT, 1),
    Rule(r"period$|_interval$|sparse_step$|_frequency$|every_n|sliding_window_pattern|_freq$", Kind.DETAIL, 2),
    Rule(r"intermediate|ffn|inner|mlp_(dim|hidden)|^d_ff$|feed_?forward|ff_dim|fc_dim|^mlp_size", Kind.WIDTH, INNER),
    Rule(
        r"max_position|n_positions|max_seq|^max_length$|^n_ctx$|max_text_len|max_pos_emb|^seq_length",
        Kind.COUNT,
        POSITIONS,
    ),
    Rule(r"max_source_positions|max_target_positions", Kind.COUNT, POSITIONS // 2),
    Rule(
        r"sliding_window|attention_window|local_attention|^local_window|attention_chunk_size|block_size",
        Kind.DETAIL,
        8,
    ),
    Rule(r"chunk_(left|right)_context$", Kind.DETAIL, 2),
    Rule(r"window_size$", Kind.DETAIL, 4),
    Rule(r"^(mamba_)?(d_)?state(_size|_dim)?$|ssm_state|mamba_d_state|d_state", Kind.DETAIL, HEAD_WIDTH),
    Rule(r"chunk_size$|chunk_length$|^label_length$", Kind.DETAIL, 8),
    Rule(
        r"mel_bins|num_mels|feature_size|^n_mels|mel_filters|input_feat_per_channel|mel_dim|^model_in_dim$",
        Kind.DETAIL,
        HEAD_WIDTH,
    ),
    Rule(
        r"num_queries|num_query_tokens|n_latents|num_latents|latent_query_num|query_length|num_learnable",
        Kind.DETAIL,
        8,
    ),
    Rule(r"mm_tokens_per_image|image_seq_length|num_image_tokens|image_seq_len|video_seq", Kind.KEPT),
    Rule(r"relative_attention_num_buckets|num_buckets|max_distance|_buckets$|rel_pos_bins|rel_2d_pos_bins", Kind.KEPT),
    Rule(r"codebook_size|num_quantizers|num_codebooks|num_centroids|codevector", Kind.KEPT),
    Rule(r"(patch|image|grid)[a-z_]*size$", Kind.DETAIL, WIDTH),
    Rule(r"pos_feats$", Kind.WIDTH, WIDTH // 2),
    Rule(
        r"hidden_size|hidden_dim|d_model|n_embd|embed(ding)?_(dim|size)|^dim$|^width$|^emb_dim$|decoder_width",
        Kind.WIDTH,
        WIDTH,
    ),
    Rule(
        r"proj(ection)?_(dim|size)|out(put)?_(hidden_size|dim|size)|latent_dim|_hidden$|^output_channels",
        Kind.WIDTH,
        WIDTH,
    ),
    Rule(r"_groups$", Kind.WIDTH, WIDTH),
    Rule(r"_dim$|_size$|_channels$|_units$|_width$|_features$|num_filters|base_channels", Kind.WIDTH, WIDTH),
)

# Lists of the widths of a hierarchical model's stages, of how many layers each has, and of layers by their numbers.
STAGE_WIDTHS = (
    r"hidden_sizes$|embed_dims?$|encoder_in_channels|embed_dim$|^dims$|embedding_dims|stage_.*channels|^layer_dims|"
    r"dims?_per_stage$"
)
STAGE_DEPTHS = r"^depths$|num_block|layers_per|_depths?$|num_layers$|block_repeats|stage_num|blocks_per_stage$"
LAYER_NUMBERS = r"(index|indexes|indices|layers|layer)$"
OTHER_WIDTHS = r"conv_dim$|tdnn_dim|_hidden_sizes$|_channels$|_dims?$"

_TOKEN = (
    r"token_(id|index)$|^(pad|bos|eos|sep|unk|mask|eoi|boi|eoa|boa|lang)_(id|index)$|(image|video|audio|speech)_index$"
)


def rule_of(name: str) -> Rule | None:
    """Return the rule for a field, or None where its name says nothing."""
    return next((rule for rule in RULES if re.search(rule.pattern, name)), None)


def is_token(name: str) -> bool:
    """Say whether a field holds the number of a token of the vocabulary."""
    return bool(re.search(_TOKEN, name))


def is_numbers(item: Any) -> bool:
    """Say whether ``item`` is a list of numbers that is not empty."""
    return isinstance(item, (list, tuple)) and bool(item) and all(type(part) in (int, float) for part in item)


def renumbered(value: Sequence[int], layers: int, before: int | None) -> list[int]:
    """Return numbers of layers in a model of ``layers`` layers, which had ``before``: as many of them, where it has.

    Args:
        value: Numbers of layers, or of hidden states, of which there is one more.
        layers: Depth of the tiny model.
        before: Depth of the whole model, where it is known.
    """
    distinct = sorted(set(value))
    if distinct[0] < 0 or len(distinct) > layers:
        inside = [max(item, -layers) if item < 0 else min(item, layers - 1) for item in value]
        return list(dict.fromkeys(inside))
    top = layers if distinct[-1] == before else layers - 1
    first = top - len(distinct) + 1 if distinct[-1] >= layers else None
    return [item if first is None else first + distinct.index(item) for item in value]
