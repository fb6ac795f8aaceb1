"""``onnx:FILE``: files of any opset become the zoo's graph and hold against themselves, or are refused."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from parity.harness import check
from parity.selftest.faults.fault import all_faults
from porters.porting import port_to
from porters.source import SourceOptions, open_source
from tests.porters.onnx import graphs
from zoo import store
from zoo.artifact import CARD, MANIFEST, open_artifact
from zoo.errors import UserError
from zoo.inputs import parse_input

FLOAT = TensorProto.FLOAT


def ported(file, to, *inputs):
    options = SourceOptions([parse_input(text) for text in inputs])
    port_to(f"onnx:{file}", to, options)
    return open_artifact(to)


def changed(artifact, model, to):
    """Return a copy of an artifact with another graph."""
    to.mkdir()
    for name in (CARD, MANIFEST):
        shutil.copy(artifact.path / name, to / name)
    for number, node in enumerate(model.graph):
        node.name = node.name or f"node_{number}"
    store.save(model, to)
    return open_artifact(to, unsealed=True)


def operators(artifact) -> Counter:
    return Counter(node.op_type for node in artifact.model().graph)


def test_decomposed_attention_is_put_together_again(tmp_path):
    artifact = ported(graphs.attention(tmp_path / "attention.onnx"), tmp_path / "a")
    assert operators(artifact) == {
        "LayerNormalization": 1, "MatMul": 3, "Reshape": 4, "Transpose": 4, "Attention": 1, "Add": 1,
    }  # fmt: skip
    assert [entry["shape"] for entry in artifact.card()["inputs"]] == [["batch", "tokens", 16]]
    assert artifact.card()["source"]["framework"] == "onnx"
    result = check(artifact, layers=True)
    assert result.holds, result.diagnosis
    assert result.truth == "float64"
    assert {"MatMul", "Add"} <= {layer.source for layer in result.layers}
    assert {"attn/q", "attn"} <= {layer.module for layer in result.layers}


def test_weights_and_places_keep_their_names(tmp_path):
    file = graphs.attention(tmp_path / "attention.onnx")
    artifact = ported(file, tmp_path / "a")
    upstream = {item.name: onnx.numpy_helper.to_array(item) for item in onnx.load(file).graph.initializer}
    from safetensors.numpy import load_file

    kept = load_file(artifact.path / "model.safetensors")
    assert set(kept) >= {"attn.q.weight", "attn.k.weight", "attn.v.weight", "norm.weight", "norm.bias"}
    for name in ("attn.q.weight", "norm.bias"):
        np.testing.assert_array_equal(kept[name], upstream[name])
    product = next(node for node in artifact.model().graph if node.name == "/attn/q/MatMul" or node.op_type == "MatMul")
    assert product.metadata_props["zooport.source_op"] == "MatMul"
    assert product.metadata_props["zooport.module"].startswith("attn/")


def test_an_old_opset_is_brought_up_and_holds(tmp_path):
    artifact = ported(graphs.old_convolutions(tmp_path / "old.onnx"), tmp_path / "a")
    assert artifact.model().opset_imports[""] == 23
    assert "Upsample" not in operators(artifact)
    assert any("opset 9" in note for note in artifact.card()["port"]["notes"])
    result = check(artifact)
    assert result.holds, result.diagnosis
    assert result.truth == "float64"


def test_a_fault_in_the_port_of_a_file_is_found(tmp_path):
    artifact = ported(graphs.attention(tmp_path / "attention.onnx"), tmp_path / "a")
    model = artifact.model()
    norm = next(node for node in model.graph if node.op_type == "LayerNormalization")
    all_faults()["epsilon"].inject(model.graph, norm)
    result = check(changed(artifact, model, tmp_path / "faulty"), layers=True, save=False)
    assert not result.holds
    assert result.first_divergence == norm.outputs[0].name


def test_a_quantised_file_has_budgets_on_the_chip(tmp_path):
    artifact = ported(graphs.quantised(tmp_path / "quantised.onnx"), tmp_path / "a")
    for precision in ("cube_fp16", "force_fp16"):
        result = check(artifact, on="ascend310p3", mode=precision, save=False)
        assert result.holds, result.diagnosis
        assert result.truth == "float64"
    # Steps of the weights half as large again are a fault that the budget sees.
    model = artifact.model()
    value = model.graph.initializers["conv.weight.s"]
    value.const_value = ir.tensor(value.const_value.numpy() * np.float32(1.5), name=value.name)
    faulty = changed(artifact, model, tmp_path / "faulty")
    assert not check(faulty, on="ascend310p3", mode="cube_fp16", save=False).holds


def test_functions_branches_and_loops(tmp_path):
    body = helper.make_graph(
        [helper.make_node("Add", ["state", "step"], ["next"]), helper.make_node("Identity", ["again"], ["go"])],
        "body",
        [helper.make_tensor_value_info(n, k, s) for n, k, s in (("i", 7, []), ("again", 9, []), ("state", 1, [2, 3]))],
        [helper.make_tensor_value_info(n, k, s) for n, k, s in (("go", 9, []), ("next", 1, [2, 3]))],
    )
    nodes = [
        helper.make_node("Twice", ["x"], ["step"], domain="made.here"),
        helper.make_node("Loop", ["times", "", "x"], ["y"], body=body),
    ]
    twice = helper.make_function(
        "made.here", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    shape = [2, 3]
    times = graphs.integers("times", 3, scalar=True)
    file = graphs.write(
        tmp_path / "loop.onnx",
        nodes,
        {"x": (FLOAT, shape)},
        {"y": (FLOAT, shape)},
        [times],
        opset=17,
        functions=[twice],
    )
    model = onnx.load(file)
    model.opset_import.append(helper.make_opsetid("made.here", 1))
    onnx.save(model, file)
    artifact = ported(file, tmp_path / "a")
    original = open_source(f"onnx:{file}")
    x = np.ones((2, 3), np.float32)
    assert (original.run({"x": x})["y"] == 7).all()
    assert original.run({"x": x}, "float64")["y"].dtype == np.float64
    assert check(artifact).holds


def test_tokens_are_drawn_from_the_table_that_they_index(tmp_path):
    nodes = [
        helper.make_node("Cast", ["ids"], ["places"], to=7),
        helper.make_node("Gather", ["table", "places"], ["y"], axis=0),
    ]
    file = graphs.write(
        tmp_path / "table.onnx", nodes, {"ids": (TensorProto.INT32, [None, None])}, {"y": (FLOAT, None)},
        [graphs.weight("table", 37, 4)], opset=17,
    )  # fmt: skip
    spec = open_source(f"onnx:{file}").inputs[0]
    assert (spec.shape, spec.high, spec.kind) == (("batch", "ids_1"), 37, "tokens")


def test_external_data_stays_inside_and_is_ported(tmp_path):
    file = graphs.attention(tmp_path / "attention.onnx")
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="weights.bin", size_threshold=64)
    artifact = ported(file, tmp_path / "a")
    names = [item["name"] for item in artifact.card()["source"]["checkpoint"]["files"]]
    assert names == ["attention.onnx", "weights.bin"]
    assert check(artifact).holds


@pytest.mark.parametrize("case", ["missing", "garbage", "outside", "private", "weights", "no-batch"])
def test_what_cannot_be_used_is_refused(tmp_path, case, refused):
    file, more = tmp_path / "m.onnx", []
    graphs.attention(file)
    if case == "missing":
        file.unlink()
    elif case == "garbage":
        file.write_bytes(b"this is no model" * 9)
    elif case == "outside":
        (tmp_path / "data").mkdir()
        inner = tmp_path / "data" / "m.onnx"
        onnx.save(onnx.load(file), inner, save_as_external_data=True, location="w.bin", size_threshold=64)
        model = onnx.load(inner, load_external_data=False)
        for item in model.graph.initializer:
            for entry in item.external_data:
                if entry.key == "location":
                    entry.value = "../w.bin"
        file = inner
        file.write_bytes(model.SerializeToString())
    elif case == "private":
        model = onnx.load(file)
        model.graph.node[-1].domain = "com.vendor"
        model.opset_import.append(helper.make_opsetid("com.vendor", 1))
        onnx.save(model, file)
    elif case == "weights":
        more = ["--weights", str(file)]
    else:
        more = ["--input", "x=2,5,17:float32"]
    words = refused("port", f"onnx:{file}", "-o", tmp_path / "a", *more)
    expected = {
        "missing": "does not exist",
        "garbage": "cannot be read",
        "outside": "..",
        "private": "com.vendor.Add",
        "weights": "brings its own weights",
        "no-batch": "17",
    }
    assert expected[case] in words


def test_a_changed_operator_inside_a_loop_is_refused(tmp_path):
    body = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["state"], ["next"], axes=[0], keepdims=1),
            helper.make_node("Identity", ["again"], ["go"]),
        ],
        "body",
        [helper.make_tensor_value_info(n, k, s) for n, k, s in (("i", 7, []), ("again", 9, []), ("state", 1, None))],
        [helper.make_tensor_value_info(n, k, s) for n, k, s in (("go", 9, []), ("next", 1, None))],
    )
    nodes = [helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)]
    times = graphs.integers("times", 3, scalar=True)
    file = graphs.write(
        tmp_path / "loop.onnx", nodes, {"x": (FLOAT, [1, 3])}, {"y": (FLOAT, [1, 3])}, [times], opset=11
    )
    with pytest.raises(UserError, match="changed their meaning") as caught:
        ported(file, tmp_path / "a")
    assert "ReduceSum" in str(caught.value.got)


def test_the_command_line_ports_checks_and_compiles(tmp_path, zooport):
    file = graphs.old_convolutions(tmp_path / "old.onnx")
    assert zooport("port", f"onnx:{file}", "-o", tmp_path / "a").code == 0
    assert zooport("check", tmp_path / "a", "--in-process").code == 0
    answer = zooport("compile", tmp_path / "a", "--target", "ascend310p3", "--batch", "1,4", "--json")
    assert answer.code == 0, answer.err
    assert [row["batch"] for row in json.loads(answer.out)["batches"]] == [1, 4]
