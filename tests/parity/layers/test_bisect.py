"""Bisection: the same first wrong layer as the full comparison, found by comparing fewer."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from parity import check
from parity.layers.run import LayerRun
from parity.selftest.faults.fault import all_faults
from parity.sides import load_layer
from parity.tolerance import LIMITS
from porters.pytorch.sources import recalibrate, seeded
from tests.parity.conftest import CONV_INPUTS, make
from zoo import store
from zoo.artifact import CARD, MANIFEST, open_artifact


class Deep(torch.nn.Module):
    """Blocks with shortcuts over one and over many of them, and a second output on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.convs = torch.nn.ModuleList(torch.nn.Conv2d(8, 8, 3, padding=1) for _ in range(10))
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(8) for _ in range(10))
        self.head = torch.nn.Linear(8, 12)

    def forward(self, x):
        x = first = self.stem(x)
        for place, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = x + torch.nn.functional.gelu(norm(conv(x)))
            if place == 4:
                half = x.mean((2, 3))
        return self.head((x + first).mean((2, 3))), half


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    model = seeded(Deep, 0)
    recalibrate(model, CONV_INPUTS, 0)
    return make(model, CONV_INPUTS, tmp_path_factory.mktemp("deep") / "artifact")


def with_fault(ported, to, fault, op, which):
    """Put a known fault into the ``which``-th node of a type."""
    to.mkdir()
    for name in (CARD, MANIFEST):
        shutil.copy(ported.artifact.path / name, to / name)
    model = ported.artifact.model()
    node = [node for node in model.graph if node.op_type == op][which]
    all_faults()[fault].inject(model.graph, node)
    for number, item in enumerate(model.graph):
        item.name = item.name or f"fault_{number}"
    store.save(model, to)
    return open_artifact(to, unsealed=True)


FAULTS = [
    ("epsilon", "BatchNormalization", 0),
    ("gelu-formula", "Gelu", 3),
    ("padding-shifted", "Conv", 10),
    ("bias-lost", "Gemm", 0),
]


@pytest.mark.parametrize(
    ("fault", "op", "which"),
    [pytest.param(*fault, marks=[pytest.mark.thorough] if place else []) for place, fault in enumerate(FAULTS)],
)
def test_bisection_finds_what_comparing_every_layer_finds(deep, tmp_path, fault, op, which):
    artifact = with_fault(deep, tmp_path / "faulty", fault, op, which)
    full = check(artifact, original=deep.original, layers=True, save=False)
    found = check(artifact, original=deep.original, bisect=True, save=False)
    assert full.first_divergence is not None
    assert found.first_divergence == full.first_divergence
    assert not found.holds
    assert [mistake.name for mistake in found.mistakes] == [mistake.name for mistake in full.mistakes]
    assert found.search is not None
    assert found.search.layers == len(full.layers)
    assert found.search.note == ""
    compared = found.search.compared_layers + found.search.compared_segments
    assert compared < len(full.layers) / 2
    assert len(found.layers) == found.search.compared_layers


def test_a_sound_port_needs_no_search(deep):
    result = check(deep.artifact, original=deep.original, bisect=True, save=False)
    assert result.holds
    assert result.search is None
    assert any("no layer was compared" in note for note in result.notes)


def test_segments_run_one_by_one_make_what_the_port_makes(deep):
    run = LayerRun(deep.artifact, deep.original, LIMITS["fp32"], load_layer)
    feed = {"x": np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)}
    segments = run.segments(feed)
    assert 4 <= len(segments) <= 12
    made = {value.name: array for value, array in segments.run(0, len(segments), {}, feed).items()}
    layered = run.run(feed)
    assert set(made) == set(layered.port)
    for name, array in layered.port.items():
        np.testing.assert_allclose(made[name], array, rtol=1e-4, atol=1e-5)


def test_part_of_the_layers_is_judged_on_the_originals_inputs(deep, tmp_path):
    artifact = with_fault(deep, tmp_path / "faulty", "epsilon", "BatchNormalization", 2)
    run = LayerRun(artifact, deep.original, LIMITS["fp32"], load_layer)
    feed = {"x": np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)}
    run.run(feed, only=range(run.count - 12, run.count))
    result = run.result()
    assert len(result.layers) == 12
    assert result.first_divergence is None, "what is wrong lies before them"
    assert all(layer.inherited < 1e-4 for layer in result.layers)


@pytest.mark.thorough
def test_a_fault_that_no_segment_shows_is_looked_for_everywhere(deep, tmp_path, monkeypatch):
    from parity.layers import bisect

    artifact = with_fault(deep, tmp_path / "faulty", "epsilon", "BatchNormalization", 4)
    monkeypatch.setattr(bisect, "ratio_of", lambda *arguments: 0.0)
    result = check(artifact, original=deep.original, bisect=True, save=False)
    assert result.first_divergence == check(artifact, original=deep.original, layers=True, save=False).first_divergence
    assert result.search is not None
    assert "every layer was compared" in result.search.note
    assert result.search.compared_layers == result.search.layers
