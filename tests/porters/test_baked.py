"""Sizes of the example that end up in the graph are found by porting with others."""

from __future__ import annotations

import pytest

from porters.porting import port
from zoo.inputs import InputSpec

torch = pytest.importorskip("torch")
nn = torch.nn


class Baked(nn.Module):
    """Takes the batch out of torch's sight."""

    def forward(self, x):
        rows = int(str(x.shape[0])) if not torch.compiler.is_exporting() else x.shape[0].node.hint
        return x * torch.tensor(1.0 / rows) + x.sum(1, keepdim=True)


class Free(nn.Module):
    def forward(self, x):
        return x / x.shape[0] + x.sum(1, keepdim=True)


SPECS = [InputSpec("x", "float32", ("batch", 5))]


def test_a_size_that_was_baked_in_is_named_with_its_place(tmp_path):
    notes = port(Baked(), SPECS, tmp_path / "a", twice=True).card()["port"]["notes"]
    assert any(note.startswith("baked in:") and "test_baked.py" in note and "0.5" in note for note in notes)


def test_what_is_free_is_not_reported(tmp_path):
    assert port(Free(), SPECS, tmp_path / "a", twice=True).card()["port"]["notes"] == []


def test_nothing_is_compared_unless_asked(tmp_path):
    assert port(Baked(), SPECS, tmp_path / "a").card()["port"]["notes"] == []
