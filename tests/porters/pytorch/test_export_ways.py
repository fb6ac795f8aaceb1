"""What models of transformers hand to torch.export, and what is refused because no port can have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from parity.harness import check
from porters.porting import port_to
from porters.pytorch.eager_ways import eager_ways
from porters.pytorch.seeding import keep_variance
from porters.pytorch.sources import need
from porters.source import SourceOptions
from zoo.artifact import open_artifact
from zoo.errors import UserError
from zoo.inputs import InputSpec

IDS = InputSpec("ids", "int64", ("batch", "sequence"), "tokens", high=50, sizes={"sequence": 8})


class Caching(torch.nn.Module):
    """A decoder that returns its keys and values in the library's own class."""

    def __init__(self) -> None:
        super().__init__()
        transformers = need("transformers", "text")
        config = transformers.LlamaConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, vocab_size=50
        )
        self.decoder = transformers.LlamaModel(config)

    def forward(self, ids: torch.Tensor) -> dict[str, Any]:
        made = self.decoder(input_ids=ids, use_cache=True)
        return {"states": made.last_hidden_state, "cache": made.past_key_values}


def test_the_tensors_of_a_cache_are_outputs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    port_to(Caching().eval(), tmp_path / "port", SourceOptions([IDS]))
    artifact = open_artifact(tmp_path / "port")
    names = [entry["name"] for entry in artifact.card()["outputs"]]
    assert names == ["states", "cache_0", "cache_1", "cache_2", "cache_3"]
    assert check(artifact).holds


class Halved(torch.nn.Module):
    """Attention both ways over half the tokens that the library was asked a mask for."""

    def __init__(self) -> None:
        super().__init__()
        self.config = need("transformers", "text").BertConfig(hidden_size=8, num_attention_heads=2)
        self.config._attn_implementation = "sdpa"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        from transformers.masking_utils import create_bidirectional_mask

        mask = create_bidirectional_mask(config=self.config, inputs_embeds=x, attention_mask=None)
        half = x[:, ::2].contiguous()
        return torch.nn.functional.scaled_dot_product_attention(half, half, half, attn_mask=mask)


def test_a_mask_that_masks_nothing_is_left_out_as_in_eager_mode(tmp_path: Path) -> None:
    spec = InputSpec("x", "float32", ("batch", "length", 8), sizes={"length": 6})
    result = port_to(Halved(), tmp_path / "port", SourceOptions([spec]), record_golden=False)
    assert result.fallback is False
    assert open_artifact(tmp_path / "port").card()["inputs"][0]["shape"] == ["batch", "length", 8]


def test_a_mask_of_what_is_near_is_left_out_only_where_everything_is_near() -> None:
    from transformers import masking_utils

    with eager_ways():
        ignore = masking_utils._ignore_bidirectional_mask_sdpa
        assert ignore(None, 7, 8)
        assert not ignore(None, 8, 8)
        assert not ignore(torch.tensor([[True, False]]), 2)


@pytest.mark.parametrize("draw", [torch.rand_like, lambda x: x.clone().normal_(), torch.nn.functional.dropout])
def test_a_model_that_draws_random_numbers_is_refused_by_name(draw: Any, tmp_path: Path) -> None:
    class Noisy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + draw(x)

    with pytest.raises(UserError, match=r"draws random numbers[\s\S]*(aten|prims)\.\w+") as caught:
        port_to(Noisy(), tmp_path / "port", SourceOptions([InputSpec("x", "float32", ("batch", 4))]))
    assert "test_export_ways.py" in str(caught.value)


def test_weights_without_elements_stay() -> None:
    layer = torch.nn.Linear(4, 3)
    layer.weight = torch.nn.Parameter(torch.empty(0, 4))
    keep_variance(layer)
    assert layer.weight.shape == (0, 4)
