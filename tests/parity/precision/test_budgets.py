"""A verdict for each precision: sound ports hold, faults beyond its noise are caught, what is compared is said."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch

from parity import check
from parity.ratchet import rejudge
from parity.tolerance import LIMITS
from parity.verdict import precision_of, result_name
from porters.porter import PrecisionUnavailableError
from porters.pytorch.original import TorchOriginal
from porters.pytorch.rounded import rounding_mode
from porters.source import SourceOptions
from tests.parity.conftest import Ported
from tests.parity.test_harness import drop_residual, find, shift_padding
from zoo.errors import UserError
from zoo.record import dumps

BUDGETS = {
    ("ascend310p3", None): "fp16_cube",
    ("ascend310p3", "allow_fp32_to_fp16"): "fp16_cube",
    ("ascend310p3", "force_fp16"): "fp16",
    ("ascend910b3", "force_fp16"): "fp16",
    ("ascend310p3", "force_fp32"): "fp16_fp32_cube",
    ("ascend910b3", "must_keep_origin_dtype"): "hf32_cube",
    ("ascend310p3", "must_keep_origin_dtype"): "fp32",
    ("ascend910b3", "allow_fp32_to_bf16"): "bf16_cube",
    ("ascend310p3", "allow_mix_precision"): "fp16_mixed",
    ("ascend910b3", "mixed_bfloat16"): "bf16_mixed",
}


@pytest.mark.parametrize(("chip", "mode"), BUDGETS)
@pytest.mark.parametrize("name", ["conv", pytest.param("transformer", marks=pytest.mark.thorough)])
def test_sound_ports_hold_in_every_precision(name, chip, mode, request):
    ported = request.getfixturevalue(name)
    assert precision_of(chip, mode) == BUDGETS[chip, mode]
    result = check(ported.artifact, on=chip, mode=mode, original=ported.original, save=False)
    assert result.holds, result.diagnosis
    assert result.precision == BUDGETS[chip, mode]


def scaled_weight(model):
    """The weight of the last layer is twice what it was."""
    find(model, "Gemm").attribute.append(onnx.helper.make_attribute("alpha", 2.0))


@pytest.mark.parametrize("mode", ["force_fp16", "force_fp32", "allow_mix_precision"])
@pytest.mark.parametrize(
    "fault",
    [
        drop_residual,
        pytest.param(shift_padding, marks=pytest.mark.thorough),
        pytest.param(scaled_weight, marks=pytest.mark.thorough),
    ],
)
def test_faults_beyond_the_noise_are_caught(conv, tmp_path, mode, fault):
    artifact = conv.copy(tmp_path / "faulty", fault)
    result = check(artifact, on="ascend310p3", mode=mode, original=conv.original, save=False)
    assert not result.holds
    assert max(output.budget.ratio for output in result.outputs) > 10 * LIMITS[result.precision].ratio


def test_a_port_of_the_wrong_precision_does_not_hold(conv):
    """What bfloat16 loses is beyond the budget of float16: the noise is measured, not assumed."""
    original = Named(conv.original, {"fp16": "fp16", "bf16_cube": "fp16_cube"})
    result = check(conv.artifact, on="ascend910b3", mode="allow_fp32_to_bf16", original=original, save=False)
    assert not result.holds


class Named:
    """An original that answers in another precision than it is asked for."""

    def __init__(self, original: TorchOriginal, instead: dict[str, str]) -> None:
        self._original, self._instead = original, instead

    def __getattr__(self, name):
        return getattr(self._original, name)

    def run(self, feed, precision="own"):
        answer = self._instead.get(precision, precision)
        if answer == "none":
            raise PrecisionUnavailableError("nobody knows how")
        return self._original.run(feed, answer)


def test_what_is_compared_instead_is_said(conv):
    original = Named(conv.original, {"fp16_fp32_cube": "none"})
    result = check(conv.artifact, on="ascend310p3", mode="force_fp32", original=original, save=False)
    assert result.holds
    assert any("fp16_cube instead" in note for note in result.notes)
    with pytest.raises(UserError, match="no budget for this precision"):
        check(conv.artifact, on="ascend310p3", mode="force_fp16", original=Named(conv.original, {"fp16": "none"}))


def test_results_have_a_name_for_each_precision(conv, tmp_path):
    port = Ported(conv.copy(tmp_path / "copy"), conv.original)
    result = check(port.artifact, on="ascend310p3", mode="force_fp16", original=port.original)
    assert result_name("Ascend310P3", "force_fp16") == "parity-ascend310p3-force_fp16"
    saved = port.artifact.result("parity-ascend310p3-force_fp16")
    assert saved is not None
    again = rejudge(json.loads(dumps(saved)), LIMITS["fp16"])
    assert again.operators == result.operators
    assert again.holds


def test_a_precision_is_for_chips(conv):
    with pytest.raises(UserError, match="compiled for"):
        check(conv.artifact, on="onnxruntime", mode="force_fp16", original=conv.original, save=False)


class TestRoundedOriginals:
    """The original with a chip's rounding, against the rounding done by hand."""

    def run(self, function, precision, *tensors):
        with torch.no_grad(), rounding_mode(precision):
            return function(*tensors)

    def test_float16_everywhere(self):
        a, b = torch.tensor([1.0001, 60000.0]), torch.tensor([2.0003, 60000.0])
        result = self.run(lambda x, y: torch.exp((x + y) * 1e-5), "fp16", a, b)
        total = (a.half() + b.half()).float()
        product = (total * torch.tensor(1e-5)).half().float()
        assert torch.equal(result, product.exp().half().float())

    def test_in_place_and_views(self):
        x = torch.full((2, 2), 1.0001)

        def write(x):
            y = x.clone()
            y.view(4)[:2].add_(1.0)
            return y

        assert torch.equal(self.run(write, "fp16", x), torch.tensor([[2.0, 2.0], [1.0, 1.0]]))

    def test_the_lists_decide(self):
        layer = torch.nn.LayerNorm(4)
        x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
        weight = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
        grey_behind_white = self.run(lambda x: torch.exp(x @ weight), "fp16_mixed", x)
        assert torch.equal(grey_behind_white, grey_behind_white.half().float())
        behind_black = self.run(lambda x: torch.exp(layer(x @ weight)), "fp16_mixed", x)
        assert not torch.equal(behind_black, behind_black.half().float())
        assert torch.equal(self.run(torch.exp, "fp16_mixed", x), x.exp()), "nothing before it: as in the source"

    @pytest.mark.parametrize(("precision", "bits"), [("hf32_cube", 12), ("bf16_cube", 8), ("fp16_fp32_cube", 11)])
    def test_operands_of_the_cube(self, precision, bits):
        x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        one = torch.ones(1, 1, 1, 1)
        result = self.run(torch.nn.functional.conv2d, precision, x, one).numpy()
        mantissa = np.frexp(result)[0] * 2.0**bits
        assert np.array_equal(mantissa, np.rint(mantissa))
        assert not np.array_equal(result, x.numpy())

    def test_an_unknown_precision(self):
        with pytest.raises(PrecisionUnavailableError, match="int8"):
            rounding_mode("int8")


def test_keras_policies():
    keras = pytest.importorskip("keras")
    from porters.tensorflow.sources import open_live

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5), keras.layers.LayerNormalization()])
    original = open_live(model, SourceOptions())
    feed = {original.inputs[0].name: np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)}
    name = original.outputs[0]
    own = original.run(feed)[name].astype(np.float64)
    errors = {p: np.abs(original.run(feed, p)[name] - own).max() for p in ("fp16_cube", "fp16", "bf16_cube")}
    assert 0 < errors["fp16_cube"] < 0.01
    assert 0 < errors["fp16"] < 0.02
    assert errors["bf16_cube"] > errors["fp16_cube"]
    with pytest.raises(PrecisionUnavailableError, match="no dtype policy"):
        original.run(feed, "hf32_cube")
