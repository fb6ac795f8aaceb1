"""A wrong layer is taken for the mistake that was made in it, and for none where nothing known explains it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch

from parity import check
from parity.corrections.correction import all_corrections
from parity.selftest.faults.fault import all_faults, looks_like
from porters.pytorch.sources import seeded
from tests.parity.conftest import make
from tests.parity.test_harness import attribute, change_epsilon, drop_residual, find, shift_padding, tanh_gelu
from zoo.inputs import InputSpec

FAULTS = [
    (change_epsilon, "epsilon"),
    (tanh_gelu, "gelu-formula"),
    (drop_residual, "residual-lost"),
    (shift_padding, "padding"),
]


@pytest.mark.parametrize(("fault", "name"), FAULTS, ids=lambda item: getattr(item, "__name__", None))
def test_the_mistake_is_named_and_its_correction_restores_parity(conv, tmp_path, fault, name):
    result = check(conv.copy(tmp_path / "faulty", fault), original=conv.original, save=False)
    assert not result.holds
    first = result.mistakes[0]
    assert first.name == name
    assert first.before > 3 >= first.after
    assert first.correction in result.diagnosis


def test_a_sound_port_has_no_mistake(conv):
    result = check(conv.artifact, original=conv.original, layers=True, cases=1, save=False)
    assert result.holds
    assert result.mistakes == []


def test_what_nothing_known_explains_is_not_explained(conv, tmp_path):
    def odd(model):
        """A GELU that is neither formula: its own operand is bent first."""
        node = find(model, "Gelu")
        bent = f"{node.input[0]}_bent"
        step = ir.to_proto(ir.node("Sin", [ir.Value(name=node.input[0])], outputs=[ir.Value(name=bent)]))
        model.graph.node.insert(list(model.graph.node).index(node), step)
        node.input[0] = bent

    result = check(conv.copy(tmp_path / "faulty", odd), original=conv.original, save=False)
    assert not result.holds
    assert result.first_divergence is not None
    assert result.mistakes == []


class Recurrent(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(6, 8, batch_first=True)
        self.gru = torch.nn.GRU(8, 8, batch_first=True)

    def forward(self, x):
        return self.gru(self.lstm(x)[0])[0]


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    specs = [InputSpec("x", "float32", ("batch", 12, 6))]
    return make(seeded(Recurrent, 0), specs, tmp_path_factory.mktemp("recurrent") / "a")


def reset_before(model):
    node = find(model, "GRU")
    attribute(node, "linear_before_reset").i = 0


def from_the_end(model):
    node = find(model, "LSTM")
    found = [item for item in node.attribute if item.name == "direction"]
    for item in found:
        node.attribute.remove(item)
    node.attribute.append(ir.serde.serialize_attribute(ir.AttrString("direction", "reverse")))


@pytest.mark.parametrize(
    ("fault", "name"),
    [(reset_before, "reset-after"), (from_the_end, "direction")],
    ids=lambda item: getattr(item, "__name__", None),
)
def test_mistakes_in_recurrent_layers_are_named(recurrent, tmp_path, fault, name):
    result = check(recurrent.copy(tmp_path / "faulty", fault), original=recurrent.original, save=False)
    assert not result.holds
    assert [item.name for item in result.mistakes][:1] == [name]


def test_every_correction_says_what_it_corrects_and_faults_look_like_known_ones():
    corrections = all_corrections()
    names = {item.name for item in corrections}
    assert len(names) == len(corrections) > 40
    known = {fault for fault in all_faults() if looks_like(fault) & names}
    assert len(known) > 45


def test_upstreams_own_tensor_is_found(conv, tmp_path):
    from safetensors.numpy import load_file, save_file

    artifact = conv.copy(tmp_path / "faulty", lambda model: None)
    file = artifact.path / "model.safetensors"
    tensors = load_file(file)
    rng = np.random.default_rng(0)
    name = next(name for name in tensors if "body" in name and tensors[name].ndim == 4)
    tensors[name] = rng.permutation(tensors[name], axis=0)
    save_file(tensors, file)
    result = check(artifact, original=conv.original, save=False)
    assert not result.holds
    assert "upstream-tensor" in {item.name for item in result.mistakes}
    assert name in result.diagnosis
