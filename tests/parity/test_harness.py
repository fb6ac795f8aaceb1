"""The verdict: sound ports hold, faults fail, and it is said why."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from parity import check
from porters.pytorch.sources import seeded
from tests.parity.conftest import CONV_INPUTS, TEXT_INPUTS, make
from zoo.errors import UserError
from zoo.inputs import InputSpec


def find(model: onnx.ModelProto, op_type: str, index: int = 0) -> onnx.NodeProto:
    return [node for node in model.graph.node if node.op_type == op_type][index]


def attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    return next(item for item in node.attribute if item.name == name)


@pytest.mark.parametrize("name", ["conv", "transformer"])
def test_a_sound_port_holds(name, request):
    ported = request.getfixturevalue(name)
    result = check(ported.artifact, original=ported.original, save=False)
    assert result.holds, result.diagnosis
    assert result.truth == "float64"
    assert result.cases >= 4
    assert result.probes >= 2
    assert not result.guards
    for output in result.outputs:
        if output.budget is not None:
            assert 0 < output.budget.ratio <= output.budget.limit == 3.0
            assert output.power is not None
            assert output.power.decides
            assert output.sqnr_db > 100
            assert output.cosine > 0.999999


def test_a_sound_port_holds_against_what_was_recorded(conv):
    result = check(conv.artifact, save=False)
    assert result.holds, result.diagnosis
    assert result.truth == "recorded"
    assert "live object" in " ".join(result.notes)


def test_every_executor_can_be_judged(conv):
    assert check(conv.artifact, on="openvino", original=conv.original, save=False).holds


def test_the_chips_numerics_have_a_budget_of_their_own(conv):
    result = check(conv.artifact, on="ascend310p3", original=conv.original, save=False)
    assert result.holds, result.diagnosis
    assert result.precision == "fp16_cube"
    wide = result.outputs[0].budget.original_error
    narrow = check(conv.artifact, original=conv.original, save=False).outputs[0].budget.original_error
    assert wide > 100 * narrow


def change_epsilon(model):
    attribute(find(model, "BatchNormalization"), "epsilon").f = 1e-3


def tanh_gelu(model):
    attribute(find(model, "Gelu"), "approximate").s = b"tanh"


def drop_residual(model):
    add = find(model, "Add")
    add.op_type = "Identity"
    del add.input[1]


def shift_padding(model):
    attribute(find(model, "Conv"), "pads").ints[:] = [2, 1, 0, 1]


def constant_output(model):
    gemm = find(model, "Gemm")
    gemm.op_type, gemm.input[:] = "Sub", [gemm.input[0], gemm.input[0]]
    gemm.attribute.clear()
    gemm.output[0], last = "dead", gemm.output[0]
    model.graph.node.append(onnx.helper.make_node("Slice", ["dead", "s0", "s1", "s2"], [last]))
    for name, value in (("s0", 0), ("s1", 10), ("s2", 1)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([value]), name))
    pads = onnx.numpy_helper.from_array(np.array([0, 0, 0, 2]), "s3")
    model.graph.initializer.append(pads)
    model.graph.node[-1].op_type, model.graph.node[-1].input[:] = "Pad", ["dead", "s3"]


@pytest.mark.parametrize("fault", [change_epsilon, tanh_gelu, drop_residual, shift_padding, constant_output])
def test_a_fault_in_the_graph_fails(conv, tmp_path, fault):
    artifact = conv.copy(tmp_path / "faulty", fault)
    result = check(artifact, original=conv.original, save=False)
    assert not result.holds
    assert result.diagnosis


@pytest.mark.parametrize("fault", [change_epsilon, tanh_gelu])
def test_recorded_golden_data_catch_faults_too(conv, tmp_path, fault):
    assert not check(conv.copy(tmp_path / "faulty", fault), save=False).holds


def test_a_lost_mask_fails(transformer, tmp_path):
    def lose(model):
        node = find(model, "Attention")
        del node.input[3:]

    result = check(transformer.copy(tmp_path / "faulty", lose), original=transformer.original, save=False)
    assert not result.holds


def test_one_changed_weight_is_named(conv, tmp_path):
    artifact = conv.copy(tmp_path / "faulty")
    weights = artifact.path / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-400] ^= 1  # one bit of one weight: far below what any output shows
    weights.write_bytes(data)
    result = check(artifact, original=conv.original, save=False)
    assert not result.holds
    assert [finding.guard for finding in result.guards] == ["weights"]
    assert "1 of" in result.guards[0].detail


def test_swapped_outputs_are_seen(transformer, tmp_path):
    def swap(model):
        first, second = model.graph.output
        kept = [second, first]
        del model.graph.output[:]
        model.graph.output.extend(kept)

    result = check(transformer.copy(tmp_path / "faulty", swap), original=transformer.original, save=False)
    assert "order" in {finding.guard for finding in result.guards}


def test_integer_outputs_must_be_equal(transformer, tmp_path):
    def smallest(model):
        find(model, "ArgMax").op_type = "ArgMin"

    result = check(transformer.copy(tmp_path / "faulty", smallest), original=transformer.original, save=False)
    verdicts = {output.name: output.verdict for output in result.outputs}
    assert verdicts == {"hidden": "pass", "best": "fail"}


class Blind(torch.nn.Module):
    """An output that hardly depends on its input."""

    def forward(self, x):
        return x.mean((1, 2, 3), keepdim=True).expand(-1, 1, 1, 64) * 1e-9 + torch.arange(64.0)


def lose_the_mean(model):
    find(model, "ReduceMean").op_type = "ReduceMax"


def test_an_output_without_power_leaves_the_verdict_to_the_layers(tmp_path):
    ported = make(seeded(Blind, 0), CONV_INPUTS, tmp_path / "blind")
    result = check(ported.artifact, original=ported.original, save=False)
    assert result.outputs[0].power.reason == "blind"
    assert any("decide nothing" in note for note in result.notes)
    assert (result.verdict, result.decided_by) == ("pass", "layers")
    faulty = check(ported.copy(tmp_path / "faulty", lose_the_mean), original=ported.original, save=False)
    assert not faulty.holds, "the outputs do not show it, the layer does"
    assert faulty.outputs[0].budget.ratio < 3
    assert "ReduceMax" in faulty.diagnosis


class Cancelling(torch.nn.Module):
    """A difference of nearly equal numbers: the original itself is far from its truth."""

    def forward(self, x):
        y = x.flatten(1)
        return ((y + 3e6) - y * 0.5 - 3e6)[:, :100] + y[:, :100] * 1e-3


def test_an_ill_conditioned_original_is_called_so(tmp_path):
    ported = make(seeded(Cancelling, 0), CONV_INPUTS, tmp_path / "ill")
    result = check(ported.artifact, original=ported.original, save=False)
    assert result.outputs[0].power.reason == "ill-conditioned"
    assert (result.verdict, result.decided_by) == ("pass", "layers")

    def halve_otherwise(model):
        find(model, "Sub").op_type = "Add"

    faulty = check(ported.copy(tmp_path / "faulty", halve_otherwise), original=ported.original, save=False)
    assert not faulty.holds
    assert faulty.decided_by == "outputs", "they are farther off than the layers explain"


def test_nothing_to_check_against_is_the_users_fault(conv, tmp_path):
    artifact = conv.copy(tmp_path / "bare")
    (artifact.path / "golden.safetensors").unlink()
    with pytest.raises(UserError, match="nothing to check against"):
        check(artifact, save=False)


class CastsInside(torch.nn.Module):
    """A norm that goes to float32 inside, as Llama's does."""

    def forward(self, x):
        wide = x.to(torch.float32)
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype) + 0 * x


