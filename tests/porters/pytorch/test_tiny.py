"""Tiny configurations and signatures of transformers: one architecture for each way of finding one that runs."""

from __future__ import annotations

from typing import Any

import pytest

from porters.pytorch.hub import documented
from porters.pytorch.hub.fields import Kind, renumbered, rule_of
from porters.pytorch.hub.missing import with_missing
from porters.pytorch.hub.tiny import VARIANTS, tiny_configs
from porters.pytorch.sources import need
from porters.source import open_source
from zoo.errors import UserError

# What makes it run, the architecture, and its inputs.
OPENED = {
    "a backbone hands on as many features as the head around it wants": (
        "DepthAnythingForDepthEstimation", ["pixel_values"],
    ),
    "as many stages as there are lists of stages": ("GLPNForDepthEstimation", ["pixel_values"]),
    "widths divided by one number": ("Mamba2ForCausalLM", ["input_ids", "attention_mask"]),
    "more layers": ("ZambaForCausalLM", ["input_ids", "attention_mask"]),
    "what a class leaves open is filled": ("EsmForMaskedLM", ["input_ids", "attention_mask"]),
    "a class lacks a field that its model reads": (
        "MoonshineStreamingForConditionalGeneration", ["input_values", "attention_mask", "decoder_input_ids"],
    ),
    "rotary embeddings for each kind of layers": ("CohereCompassForCausalLM", ["input_ids", "attention_mask"]),
    "segments that are no embeddings": (
        "PaliGemmaForConditionalGeneration", ["pixel_values", "input_ids", "attention_mask", "token_type_ids"],
    ),
    "the documentation says the shapes": (
        "DecisionTransformerModel", ["states", "actions", "rewards", "returns_to_go", "timesteps"],
    ),
    "samples times codebooks": ("MusicgenForCausalLM", ["input_ids"]),
    "a message names an argument": (
        "LxmertForQuestionAnswering", ["input_ids", "attention_mask", "token_type_ids", "visual_feats", "visual_pos"],
    ),
    "a message wants a length": ("Qwen3ASREncoder", ["input_features", "input_features_mask"]),
}  # fmt: skip


@pytest.mark.parametrize(
    "mechanism", [pytest.param(name, marks=[pytest.mark.thorough] if "lacks" in name else []) for name in OPENED]
)
def test_a_configuration_and_a_signature_are_found(mechanism: str) -> None:
    name, inputs = OPENED[mechanism]
    original = open_source(f"transformers:{name}@tiny")
    assert [spec.name for spec in original.inputs] == inputs
    assert sum(array.size for array in original.parameters().values()) < 5_000_000


def test_the_likeliest_answer_to_a_message_is_followed_up_first() -> None:
    shapes = {spec.name: spec.shape for spec in open_source("transformers:LxmertForQuestionAnswering@tiny").inputs}
    assert [len(shapes[name]) for name in ("visual_feats", "visual_pos")] == [3, 3]
    assert shapes["visual_feats"][:2] == shapes["visual_pos"][:2]


def test_divided_widths_keep_their_products() -> None:
    config: Any = open_source("transformers:Mamba2ForCausalLM@tiny").model.config  # type: ignore[attr-defined]
    default = type(config)()
    assert config.hidden_size * config.expand == config.num_heads * config.head_dim
    assert default.hidden_size // config.hidden_size == default.num_heads // config.num_heads > 1
    assert config.num_hidden_layers == 2


def test_what_the_configuration_around_a_backbone_sets_stays_set() -> None:
    kind = need("transformers", "text").DepthAnythingConfig
    _, config = next(tiny_configs(kind))
    backbone = config.backbone_config
    assert kind().backbone_config.reshape_hidden_states is backbone.reshape_hidden_states is False
    assert backbone.out_indices == [1, 2, 3, 4]
    assert len(backbone.out_indices) == len(config.neck_hidden_sizes)


@pytest.mark.parametrize("name", ["LagunaConfig", "Llama4TextConfig", "MuseSparkAudioConfig"])
def test_lists_with_an_entry_for_each_layer_are_as_long_as_the_model_is_deep(name: str) -> None:
    variant, config = next(tiny_configs(getattr(need("transformers", "text"), name)))
    depth = config.num_hidden_layers
    assert variant == VARIANTS[0]
    assert depth <= 4
    lists = {
        key: item
        for key, item in vars(config).items()
        if key in ("layer_types", "no_rope_layers", "num_attention_heads_per_layer", "depths", "hidden_sizes")
    }
    assert lists
    assert {len(item) for item in lists.values() if item is not None} == {depth}


def test_seeded_weights_have_enough_spread_for_the_input_to_decide_something() -> None:
    kind = need("transformers", "text").SamVisionConfig
    assert kind().initializer_range < 1e-6
    _, config = next(tiny_configs(kind))
    assert config.initializer_range == 0.02


def test_a_field_that_a_class_lacks_is_that_of_the_configuration_around_it_or_what_its_name_says() -> None:
    transformers = need("transformers", "text")
    config = transformers.T5Config(rope_parameters={"rope_type": "default", "rope_theta": 500.0})
    read = with_missing(config, lambda: (config.rope_theta, config.num_key_value_heads, config.hidden_size))
    assert read == (500.0, 2, 512)
    with pytest.raises(AttributeError, match="nothing_known"):
        with_missing(config, lambda: config.nothing_known)


def test_no_configuration_is_tried_twice() -> None:
    kind = need("transformers", "text").BertConfig
    said = [config.to_dict() for _, config in tiny_configs(kind)]
    assert len(said) > 1
    assert all(one not in said[:place] for place, one in enumerate(said))


@pytest.mark.parametrize(
    ("numbers", "layers", "before", "expected"),
    [
        ([9, 10, 11, 12], 4, 12, [1, 2, 3, 4]),
        ([2, 5, 8, 11], 4, 12, [0, 1, 2, 3]),
        ([24, 18], 2, None, [1, 0]),
        ([2, 5, 8, 11], 2, 12, [1]),
        ([-1, -4], 2, 12, [-1, -2]),
        ([0, 1], 2, 12, [0, 1]),
    ],
)
def test_numbers_of_layers_are_those_of_a_tiny_model(
    numbers: list[int], layers: int, before: int | None, expected: list[int]
) -> None:
    assert renumbered(numbers, layers, before) == expected


def test_sizes_that_a_message_wants_are_read() -> None:
    misfit = RuntimeError("mat1 and mat2 shapes cannot be multiplied (16x588 and 1176x64)")
    assert (588, 1176) in documented.sizes_in(misfit, 64)
    window = ValueError("expects `padded_length` to be a multiple of `n_window * 2` (100), but got 64.")
    assert documented.sizes_in(window, 64) == [(64, 100)]
    assert documented.sizes_in(ValueError("no sizes here"), 64) == []


def test_a_class_that_only_joins_others_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="no forward"):
        open_source("transformers:BarkModel@tiny")


@pytest.mark.parametrize("name", ["vocab_size", "text_vocab_size", "encoder_hash_byte_group_vocab"])
def test_a_vocabulary_is_known_by_the_name_of_its_size(name: str) -> None:
    rule = rule_of(name)
    assert rule is not None
    assert (rule.kind, rule.value) == (Kind.COUNT, 256)
