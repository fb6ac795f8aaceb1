"""Seeded weights of tiny models keep the signal alive, and keep what was strong enough."""

from __future__ import annotations

import pytest
import torch

from porters.pytorch.hub.tiny import tiny_config
from porters.pytorch.seeding import keep_variance
from porters.pytorch.sources import need, seeded
from porters.pytorch.transformers_models import built


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (torch.nn.Linear(64, 96), (256, 64)),
        (torch.nn.Conv2d(16, 32, 3), (4, 16, 12, 12)),
        (torch.nn.Conv1d(16, 16, 3, groups=4), (16, 16, 40)),
        (torch.nn.ConvTranspose2d(16, 32, 2, stride=2, groups=2), (4, 16, 8, 8)),
    ],
    ids=["linear", "convolution", "grouped", "transposed"],
)
def test_a_quiet_layer_passes_on_the_variance_it_gets(layer: torch.nn.Module, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
        keep_variance(layer)
        spread = float(layer(torch.randn(shape, generator=generator)).std())
    assert spread == pytest.approx(1.0, rel=0.15)


def test_strong_tied_and_other_weights_are_left_alone() -> None:
    strong = torch.nn.Linear(8, 8)
    torch.nn.init.normal_(strong.weight, std=1.0)
    words = torch.nn.Embedding(50, 16)
    head = torch.nn.Linear(16, 50, bias=False)
    head.weight = words.weight
    norm, table = torch.nn.LayerNorm(8), torch.nn.Embedding(50, 16)
    torch.nn.init.normal_(table.weight, std=0.02)
    model = torch.nn.ModuleList([strong, words, head, norm, table])
    before = {name: item.clone() for name, item in model.state_dict().items()}
    keep_variance(model)
    keep_variance(model)  # what is strong enough now stays
    assert all(torch.equal(item, before[name]) for name, item in model.state_dict().items())


def test_a_tiny_configuration_gets_weights_that_suit_its_widths() -> None:
    transformers = need("transformers", "text")
    model = seeded(lambda: built(transformers.MixtralForCausalLM, tiny_config(transformers.MixtralConfig)), 0)
    layer = model.model.layers[0]
    assert float(layer.self_attn.q_proj.weight.std()) == pytest.approx(64**-0.5, rel=0.05)
    assert float(layer.mlp.experts.down_proj.std()) == pytest.approx(128**-0.5, rel=0.05)


class Gated(torch.nn.Module):
    """A layer behind a gate that is shut when the model is new, and a temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 4)
        self.gate = torch.nn.Parameter(torch.zeros(1))
        self.temperature = torch.nn.Parameter(torch.tensor(2.0))


def test_a_gate_that_is_shut_is_opened_and_another_number_stays() -> None:
    model = seeded(Gated, 0)
    assert float(model.gate) != 0.0
    assert float(model.temperature) == 2.0
