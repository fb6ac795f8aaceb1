"""What single operators lose: named with module and line, against float64 on the values that they get."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import pytest
import torch

from parity import check
from parity.precision.exact import exact
from parity.precision.losses import losses, worst_operators
from porters.pytorch.sources import seeded
from tests.parity.conftest import make
from zoo.inputs import InputSpec

INPUTS = [InputSpec("x", "float32", ("batch", 16))]


class Overflowing(torch.nn.Module):
    """A sum of squares that float16 cannot hold, between layers that it can."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(16, 16), torch.nn.Linear(16, 4)

    def forward(self, x):
        x = self.first(x) * 200
        size = (x * x).sum(-1, keepdim=True)
        return self.last(x / torch.sqrt(size))


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory):
    return make(seeded(Overflowing, 0), INPUTS, tmp_path_factory.mktemp("overflowing") / "artifact")


def feed(seed=0, batch=8):
    return {"x": np.random.default_rng(seed).standard_normal((batch, 16)).astype(np.float32)}


def test_what_overflows_is_named_first(overflowing):
    for chip in ("ascend310p3", "ascend910b3"):
        found = losses(overflowing.artifact, chip, feed(), mode="force_fp16")
        worst = worst_operators(found)[0]
        assert (worst.op, worst.overflows > 0, worst.precision) == ("ReduceSum", True, "fp16")
        assert "test_losses.py" in worst.line
    # Nothing of it is in fp16 where only the cube is.
    assert not any(item.overflows for item in losses(overflowing.artifact, "ascend310p3", feed()))


def test_the_loss_is_the_rounding_of_the_format(conv):
    case = {"x": np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)}
    for chip, mode, gap in (("ascend310p3", "force_fp16", 2.0**-10), ("ascend910b3", "allow_fp32_to_bf16", 2.0**-7)):
        convolutions = [item for item in losses(conv.artifact, chip, case, mode=mode) if item.op == "Conv"]
        assert len(convolutions) == 2
        assert all(gap / 8 < item.loss < gap for item in convolutions)
        assert {item.module for item in convolutions} == {"stem", "body"}


def test_what_is_kept_loses_nothing(overflowing):
    names = [item.node for item in losses(overflowing.artifact, "ascend310p3", feed(), mode="force_fp16")]
    kept = losses(overflowing.artifact, "ascend310p3", feed(), mode="force_fp16", keep=names)
    assert kept == []


def test_values_that_do_not_fit_are_measured_in_parts(overflowing, monkeypatch):
    whole = losses(overflowing.artifact, "ascend310p3", feed(), mode="force_fp16")
    monkeypatch.setattr("parity.precision.losses._HELD", 1)
    assert losses(overflowing.artifact, "ascend310p3", feed(), mode="force_fp16") == whole


def test_the_check_names_them(overflowing):
    result = check(overflowing.artifact, on="ascend310p3", mode="force_fp16", original=overflowing.original, save=False)
    assert result.precision == "fp16"
    assert result.operators[0].op == "ReduceSum"
    assert len(result.operators) <= 10
    assert any("ReduceSum" in note and "overflows fp16" in note for note in result.notes)
    # The original does not saturate, the chip does: the port is not what the original would be there.
    assert not result.holds
    kept = check(
        overflowing.artifact, on="ascend910b3", mode="allow_fp32_to_fp16", original=overflowing.original, save=False
    )
    assert kept.holds, kept.diagnosis
    assert not any("overflows" in note for note in kept.notes)


@pytest.mark.parametrize(
    "attributes",
    ["group = 1", "strides = [2, 1], pads = [1, 0, 2, 1]", "dilations = [2, 2]", "group = 2"],
)
def test_a_convolution_in_float64(attributes):
    group = 2 if attributes == "group = 2" else 1
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape) for shape in ((2, 4, 9, 8), (6, 4 // group, 3, 2), (6,)))
    text = (
        '<ir_version: 10, opset_import: ["": 23]> '
        f"g (double[2, 4, 9, 8] x, double[6, {4 // group}, 3, 2] w, double[6] b) => (double[A, B, C, D] y) "
        f"{{ y = Conv<{attributes}>(x, w, b) }}"
    )
    model = onnx.parser.parse_model(text)
    wanted = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x, "w": w, "b": b})[0]
    got = exact(ir.serde.deserialize_model(model).graph.node(0), [x, w, b])
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("op", ["MatMul", "Softmax", "Gelu", "LayerNormalization", "Add", "Erf"])
def test_other_operators_in_float64(op):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, 4)).astype(np.float32), rng.standard_normal((4, 4)).astype(np.float32)
    second = op in ("MatMul", "Add", "LayerNormalization")
    node = ir.node(op, [ir.val("a"), ir.val("b")] if second else [ir.val("a")], version=23)
    got = exact(node, [x, y] if second else [x])
    assert got is not None
    assert got.dtype == np.float64
    if op == "MatMul":
        np.testing.assert_array_equal(got, x.astype(np.float64) @ y.astype(np.float64))


def test_what_nobody_computes_in_float64_is_left_out():
    node = ir.node("QuickGelu", [ir.val("a")], domain="com.microsoft", version=1)
    assert exact(node, [np.ones(3, np.float32)]) is None
