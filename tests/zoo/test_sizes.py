"""Shape arithmetic: what it comes to is written down, what is not known stays, and nothing is guessed."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper
from onnx_ir.passes import common

from porters.onnx.reading import read
from tests.porters.onnx import graphs
from zoo.executors.onnxruntime import load
from zoo.sizes import settle_sizes

FLOAT = TensorProto.FLOAT


def settled(file):
    model = read(file)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    settle_sizes(model)
    common.RemoveUnusedNodesPass()(model)
    return model


def same(file, model, tmp_path, *feeds):
    ir.save(model, tmp_path / "settled.onnx")
    before, after = load(file, optimize=False), load(tmp_path / "settled.onnx", optimize=False)
    for feed in feeds:
        for name, array in before.run(feed).items():
            np.testing.assert_array_equal(after.run(feed)[name], array)


def types(model):
    return [node.op_type for node in model.graph]


def sample(*shape):
    return {"x": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}


def test_targets_of_reshape_become_constants(tmp_path):
    file = graphs.attention(tmp_path / "a.onnx")
    from porters.onnx.upgrade import upgraded

    model = upgraded(read(file), "a")
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    settle_sizes(model)
    common.RemoveUnusedNodesPass()(model)
    assert not {"Shape", "Gather", "Concat", "Unsqueeze"} & set(types(model))
    scores = next(value for node in model.graph for value in node.outputs if value.name == "scores")
    assert [str(size) for size in scores.shape] == ["batch", "4", "tokens", "tokens"]
    same(file, model, tmp_path, sample(1, 5, 16), sample(3, 2, 16))


def product_of_sizes(file):
    """Reshape [N, 4, T, 3] to [N*4, T*3] and back, as attention by bmm does it."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Slice", ["shape", "b0", "b1"], ["n"]),
        helper.make_node("Mul", ["n", "four"], ["rows"]),
        helper.make_node("Concat", ["rows", "minus"], ["flat"], axis=0),
        helper.make_node("Reshape", ["x", "flat"], ["y0"]),
        helper.make_node("Relu", ["y0"], ["y1"]),
        helper.make_node("Reshape", ["y1", "shape"], ["y"]),
    ]
    held = (("b0", 0), ("b1", 1), ("four", 4), ("minus", -1))
    shape = ["N", 4, "T", 3]
    weights = [graphs.integers(name, item) for name, item in held]
    return graphs.write(file, nodes, {"x": (FLOAT, shape)}, {"y": (FLOAT, shape)}, weights, opset=23)


def test_products_and_sizes_that_follow(tmp_path):
    file = product_of_sizes(tmp_path / "p.onnx")
    model = settled(file)
    flat = next(value for node in model.graph for value in node.outputs if value.name == "y0")
    assert [str(size) for size in flat.shape] == ["4*batch", "3*T"]
    # Two sizes of the flat target follow from two inputs: no constant says both.
    assert types(model).count("Reshape") == 2
    same(file, model, tmp_path, sample(1, 4, 5, 3), sample(2, 4, 1, 3))


def test_a_comparison_that_may_go_either_way_stays(tmp_path):
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Greater", ["shape", "five"], ["long"]),
        helper.make_node("Where", ["long", "five", "shape"], ["length"]),
        helper.make_node("Slice", ["x", "nought", "length"], ["y"]),
    ]
    weights = [graphs.integers("five", 5), graphs.integers("nought", 0)]
    file = graphs.write(tmp_path / "w.onnx", nodes, {"x": (FLOAT, ["N"])}, {"y": (FLOAT, ["M"])}, weights, opset=23)
    model = settled(file)
    assert {"Shape", "Where", "Slice"} <= set(types(model))
    same(file, model, tmp_path, sample(3), sample(9))


@pytest.mark.parametrize("remainder", [16, 18])
def test_a_padding_to_a_multiple_is_worked_out(tmp_path, remainder):
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["side"]),
        helper.make_node("Mod", ["side", "eight"], ["over"]),
        helper.make_node("Sub", ["eight", "over"], ["missing"]),
        helper.make_node("Mod", ["missing", "eight"], ["width"]),
        helper.make_node("Concat", ["nought", "nought", "nought", "width"], ["pads"], axis=0),
        helper.make_node("Pad", ["x", "pads"], ["y"]),
    ]
    weights = [graphs.integers(name, item) for name, item in (("one", 1), ("eight", 8), ("nought", 0))]
    file = graphs.write(
        tmp_path / "pad.onnx", nodes, {"x": (FLOAT, ["N", remainder])}, {"y": (FLOAT, None)}, weights, opset=23
    )
    model = settled(file)
    assert types(model) == ["Pad"]
    assert [str(size) for size in model.graph.outputs[0].shape] == ["batch", "16" if remainder == 16 else "24"]
    same(file, model, tmp_path, sample(2, remainder))


def test_an_expansion_may_take_either_side(tmp_path):
    nodes = [helper.make_node("Shape", ["x"], ["shape"]), helper.make_node("Expand", ["row", "shape"], ["y"])]
    row = graphs.weight("row", 1, 4)
    file = graphs.write(tmp_path / "e.onnx", nodes, {"x": (FLOAT, ["N", 4])}, {"y": (FLOAT, None)}, [row], opset=23)
    model = settled(file)
    assert [str(size) for size in model.graph.outputs[0].shape] == ["batch", "4"]
    assert "Shape" in types(model), "as many rows as the input has"
    same(file, model, tmp_path, sample(1, 4), sample(3, 4))
