"""Tiny transformers of every kind: found, configured, called, ported, and held against the original."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parity.harness import check
from porters.porting import port_to
from porters.pytorch.hub.call import _counts
from porters.pytorch.hub.modalities import Placeholder
from porters.pytorch.known_values import known_values
from porters.pytorch.sources import need
from porters.source import SourceOptions, open_source
from zoo.artifact import open_artifact
from zoo.errors import UserError
from zoo.inputs import InputSpec, probes, sample

ARCHITECTURES = {
    "BertForQuestionAnswering": ["input_ids", "attention_mask", "token_type_ids"],
    "Qwen3ForCausalLM": ["input_ids", "attention_mask"],
    "MixtralForCausalLM": ["input_ids", "attention_mask"],
    "MambaForCausalLM": ["input_ids", "attention_mask"],
    "T5ForConditionalGeneration": ["input_ids", "attention_mask", "decoder_input_ids"],
    "LayoutLMForMaskedLM": ["input_ids", "attention_mask", "token_type_ids", "bbox"],
    "ViTForImageClassification": ["pixel_values"],
    "RegNetForImageClassification": ["pixel_values"],
    "CLIPModel": ["pixel_values", "input_ids", "attention_mask"],
    "LlavaForConditionalGeneration": ["pixel_values", "input_ids", "attention_mask"],
    "Qwen2VLForConditionalGeneration": [
        "pixel_values", "input_ids", "attention_mask", "mm_token_type_ids", "position_ids",
    ],
    "Wav2Vec2ForCTC": ["input_values", "attention_mask"],
    "ParakeetEncoder": ["input_features", "attention_mask"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# One of text with experts, one of images; the others at length, and hundreds in `zooport sweep`.
QUICK = ("BertForQuestionAnswering", "MixtralForCausalLM", "ViTForImageClassification")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.thorough]) for name in ARCHITECTURES]
)
def test_a_tiny_architecture_is_ported_and_holds(name: str, tmp_path: Path) -> None:
    result = port_to(f"transformers:{name}@tiny", tmp_path / "port", SourceOptions(), record_golden=False)
    artifact = open_artifact(tmp_path / "port")
    assert result.fallback is False
    assert [entry["name"] for entry in artifact.card()["inputs"]] == ARCHITECTURES[name]
    verdict = check(artifact)
    assert verdict.holds, verdict.diagnosis


def test_values_that_decide_shapes_are_constants_of_the_original_and_the_card_says_so(tmp_path: Path) -> None:
    result = port_to(
        "transformers:Qwen2VLForConditionalGeneration@tiny", tmp_path / "port", SourceOptions(), record_golden=False
    )
    assert open_artifact(tmp_path / "port").card()["constants"] == {"image_grid_thw": [[1, 4, 4]]}
    assert any("image_grid_thw is fixed to [[1, 4, 4]]" in note for note in result.notes)


def test_a_tiny_configuration_is_small_all_the_way_down() -> None:
    original = open_source("transformers:LlavaForConditionalGeneration@tiny")
    config: Any = original.model.config  # type: ignore[attr-defined]
    for part in (config.text_config, config.vision_config):
        assert (part.num_hidden_layers, part.hidden_size) == (2, 64)
    assert config.text_config.vocab_size == 256
    text = next(spec for spec in original.inputs if spec.name == "input_ids")
    # Sixteen patches, each of which has its place in the text; no ordinary token is taken for one.
    assert text.prefix == (config.image_token_id,) * 16
    assert text.low > config.image_token_id


def test_the_same_seed_gives_the_same_tiny_weights() -> None:
    first, second, other = (
        open_source("transformers:GPT2LMHeadModel@tiny", SourceOptions(seed=seed)).parameters() for seed in (0, 0, 1)
    )
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_every_type_of_model_is_listed_once_with_an_architecture_that_is_there() -> None:
    from porters.pytorch.hub.catalogue import list_references

    transformers = need("transformers", "text")
    references = list_references()
    names = [name for name, _ in references]
    assert len(references) > 400
    assert len(set(names)) == len(names)
    assert ("LlamaForCausalLM@tiny", "llama") in references
    known = set(dir(transformers))
    assert all(name.removesuffix("@tiny") in known for name in names)


def test_an_architecture_that_is_not_there_gets_near_names() -> None:
    with pytest.raises(UserError) as caught:
        open_source("transformers:BertForQuestionAnswerin@tiny")
    assert "BertForQuestionAnswering" in str(caught.value)


def test_a_prefix_stands_at_the_head_of_every_row_and_of_every_probe() -> None:
    spec = InputSpec(
        "ids", "int64", ("batch", "sequence"), "tokens", low=8, high=20, sizes={"sequence": 9}, prefix=(3, 5)
    )
    feeds = [sample([spec], 0), *probes([spec], 0).values()]
    for feed in feeds:
        assert feed["ids"][:, :2].tolist() == [[3, 5]] * len(feed["ids"])
        assert (feed["ids"][:, 2:] >= 8).all()
    assert InputSpec.from_card(spec.to_card()) == spec


def test_boxes_have_their_corners_in_order() -> None:
    boxes = sample([InputSpec("bbox", "int64", ("batch", 50, 4), "boxes", high=100)], 0)["bbox"]
    assert (boxes[..., 2:] >= boxes[..., :2]).all()


# -- values that torch.export does not follow ---------------------------------------------------------------------


class Cropped(torch.nn.Module):
    """Takes a size out of a buffer, changes the buffer's copy in place, and branches on it."""

    def __init__(self, spoil: bool = False) -> None:
        super().__init__()
        self.register_buffer("size", torch.tensor([3, 2]))
        self.spoil = spoil

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = self.size.clone()  # type: ignore[operator]
        size[0] = size[0] - 1
        if self.spoil:
            size[1:] = x[0, 0].long()
        height, width = size.tolist()
        return x[:height, :width] * 2 if size[0] == 2 else x


def test_what_comes_from_a_buffer_is_known_to_the_export() -> None:
    model = Cropped().eval()
    x = torch.randn(5, 4)
    with pytest.raises(Exception, match=r"data-dependent|unbacked|u0"):
        torch.export.export(model, (x,), strict=False)
    with known_values(model):
        program = torch.export.export(model, (x,), strict=False)
    y = torch.randn(5, 4)
    assert torch.equal(program.module()(y), model(y))
    assert not model._forward_pre_hooks


def test_what_an_input_was_written_into_is_not_known() -> None:
    model = Cropped(spoil=True).eval()
    with known_values(model), pytest.raises(Exception, match=r"data-dependent|unbacked|u0|guard"):
        torch.export.export(model, (torch.ones(5, 4),), strict=False)


class Merging(torch.nn.Module):
    """Puts five features in the place of a single placeholder token, as long as it is not traced."""

    def forward(self, input_ids: Any) -> Any:
        alone = (input_ids == 9).sum(dim=1) == 1
        return {"logits": torch.zeros(len(input_ids), input_ids.shape[1] + (4 if bool(alone.all()) else 0), 3)}


def test_a_model_that_repeats_a_placeholder_itself_gets_as_many_as_it_makes() -> None:
    text = InputSpec("input_ids", "int64", ("batch", "sequence"), "tokens", low=20, high=30, sizes={"sequence": 16})
    assert _counts(Merging(), Placeholder(9), [text], {}) == [5]
