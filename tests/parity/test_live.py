"""``parity.check`` of live objects: two modules, a module and an ONNX file, a module and an artifact."""

from __future__ import annotations

import copy

import pytest
import torch

import parity
from porters.pytorch.sources import seeded
from tests.parity.conftest import CONV_INPUTS, SmallConvNet
from zoo.errors import UserError
from zoo.inputs import InputSpec


@pytest.fixture(scope="module")
def model():
    return seeded(SmallConvNet, 0)


def mended(model, change):
    other = copy.deepcopy(model)
    change(other)
    return other


def test_a_model_and_its_copy_are_the_same(model):
    result = parity.check(model, copy.deepcopy(model), inputs=CONV_INPUTS)
    assert result.holds, result.diagnosis
    assert result.executor == "live"
    assert (result.cases, result.truth) == (4, "float64")
    assert result.probes > 0


def test_a_model_and_one_with_another_epsilon_are_not(model):
    other = mended(model, lambda other: setattr(other.norm, "eps", 1e-3))
    result = parity.check(model, other, inputs=CONV_INPUTS)
    assert not result.holds
    assert "times as far from the truth" in result.diagnosis


def test_an_onnx_file_of_another_exporter_is_compared_by_place(model, tmp_path):
    file = tmp_path / "theirs.onnx"
    example = torch.zeros(2, 3, 16, 16)
    torch.onnx.export(
        model, (example,), file, input_names=["picture"], output_names=["scores"], dynamo=True, verbose=False,
        dynamic_shapes={"x": {0: torch.export.Dim.DYNAMIC}},
    )  # fmt: skip
    result = parity.check(model, file, inputs=CONV_INPUTS)
    assert result.holds, result.diagnosis
    assert {output.run for output in result.outputs} <= {"optimised", "unoptimised"}
    assert any("by place" in note for note in result.notes)
    other = mended(model, lambda other: other.head.weight.data.mul_(1.001))
    assert not parity.check(other, file, inputs=CONV_INPUTS).holds


def test_examples_give_the_signature_and_an_artifact_is_checked_as_one(conv, tmp_path):
    assert parity.check(conv.original, conv.artifact.path, save=False).holds
    assert parity.check(conv.artifact, original=conv.original, save=False).holds
    from tests.parity.test_harness import tanh_gelu

    faulty = conv.copy(tmp_path / "faulty", tanh_gelu)
    result = parity.check(conv.original.model, faulty, save=False)
    assert not result.holds
    assert result.mistakes[0].name == "gelu-formula"


def test_models_with_other_outputs_are_refused(model):
    class Two(torch.nn.Module):
        def forward(self, x):
            return x.mean(), x.sum()

    with pytest.raises(UserError, match="equally many outputs"):
        parity.check(model, Two(), inputs=[InputSpec("x", "float32", (2, 3, 16, 16))])
