"""Masks by whose values a model decides shapes: all ones, and the card says so, where it cannot do without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from porters.porting import port_to
from porters.pytorch.capture import capture
from porters.pytorch.hub.call import Call, supply
from porters.pytorch.hub.masks import Whole, needed
from porters.pytorch.original import TorchOriginal, to_tensor
from zoo.inputs import InputSpec, sample

SPECS = [
    InputSpec("sound", "float32", ("batch", 6, 3)),
    InputSpec("sound_mask", "int64", ("batch", 6), "mask"),
    InputSpec("mask", "int64", ("batch", 3), "mask"),
]


class Packed(torch.nn.Module):
    """Packs what a mask marks of its samples, step by step."""

    def forward(self, sound: Any, sound_mask: Any, mask: Any = None) -> Any:
        lengths = sound_mask.sum(1).tolist()
        packed = torch.stack([row[at] for row, length in zip(sound, lengths, strict=True) for at in range(length)])
        return packed if mask is None else packed * mask[:1]


class Masked(torch.nn.Module):
    """Needs a mask too, and decides nothing by it."""

    def forward(self, sound: Any, sound_mask: Any, mask: Any = None) -> Any:
        return sound * sound_mask[:, :, None]


def original_of(model: torch.nn.Module) -> TorchOriginal:
    whole = needed(model, Call(SPECS))
    supply(model, Whole(whole, SPECS), whole)
    return TorchOriginal(model.eval(), "", "subject", "", SPECS, optional=["mask"], whole=whole)


def test_a_mask_without_which_the_model_does_not_run_is_needed() -> None:
    assert needed(Packed(), Call(SPECS)) == ["sound_mask"]
    free = [*SPECS[:1], InputSpec("sound_mask", "int64", ("batch", "frames"), "mask", sizes={"frames": 6})]
    assert needed(Packed(), Call(free)) == []


def test_a_mask_that_decides_shapes_is_all_ones() -> None:
    original = original_of(Packed())
    program, notes = capture(original, {})
    assert [spec.name for spec in original.inputs] == ["sound", "mask"]
    assert notes[-1] == "sound_mask is all ones: the model branches on its values"
    feed = {name: to_tensor(array) for name, array in sample(original.inputs, 0, 1, {"batch": 1}).items()}
    with torch.no_grad():
        wanted = Packed()(sound_mask=torch.ones(1, 6, dtype=torch.int64), **feed)
    torch.testing.assert_close(program.module()(**feed), wanted)


def test_a_mask_that_decides_nothing_stays_an_input() -> None:
    original = original_of(Masked())
    _, notes = capture(original, {})
    assert notes == []
    assert [spec.name for spec in original.inputs] == ["sound", "sound_mask", "mask"]


def test_the_mask_of_a_call_wins_over_the_one_of_ones() -> None:
    original = original_of(Packed())
    feed = sample(SPECS, 0, 1, {"batch": 2})
    feed["sound_mask"] = np.array([[1] * 6, [1] * 2 + [0] * 4])
    assert original.run(feed)["output"].shape == (8, 3)
    del feed["sound_mask"]
    assert original.run(feed)["output"].shape == (12, 3)


@pytest.mark.parametrize("name", ["Qwen3ASREncoder"])
def test_the_card_of_an_architecture_says_which_mask_is_all_ones(name: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from porters.source import SourceOptions
    from zoo.artifact import open_artifact

    result = port_to(f"transformers:{name}@tiny", tmp_path / "port", SourceOptions(), record_golden=False)
    assert result.fallback is False
    assert "input_features_mask is all ones: the model branches on its values" in result.notes
    assert [entry["name"] for entry in open_artifact(tmp_path / "port").card()["inputs"]] == ["input_features"]
