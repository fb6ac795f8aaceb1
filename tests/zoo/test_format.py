"""The artifact is standard: other people's tools open it as it stands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors
import tiny_models

from zoo.artifact import GOLDEN, MODEL, WEIGHTS, open_artifact
from zoo.graph import INLINE_BYTES, OPSET


def proto(artifact: Path) -> onnx.ModelProto:
    return onnx.load(artifact / MODEL, load_external_data=False)


def test_the_onnx_checker_passes_with_shape_inference(tiny: Path) -> None:
    onnx.checker.check_model(str(tiny / MODEL), full_check=True)


def test_only_the_standard_domain_at_the_zoos_opset(tiny: Path) -> None:
    model = proto(tiny)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert {node.domain for node in model.graph.node} == {""}


def test_no_large_tensor_is_inside_the_graph(tiny: Path) -> None:
    model = proto(tiny)
    inside = [t for t in model.graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL]
    assert all(len(tensor.SerializeToString()) < INLINE_BYTES + 100 for tensor in inside)
    assert not [node.name for node in model.graph.node if node.op_type == "Constant" and node.ByteSize() > INLINE_BYTES]
    # Weight and bias of the convolution, which holds the norm, and of the head; the constant of 16 x 24 floats.
    assert len(model.graph.initializer) - len(inside) == 5


def test_weights_are_a_genuine_safetensors_file_under_upstream_names(tiny: Path) -> None:
    upstream = {name for name in tiny_models.convnet().state_dict() if not name.endswith("num_batches_tracked")}
    with safetensors.safe_open(tiny / WEIGHTS, "np") as file:
        names = set(file.keys())
        assert upstream <= names
        assert file.get_tensor("stem.weight").shape == (16, 3, 3, 3)


def test_the_graphs_tensors_are_those_of_the_safetensors_file(tiny: Path) -> None:
    values = open_artifact(tiny).model().graph.initializers
    with safetensors.safe_open(tiny / WEIGHTS, "np") as file:
        outside = {name: value.const_value for name, value in values.items() if name in file.keys()}  # noqa: SIM118
        assert len(outside) >= 4
        for name, tensor in outside.items():
            assert tensor is not None
            np.testing.assert_array_equal(tensor.numpy(), file.get_tensor(name))


def test_every_node_says_where_it_comes_from(tiny: Path) -> None:
    sources = {}
    for node in proto(tiny).graph.node:
        props = {entry.key: entry.value for entry in node.metadata_props}
        sources[node.op_type] = (props.get("zooport.source_op", ""), props.get("zooport.module", ""))
        assert sources[node.op_type][0].startswith("aten."), node.name
        assert props["zooport.line"].startswith("helpers/tiny_models.py:"), node.name
    assert sources["Conv"] == ("aten.conv2d.default", "stem")


def test_the_batch_is_symbolic_and_named_as_the_user_named_it(tiny: Path) -> None:
    graph = proto(tiny).graph
    dims = [[dim.dim_param or dim.dim_value for dim in v.type.tensor_type.shape.dim] for v in graph.input]
    assert dims == [["batch", 3, 8, 8]]
    assert graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_the_card_holds_provenance_signature_and_counts(tiny: Path) -> None:
    card = open_artifact(tiny).card()
    assert card["source"]["reference"] == "python:tiny_models:convnet"
    assert card["source"]["checkpoint"] == {"kind": "seeded", "seed": 0, "recalibrated": True, "roughened": True}
    assert card["port"]["nodes"] == len(proto(tiny).graph.node)
    assert card["port"]["fallback"] is False
    assert card["outputs"] == [{"name": "output", "dtype": "float32", "shape": ["batch", 24]}]
    assert card["weights"]["bytes"] == (tiny / WEIGHTS).stat().st_size


def test_nothing_in_the_artifact_names_this_machine(tiny: Path) -> None:
    here = str(Path(__file__).parents[1]).encode()
    for file in tiny.iterdir():
        assert here not in file.read_bytes(), file.name
        assert str(tiny.parent).encode() not in file.read_bytes(), file.name


def test_golden_data_holds_inputs_outputs_and_the_float64_truth(tiny: Path) -> None:
    with safetensors.safe_open(tiny / GOLDEN, "np") as file:
        kinds = {name.split("/")[1] for name in file.keys()}  # noqa: SIM118
        truth = file.get_tensor("0/truth/output")
        original = file.get_tensor("0/original/output")
    assert kinds == {"input", "original", "truth"}
    assert (truth.dtype, original.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(original, truth, rtol=1e-4, atol=1e-5)


def test_onnxruntime_opens_it_without_us(tiny: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(tiny / MODEL, providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.zeros((5, 3, 8, 8), np.float32)})[0].shape == (5, 24)


def test_openvino_opens_it_without_us(tiny: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")
    compiled = openvino.Core().compile_model(str(tiny / MODEL), "CPU")
    assert compiled([np.zeros((5, 3, 8, 8), np.float32)])[0].shape == (5, 24)


def test_the_manifest_is_plain_json_with_one_hash_for_each_file(tiny: Path) -> None:
    manifest = json.loads((tiny / "manifest.json").read_text())
    assert manifest["schema"] == 1
    assert all(len(hashes) == 1 and len(hashes[0]) == 64 for hashes in manifest["files"].values())