def test_the_truth_promotes_casts_inside_the_model():
    from porters.pytorch.sources import open_live
    from porters.source import SourceOptions

    specs = [InputSpec("x", "float32", ("batch", 64))]
    original = open_live(CastsInside().eval(), SourceOptions(specs))
    x = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    truth = original.run({"x": x}, "float64")["output"]
    wide = x.astype(np.float64)
    expected = wide / np.sqrt((wide**2).mean(-1, keepdims=True) + 1e-6)
    assert truth.dtype == np.float64
    assert np.abs(truth - expected).max() < 1e-14


def test_the_result_is_saved_and_the_seal_holds(conv, tmp_path):
    from zoo.artifact import verify

    artifact = conv.copy(tmp_path / "saved")
    result = check(artifact, original=conv.original)
    saved = artifact.result("parity")
    assert saved["verdict"] == result.verdict == "pass"
    assert saved["outputs"][0]["budget"]["ratio"] == result.outputs[0].budget.ratio
    assert verify(artifact.path) == []


class NamesCollide(torch.nn.Module):
    """Weights that are called like the input and the output."""

    def __init__(self) -> None:
        super().__init__()
        self.x = torch.nn.Parameter(torch.randn(16))
        self.output = torch.nn.Parameter(torch.randn(16))

    def forward(self, x):
        return torch.tanh(x * self.x) * self.output


def test_weights_may_be_called_like_inputs_and_outputs(tmp_path):
    ported = make(seeded(NamesCollide, 0), CONV_INPUTS, tmp_path / "collide")
    result = check(ported.artifact, original=ported.original, save=False)
    assert result.holds, result.diagnosis
    assert [output.name for output in result.outputs] == ["output"]


class Masked(torch.nn.Module):
    """Logits with the lowest number of their dtype where there is padding, as Splinter's."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(50, 16)
        self.dense = torch.nn.Linear(16, 1)

    def forward(self, input_ids, attention_mask):
        logits = self.dense(self.words(input_ids)).squeeze(-1)
        return logits + (1 - attention_mask) * torch.finfo(logits.dtype).min


def test_the_lowest_number_of_a_dtype_is_no_measure_of_the_rest(tmp_path):
    ported = make(seeded(Masked, 0), TEXT_INPUTS, tmp_path / "masked")
    result = check(ported.artifact, original=ported.original, save=False)
    assert result.holds, result.diagnosis
    assert result.outputs[0].budget.original_error < 1

    def lose(model):
        find(model, "Sub").op_type = "Add"

    assert not check(ported.copy(tmp_path / "faulty", lose), original=ported.original, save=False).holds
