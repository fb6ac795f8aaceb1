"""Tiny configurations of transformers, made from the defaults of a configuration class by the meaning of its fields."""

from __future__ import annotations

import copy
import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
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

_TOKEN = re.compile(r"(_token_id|_token_index|_id|_index)$")
_KNOWN_TOKENS = {"pad": 0, "bos": 1, "eos": 2, "decoder_start": 3, "sep": 4, "cls": 5, "mask": 6, "unk": 7}

# (pattern of the field's name, value); the first that matches decides. None keeps the default.
_RULES: Sequence[tuple[str, int | None]] = (
    (r"vocab_size$|^vocab_size|_vocab_size|^num_embeddings$|^n_vocab", VOCABULARY),
    (r"^type_vocab_size$|seed|_version$|num_labels|^num_channels$|^in_channels$|^in_chans$|_loss_|_cost$", None),
    (r"layer_offset$", 1),
    (r"stride|^padding$|kernel|_padding$|dilation|^groups$|pretraining_tp|_offset$|temporal_patch|merge_size", None),
    (r"^mamba_n_heads$|^mamba_num_heads$|^ssm_num_heads$", 2 * HEADS),
    (r"num_key_value_heads$|num_kv_heads$|kv_heads$|^kv_n_heads$|num_key_value_groups", KEY_HEADS),
    (r"linear_num_key_heads|index_n_heads|num_global_key_value_heads", KEY_HEADS),
    (r"attention_heads$|num_heads$|^n_heads?$|num_attn_heads|_n_heads$|resampler_heads|linear_num_value_heads", HEADS),
    (r"head_dim$|^dim_head$|d_head$|_dim_head$|^d_kv$|dim_per_head|attention_head_size|head_size$", HEAD_WIDTH),
    (r"mamba_d_ssm", 2 * WIDTH),
    (r"kv_channels|lora_rank|^rotary_dim$|_rank$|head_width", HEAD_WIDTH),
    (r"shared_experts?$|^num_shared_experts$|n_shared|expert_num_shared|first_k_dense|moe_layer_start|num_dense", 1),
    (r"_layers?$|^layers$|^depth$|num_[a-z_]*(layers|blocks)$|_depth$|_num_blocks$|^n_block$", LAYERS),
    (r"experts_per_tok|expert_top_?k|moe_k$|^top_k(_experts)?$|moe_top_?k|num_selected_experts|topk_experts", CHOSEN),
    (r"num_experts$|n_routed_experts|num_local_experts|^moe_num_experts|^num_.*_experts$|num_zero_experts", EXPERTS),
    (r"^n_group$|^topk_group$|^num_expert_group", 1),
    (r"period$|_interval$|sparse_step$|_frequency$|every_n|sliding_window_pattern|_freq$", 2),
    (r"intermediate|ffn|inner|mlp_(dim|hidden)|^d_ff$|feed_?forward|ff_dim|fc_dim|^mlp_size", INNER),
    (r"max_position|n_positions|max_seq|^max_length$|^n_ctx$|max_text_len|max_pos_emb|^seq_length", POSITIONS),
    (r"max_source_positions|max_target_positions", POSITIONS // 2),
    (r"sliding_window|attention_window|local_attention|^local_window|attention_chunk_size|block_size", 8),
    (r"window_size$", 4),
    (r"^(mamba_)?(d_)?state(_size|_dim)?$|ssm_state|mamba_d_state|d_state", HEAD_WIDTH),
    (r"chunk_size$|chunk_length$", 8),
    (r"mel_bins|num_mels|feature_size|^n_mels|mel_filters|input_feat_per_channel|mel_dim|^model_in_dim$", HEAD_WIDTH),
    (r"num_queries|num_query_tokens|n_latents|num_latents|latent_query_num|query_length|num_learnable", 8),
    (r"mm_tokens_per_image|image_seq_length|num_image_tokens|image_seq_len|video_seq", None),
    (r"relative_attention_num_buckets|num_buckets|max_distance|_buckets$|rel_pos_bins|rel_2d_pos_bins", None),
    (r"codebook_size|num_quantizers|num_codebooks|num_centroids|codevector", None),
    (r"hidden_size|hidden_dim|d_model|n_embd|embed(ding)?_(dim|size)|^dim$|^width$|^emb_dim$|decoder_width", WIDTH),
    (r"proj(ection)?_(dim|size)|out(put)?_(hidden_size|dim|size)|latent_dim|_hidden$|^output_channels", WIDTH),
    (r"_groups$", WIDTH),
    (r"_dim$|_size$|_channels$|_units$|_width$|_features$|num_filters|base_channels", WIDTH),
)  # fmt: skip


# What some classes leave open and their models need.
_OPEN = {
    "vocab_size": VOCABULARY, "num_experts_per_tok": CHOSEN, "n_routed_experts": EXPERTS, "n_shared_experts": 1,
    "prediction_length": 8, "head_dim": HEAD_WIDTH,
}  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """One way to be tiny; where a model cannot be built or run in one, the next is tried.

    Attributes:
        image: Sides of an image, in patches.
        shrink_lists: Whether the widths of stages shrink with the rest.
        inner: Width of feed-forward layers.
        heads: Whether numbers of heads shrink.
        decoder: Whether a model that can be encoder or decoder is told to be a decoder.
    """

    image: int = 4
    shrink_lists: bool = True
    inner: int = INNER
    heads: bool = True
    decoder: bool = False


VARIANTS = (
    Variant(), Variant(shrink_lists=False), Variant(image=8), Variant(image=8, shrink_lists=False),
    Variant(inner=WIDTH), Variant(heads=False), Variant(heads=False, shrink_lists=False), Variant(decoder=True),
)  # fmt: skip


def tiny_config(kind: type[Any], variant: Variant = VARIANTS[0]) -> Any:
    """Return a tiny configuration of a configuration class of transformers.

    Raises:
        Exception: Whatever the class raises where the values do not fit together.
    """
    default = kind()
    return _shrunk(default, None, _Scale(default, variant))


class _Scale:
    """What must agree over a whole tree of configurations: the factor of stage widths, and token ids by name."""

    def __init__(self, config: Any, variant: Variant) -> None:
        self.variant = variant
        widths = [width for part in parts(config) for width in _stage_widths(part)]
        self.factor = max(1.0, min(widths, default=STAGE) / STAGE) if variant.shrink_lists else 1.0
        self.tokens: dict[str, int] = {}

    def token(self, name: str) -> int:
        """Return the id of a special token, the same wherever the name occurs."""
        stem = _TOKEN.sub("", name)
        if stem in _KNOWN_TOKENS:
            return _KNOWN_TOKENS[stem]
        return self.tokens.setdefault(stem, len(_KNOWN_TOKENS) + 2 + len(self.tokens))

    def stage(self, width: float) -> int:
        """Return the width of a stage: a multiple of 8 where it was one."""
        small = width / self.factor
        return max(8, round(small / 8) * 8) if width >= 8 and self.factor > 1 else max(1, round(small))


def parts(config: Any) -> Iterator[Any]:
    """Yield a configuration and every one inside it."""
    yield config
    for item in vars(config).values():
        if _is_config(item):
            yield from parts(item)


def _is_config(item: Any) -> bool:
    return hasattr(item, "to_dict") and hasattr(item, "model_type")


def _stage_widths(config: Any) -> list[float]:
    found: list[float] = []
    for name, item in vars(config).items():
        if re.search(_STAGE_LISTS, name) and _is_numbers(item):
            found += [width for width in item if width >= STAGE]
    if _is_numbers(getattr(config, "depths", None)):
        found += [width for width in (getattr(config, "embed_dim", None),) if isinstance(width, int)]
    return found


_STAGE_LISTS = (
    r"hidden_sizes$|embed_dims?$|encoder_in_channels|embed_dim$|^dims$|embedding_dims|stage_.*channels|^layer_dims"
)


def _is_numbers(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and bool(item) and all(type(part) in (int, float) for part in item)


def _shrunk(config: Any, plain: Any, scale: _Scale) -> Any:
    """Return a configuration of the same class with every field small; ``plain`` is what the class itself would say."""
    fields = {field.name: field for field in dataclasses.fields(config)} if dataclasses.is_dataclass(config) else {}
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if not field.init:
            continue
        given = field.default
        if given is dataclasses.MISSING:
            given = field.default_factory() if field.default_factory is not dataclasses.MISSING else None
        now = _read(config, name)
        if now is None and name in _OPEN:
            values[name] = _OPEN[name]
        elif _is_config(now):
            values[name] = _shrunk(now, _plain(type(now)), scale)
        elif isinstance(now, dict) and given is None and name.endswith("rope_parameters"):
            values[name] = _rope(now, config)
        elif given is not None:  # what a class leaves open it works out from the rest
            small = _small(name, now, config, scale)
            if small is not _KEEP:
                values[name] = small
        elif now is not None and plain is not None and _read(plain, name) != now:
            small = _small(name, now, config, scale)  # the configuration around it has set this
            values[name] = now if small is _KEEP else small
    values.update(_geometry(config, values, scale))
    if "use_cache" in fields:
        values["use_cache"] = False
    if scale.variant.decoder and "is_decoder" in fields:
        values["is_decoder"] = True
    return type(config)(**values)


def _read(config: Any, name: str) -> Any:
    try:
        return getattr(config, name, None)
    except Exception:  # a field that differs from layer to layer may be read by layer only
        return vars(config).get(name)


def _plain(kind: type[Any]) -> Any:
    try:
        return kind()
    except Exception:  # a class that needs arguments has no defaults of its own
        return None


_KEEP: Any = object()


def _small(name: str, value: Any, config: Any, scale: _Scale) -> Any:
    if isinstance(value, (bool, str, dict)) or value is None or isinstance(value, float):
        return _KEEP
    if isinstance(value, int):
        return _small_number(name, value, config, scale)
    if isinstance(value, (list, tuple)) and value:
        return _small_list(name, value, scale)
    return _KEEP


def _is_token(name: str) -> bool:
    return bool(
        re.search(r"token_(id|index)$|^(pad|bos|eos|sep|unk|mask|eoi|boi|eoa|boa|lang)_(id|index)$|_index$", name)
    ) and ("token" in name or "_index" in name or name.endswith("_id"))


def _small_number(name: str, value: int, config: Any, scale: _Scale) -> Any:
    if _is_token(name):
        return value if value < 0 else scale.token(name)
    if hasattr(config, "depths") and name in ("embed_dim", "embedding_size", "hidden_size", "num_features"):
        return scale.stage(value)
    small = next((small for pattern, small in _RULES if re.search(pattern, name)), None)
    if small is None or value <= 0:
        return _KEEP
    if name == "window_size" and value > WIDTH:  # in pixels, or in frames
        return _KEEP
    if small in (HEADS, KEY_HEADS) and "head" in name and not scale.variant.heads:
        return _KEEP
    return min(value, scale.variant.inner if small == INNER else small)


def _small_list(name: str, value: Sequence[Any], scale: _Scale) -> Any:
    kind: Any = type(value)
    if all(isinstance(item, str) for item in value):
        # Two layers: the first kind and, where there is one, another.
        if "type" not in name and "pattern" not in name:
            return _KEEP
        other = next((item for item in value if item != value[0]), value[0])
        return kind((value[0], other)[:LAYERS])
    if not _is_numbers(value):
        return _KEEP
    if re.search(r"^depths$|num_block|layers_per|_depths?$|num_layers$|block_repeats|stage_num", name):
        return kind(min(item, 2 if place in (0, len(value) - 2) else 1) for place, item in enumerate(value))
    if re.search(r"(index|indexes|indices|layers|layer)$", name):
        inside = [item if item < 0 else min(item, LAYERS - 1) for item in value]
        inside = [max(item, -LAYERS) for item in inside]
        return kind(dict.fromkeys(inside))
    if re.search(_STAGE_LISTS, name):
        return kind(scale.stage(item) for item in value)
    if re.search(r"heads$", name) and scale.variant.shrink_lists:
        return kind(2 if item > 1 else 1 for item in value)
    if re.search(r"conv_dim$|tdnn_dim|_hidden_sizes$|_channels$|_dims?$", name) and scale.variant.shrink_lists:
        return kind(min(item, WIDTH // 2) if item > 3 else item for item in value)
    return _KEEP


def _rope(parameters: dict[str, Any], config: Any) -> dict[str, Any]:
    """Shrink the sections of a multi-axis rotary embedding to the width of a tiny head; the rest stays."""
    small = copy.deepcopy(parameters)
    holders = [small, *[item for item in small.values() if isinstance(item, dict)]]
    if "mrope_section" in getattr(config, "ignore_keys_at_rope_validation", ()):
        small.setdefault("mrope_section", [1, 1, 1])  # the model's own default is that of a wide head
    for holder in holders:
        section = holder.get("mrope_section")
        if section:
            share = float(holder.get("partial_rotary_factor") or 1.0)
            holder["mrope_section"] = _split(max(int(HEAD_WIDTH * share) // 2, 1), section)
    return small


def _split(total: int, weights: Sequence[int]) -> list[int]:
    """Divide ``total`` in the proportions of ``weights``; the last takes what is left."""
    if len(weights) > total:
        return [1] * len(weights)
    shares = [max(1, math.floor(total * weight / sum(weights))) for weight in weights]
    shares[-1] += total - sum(shares)
    return shares


def _geometry(config: Any, values: dict[str, Any], scale: _Scale) -> dict[str, Any]:
    """Return the sizes of images and patches: few patches, and stages that still have pixels."""
    size = getattr(config, "image_size", None)
    if size is None or "image_size" not in {field.name for field in dataclasses.fields(config)}:
        return {}
    patch = getattr(config, "patch_size", None)
    patch = patch[0] if isinstance(patch, (list, tuple)) and patch else patch
    hierarchical = any(hasattr(config, name) for name in ("depths", "hidden_sizes", "strides", "embed_dims"))
    unit = patch if isinstance(patch, int) and not hierarchical else STAGE
    side = unit * scale.variant.image
    whole = size[0] if isinstance(size, (list, tuple)) else size
    side = min(side, whole) if isinstance(whole, int) else side
    return {"image_size": type(size)([side] * len(size)) if isinstance(size, (list, tuple)) else side}
