"""Older opsets: every operator that is written out computes what it did, and what cannot be said is named."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from zoo.errors import UserError
from zoo.executors.onnxruntime import load
from zoo.opset.lowering import lowered

FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64
RANDOM = np.random.default_rng(0)
TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.bool_): BOOL, np.dtype(np.int64): INT64}


def one(node, feeds, weights=(), outputs=("y",)):
    """Return a model of one node at the zoo's opset, its batch symbolic."""
    inputs = [
        helper.make_tensor_value_info(name, TYPES[array.dtype], ["batch", *array.shape[1:]] if array.ndim else [])
        for name, array in feeds.items()
    ]
    results = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    graph = helper.make_graph([node], "one", inputs, results, list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def held(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def node(op, inputs=("x",), **attributes):
    return helper.make_node(op, list(inputs), ["y"], **attributes)


X = {"x": normal(2, 6, 5, 4)}
ROWS = {"x": normal(2, 5, 8)}
QKV = {name: normal(2, 5, 8) for name in "qkv"}
HEADS = {"q": normal(2, 4, 5, 3), "k": normal(2, 2, 6, 3), "v": normal(2, 2, 6, 7)}
SCALE, BIAS = held("s", normal(8)), held("b", normal(8))
CASES = {
    "gelu": (node("Gelu"), X, ()),
    "gelu tanh": (node("Gelu", approximate="tanh"), X, ()),
    "hard swish": (node("HardSwish"), X, ()),
    "mish": (node("Mish"), X, ()),
    "layer norm": (node("LayerNormalization", ("x", "s", "b"), epsilon=1e-3), ROWS, (SCALE, BIAS)),
    "layer norm without bias, two axes": (
        node("LayerNormalization", ("x", "s"), axis=1), ROWS, (held("s", normal(5, 8)),),
    ),
    "rms norm": (node("RMSNormalization", ("x", "s")), ROWS, (SCALE,)),
    "group norm": (
        node("GroupNormalization", ("x", "s", "b"), num_groups=3), X, (held("s", normal(6)), held("b", normal(6))),
    ),
    "attention": (node("Attention", "qkv", q_num_heads=4, kv_num_heads=4), QKV, ()),
    "attention, causal, scaled": (
        node("Attention", "qkv", q_num_heads=2, kv_num_heads=2, is_causal=1, scale=0.3), QKV, (),
    ),
    "attention, grouped": (node("Attention", "qkv"), HEADS, ()),
    "attention, grouped, flat": (
        node("Attention", "qkv", q_num_heads=4, kv_num_heads=2),
        {"q": normal(2, 5, 16), "k": normal(2, 6, 8), "v": normal(2, 6, 8)}, (),
    ),
    "attention, float mask": (node("Attention", "qkvm"), HEADS | {"m": normal(2, 1, 5, 6)}, ()),
    "attention, bool mask": (
        node("Attention", "qkvm"), HEADS | {"m": (RANDOM.random((2, 1, 5, 6)) > 0.4) | (np.arange(6) == 0)}, (),
    ),
    "rotary": (
        node("RotaryEmbedding", ("x", "c", "d"), interleaved=1),
        {"x": normal(2, 3, 5, 4), "c": normal(2, 5, 2), "d": normal(2, 5, 2)}, (),
    ),
    "mean": (node("ReduceMean", ("x", "a"), keepdims=0), X, (held("a", np.array([2, -1])),)),
    "sum of everything": (node("ReduceSum"), X, ()),
    "sum of nothing": (node("ReduceSum", noop_with_empty_axes=1), X, ()),
    "squeeze": (node("Squeeze", ("x", "a")), {"x": normal(2, 1, 3)}, (held("a", np.array([1])),)),
    "unsqueeze": (node("Unsqueeze", ("x", "a")), X, (held("a", np.array([1, -1])),)),
    "pad some axes": (
        node("Pad", ("x", "p", "", "a")), X, (held("p", np.array([1, 0, 2, 3])), held("a", np.array([2, -1]))),
    ),
    "pad with a value": (
        node("Pad", ("x", "p", "v")), X,
        (held("p", np.array([0, 0, 1, 1, 0, 0, 2, 0])), held("v", np.float32(0.5))),
    ),
    "softmax": (node("Softmax"), X, ()),
    "softmax of a middle axis": (node("Softmax", axis=1), X, ()),
    "log softmax": (node("LogSoftmax", axis=2), X, ()),
    "average pool": (node("AveragePool", kernel_shape=[3, 2], dilations=[1, 1], pads=[1, 0, 1, 1]), X, ()),
    "grid sample": (
        node("GridSample", ("x", "g"), mode="linear", align_corners=1),
        X | {"g": RANDOM.uniform(-1, 1, (2, 3, 3, 2)).astype(np.float32)}, (),
    ),
    "resize": (
        node("Resize", ("x", "", "z"), mode="linear", coordinate_transformation_mode="half_pixel"), X,
        (held("z", np.array([1, 1, 2, 2], np.float32)),),
    ),
}  # fmt: skip
NEWEST = 18
SINCE = {"grid sample": 16}


def same(model, feeds, opset, tmp_path):
    older = lowered(ir.from_proto(model), opset)
    assert older.opset_imports[""] == opset
    file = tmp_path / "older.onnx"
    ir.save(older, file)
    onnx.checker.check_model(onnx.load(file), full_check=True)
    before = load(model.SerializeToString(), optimize=False)
    after = load(file, optimize=False)
    for batch in (2, 1):
        feed = {name: array[:batch] for name, array in feeds.items()}
        for name, expected in before.run(feed).items():
            np.testing.assert_allclose(after.run(feed)[name], expected, rtol=2e-5, atol=2e-5)
    return older


@pytest.mark.parametrize(("case", "opset"), itertools.product(CASES, (11, 13, 15, 17, 18)))
def test_an_older_opset_says_the_same(case, opset, tmp_path):
    made, feeds, weights = CASES[case]
    if opset < SINCE.get(case, 0):
        with pytest.raises(UserError, match="cannot say") as caught:
            lowered(ir.from_proto(one(made, feeds, weights)), opset)
        assert made.op_type in str(caught.value.got)
        return
    same(one(made, feeds, weights), feeds, opset, tmp_path)


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_splits_and_shapes(opset, tmp_path):
    parts = helper.make_node("Split", ["x"], ["y", "z"], axis=1, num_outputs=2)
    older = same(one(parts, {"x": normal(2, 5, 3)}, outputs=("y", "z")), {"x": normal(2, 5, 3)}, opset, tmp_path)
    assert [len(item.shape) for item in older.graph.outputs] == [3, 3]
    sizes = [
        helper.make_node("Shape", ["x"], ["n"], start=1, end=3),
        helper.make_node("ConstantOfShape", ["n"], ["y"], value=helper.make_tensor("v", FLOAT, [1], [2.0])),
    ]
    graph = helper.make_graph(
        sizes, "sizes", [helper.make_tensor_value_info("x", FLOAT, ["batch", "rows", 3])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
    same(onnx.shape_inference.infer_shapes(model), {"x": normal(2, 4, 3)}, opset, tmp_path)


def test_a_row_with_nothing_allowed_is_nought(tmp_path):
    mask = np.ones((2, 1, 5, 6), bool)
    mask[:, :, 2] = False
    feeds = HEADS | {"m": mask}
    older = lowered(ir.from_proto(one(node("Attention", "qkvm"), feeds)), 17)
    ir.save(older, tmp_path / "m.onnx")
    y = load(tmp_path / "m.onnx", optimize=False).run(feeds)["y"]
    assert (y[:, :, 2] == 0).all()
    assert np.isfinite(y).all()


def test_everything_that_cannot_be_said_is_named_at_once():
    nodes = [
        helper.make_node("BitwiseNot", ["x"], ["y"], name="first"),
        helper.make_node("DFT", ["z", "", "a"], ["w"], name="second"),
    ]
    graph = helper.make_graph(
        nodes, "two",
        [helper.make_tensor_value_info("x", INT64, [2]), helper.make_tensor_value_info("z", FLOAT, [1, 8, 1])],
        [helper.make_tensor_value_info("y", INT64, [2]), helper.make_tensor_value_info("w", FLOAT, None)],
        [held("a", np.int64(1))],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
    with pytest.raises(UserError, match="opset 13 cannot say") as caught:
        lowered(ir.from_proto(model), 13)
    assert "BitwiseNot" in str(caught.value.got)
    assert "DFT" in str(caught.value.got)
    for opset in (10, 24):
        with pytest.raises(UserError, match="no way to this opset"):
            lowered(ir.from_proto(model), opset)


def test_the_graph_that_was_given_stays_as_it_is():
    model = ir.from_proto(one(node("Gelu"), X))
    lowered(model, 13)
    assert [item.op_type for item in model.graph] == ["Gelu"]
    assert model.opset_imports[""] == 23
