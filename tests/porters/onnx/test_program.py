"""The float64 and rounded runs of an ONNX graph: each operator as the standard defines it."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from porters.onnx.program import Program, rounded
from porters.onnx.reading import read
from porters.porter import PrecisionUnavailableError
from tests.porters.onnx import graphs
from zoo.executors.onnxruntime import load

FLOAT = TensorProto.FLOAT
RANDOM = np.random.default_rng(1)


def both(tmp_path, node, feeds, opset=17):
    """Return (float64 by us, float32 by ONNX Runtime) of one operator."""
    inputs = {name: (helper.np_dtype_to_tensor_dtype(a.dtype), list(a.shape)) for name, a in feeds.items()}
    file = graphs.write(tmp_path / "one.onnx", [node], inputs, {"y": (FLOAT, None)}, opset=opset)
    wide = Program(read(file)).run(feeds, "float64")["y"]
    return wide, load(file, optimize=False).run(feeds)["y"]


def image(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


CONVOLUTIONS = [
    {"pads": [1, 2, 0, 1]},
    {"strides": [2, 3], "pads": [1, 1, 1, 1]},
    {"dilations": [2, 1]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
    {"group": 2},
]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_convolution(tmp_path, options):
    feeds = {"x": image(2, 4, 9, 11), "w": image(6, 4 // options.get("group", 1), 3, 2), "b": image(6)}
    wide, single = both(tmp_path, helper.make_node("Conv", ["x", "w", "b"], ["y"], **options), feeds)
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, single, rtol=1e-4, atol=1e-4)


TRANSPOSED = [
    {},
    {"strides": [2, 3], "output_padding": [1, 2]},
    {"strides": [2, 2], "pads": [1, 0, 0, 1]},
    {"dilations": [2, 1], "strides": [1, 2]},
    {"strides": [2, 2], "output_shape": [14, 18]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"group": 2, "strides": [2, 1]},
]


@pytest.mark.parametrize("options", TRANSPOSED, ids=str)
def test_transposed_convolution(tmp_path, options):
    feeds = {"x": image(2, 4, 7, 9), "w": image(4, 6 // options.get("group", 1), 3, 2)}
    wide, single = both(tmp_path, helper.make_node("ConvTranspose", ["x", "w"], ["y"], **options), feeds)
    np.testing.assert_allclose(wide, single, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("padded", "ceil"), itertools.product((0, 1), (0, 1)))
def test_average_pool(tmp_path, padded, ceil):
    node = helper.make_node(
        "AveragePool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1],
        count_include_pad=padded, ceil_mode=ceil,
    )  # fmt: skip
    wide, single = both(tmp_path, node, {"x": image(2, 3, 8, 9)}, opset=22)
    np.testing.assert_allclose(wide, single, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(tmp_path, approximate):
    node = helper.make_node("Gelu", ["x"], ["y"], approximate=approximate)
    wide, single = both(tmp_path, node, {"x": image(5, 7)}, opset=20)
    np.testing.assert_allclose(wide, single, rtol=1e-4, atol=1e-6)


def test_what_only_the_standards_evaluator_has_in_float64(tmp_path):
    feeds = {"x": image(2, 5, 3), "w": image(1, 8, 3), "r": image(1, 8, 2)}
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2)
    wide, single = both(tmp_path, node, feeds)
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, single, rtol=1e-4, atol=1e-5)


def test_quantising_is_the_standards_own(tmp_path):
    file = graphs.quantised(tmp_path / "quantised.onnx")
    feed = {"x": image(2, 3, 12, 12)}
    program = Program(read(file))
    own = load(file, optimize=False).run(feed)["y"]
    np.testing.assert_allclose(program.run(feed, "own")["y"], own, rtol=1e-6, atol=1e-6)
    wide = program.run(feed, "float64")["y"]
    assert wide.dtype == np.float64
    assert np.linalg.norm(wide - own) < 0.02 * np.linalg.norm(wide), "but for values that fall on the other side"


@pytest.mark.parametrize(("kind", "bits"), [("fp16", 10), ("bf16", 7), ("hf32", 11)])
def test_rounding_keeps_so_many_bits(kind, bits):
    values = (1 + RANDOM.random(1000)).astype(np.float32)
    steps = rounded(values, kind).astype(np.float64) * 2**bits
    np.testing.assert_array_equal(steps, np.rint(values.astype(np.float64) * 2**bits))
    assert np.isinf(rounded(np.array([np.inf], np.float32), kind))


def test_a_precision_that_nothing_defines_is_refused(tmp_path):
    program = Program(read(graphs.attention(tmp_path / "a.onnx")))
    with pytest.raises(PrecisionUnavailableError, match="fp16_mixed"):
        program.run({"x": image(1, 3, 16)}, "fp16_mixed")
    narrow = program.run({"x": image(1, 3, 16)}, "fp16_cube")
    assert narrow["y"].dtype == np.float32


def test_steps_are_computed_alone_as_in_the_walk(tmp_path):
    program = Program(read(graphs.attention(tmp_path / "a.onnx")))
    feed = {"x": image(2, 5, 16)}
    wanted = ["normed", "scores", "y"]
    steps = {step.handle: step for step in program.walk(feed, wanted)}
    assert list(steps) == wanted
    assert steps["y"].own.dtype == np.float32
    alone = program.single(["y"], {"scores": steps["scores"].truth})
    np.testing.assert_allclose(alone["y"], steps["y"].truth, rtol=1e-12)
    onnx.checker.check_model(onnx.load(tmp_path / "a.onnx"))
