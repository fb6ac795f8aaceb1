"""``port``: the same bytes every time, one JSON object, and nothing left where it fails."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
import torch

from parity import check
from porters import port
from zoo.artifact import GOLDEN, MODEL, WEIGHTS, open_artifact, verify
from zoo.inputs import parse_input

CONVNET = tiny_models.CONVNET
SPEC = parse_input("x=batch,3,8,8:float32")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, spawn: Callable[..., Any]) -> tuple[Path, str]:
    """The same port by the command line in a process of its own, and what it printed."""
    out = tmp_path_factory.mktemp("elsewhere") / "other-name"
    answer = spawn("-m", "zoo.main", "port", *CONVNET, "-o", out, "--json")
    assert answer.returncode == 0, answer.stderr
    return out, answer.stdout


# -- what a port gives ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [MODEL, WEIGHTS, "card.yaml", GOLDEN])
def test_the_same_source_gives_the_same_bytes_in_another_process(
    tiny: Path, elsewhere: tuple[Path, str], name: str
) -> None:
    assert (elsewhere[0] / name).read_bytes() == (tiny / name).read_bytes()


def test_the_same_source_gives_the_same_bytes_again(tiny: Path) -> None:
    before = {file.name: file.read_bytes() for file in tiny.iterdir()}
    port(CONVNET[0], [SPEC], tiny)
    assert {file.name: file.read_bytes() for file in tiny.iterdir()} == before


def test_another_seed_gives_other_weights_and_the_same_graph(tiny: Path) -> None:
    other = port(CONVNET[0], [SPEC], tiny.parent / "other", seed=1).path
    assert (other / MODEL).read_bytes() == (tiny / MODEL).read_bytes()
    assert (other / WEIGHTS).read_bytes() != (tiny / WEIGHTS).read_bytes()


def test_json_is_one_object_with_the_fields_of_the_contract(elsewhere: tuple[Path, str]) -> None:
    out, said = elsewhere
    result = json.loads(said)
    assert {"artifact", "source", "nodes", "opset", "fallback", "seconds", "peak_rss_bytes", "unsupported"} <= set(
        result
    )
    assert (result["artifact"], result["source"]) == (str(out), CONVNET[0])
    assert (result["opset"], result["fallback"], result["unsupported"]) == (23, False, [])
    assert {"export", "translate", "weights", "total"} <= set(result["seconds"])
    assert result["peak_rss_bytes"] > 1 << 20


def test_a_port_is_told_with_the_next_command(tmp_path: Path, zooport: Callable[..., Any]) -> None:
    answer = zooport("port", *CONVNET, "-o", tmp_path / "art")
    assert answer.code == 0
    assert f"{CONVNET[0]} -> {tmp_path / 'art'}" in answer.out
    assert f"next: zooport check {tmp_path / 'art'}" in answer.out
    assert os.listdir(tmp_path) == ["art"]


def test_a_live_module_is_a_source(tmp_path: Path) -> None:
    model = tiny_models.convnet()
    artifact = port(model, {"x": torch.zeros(1, 3, 8, 8)}, tmp_path / "art")
    assert artifact.card()["source"]["checkpoint"] == {"kind": "live"}
    golden = artifact.golden()
    with torch.no_grad():
        expected = model(torch.from_numpy(golden["0/input/x"])).numpy()
    np.testing.assert_array_equal(golden["0/original/output"], expected)


def test_a_model_without_weights_has_no_weights_file(tmp_path: Path) -> None:
    artifact = port("python:tiny_models:without_weights", [parse_input("input=batch,4:float32")], tmp_path / "art")
    assert not (artifact.path / WEIGHTS).exists()
    assert artifact.card()["weights"] == {"tensors": 0, "elements": 0, "bytes": 0}
    assert verify(artifact.path) == []


def test_a_model_that_takes_a_list_and_a_mapping_is_ported_with_flat_inputs(tmp_path: Path) -> None:
    artifact = port("python:tiny_models:nested_with_inputs", out=tmp_path / "art")
    model = onnx.load(artifact.path / MODEL, load_external_data=False)
    assert [value.name for value in model.graph.input] == ["images_0", "more_shift", "more_scale_by"]
    assert [value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input] == ["batch"] * 3
    assert check(artifact, save=False).holds


def test_a_range_of_one_size_and_a_fixed_size_are_kept(tmp_path: Path) -> None:
    shapes = []
    for source, dynamic in ((SPEC, {"batch": (2, 8)}), (parse_input("x=3,3,8,8:float32"), None)):
        artifact = port(CONVNET[0], [source], tmp_path / "art", dynamic=dynamic, record_golden=False)
        dims = onnx.load(artifact.model_path, load_external_data=False).graph.input[0].type.tensor_type.shape.dim
        shapes.append([dim.dim_param or dim.dim_value for dim in dims])
        assert artifact.golden() == {}
    assert shapes == [["batch", 3, 8, 8], [3, 3, 8, 8]]


# -- what a port refuses -------------------------------------------------------------------------------------------


def test_a_foreign_output_is_refused_before_the_work(
    tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("text")
    monkeypatch.setattr("porters.porting.open_source", lambda *args: pytest.fail("the source was opened"))
    said = refused("port", *CONVNET, "-o", tmp_path / "mine")
    assert "the output exists and is no artifact; it is left alone" in said
    assert "choose another -o" in said


@pytest.mark.parametrize(
    ("given", "expected", "got"),
    [
        ("y=batch,3,8,8:float32", "expected: x", "got:      y"),
        ("x=batch,4,8,8:float32", "check --input", "x=batch,4,8,8:float32"),
        ("x=batch,3,8,8:int64", "check --input", "x=batch,3,8,8:int64"),
        ("x=batch,3,8:float32", "check --input", "x=batch,3,8:float32"),
        ("x=batch;3", "expected: NAME=SHAPE:DTYPE", "got:      x=batch;3"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    tmp_path: Path, refused: Callable[..., str], given: str, expected: str, got: str
) -> None:
    said = refused("port", CONVNET[0], "--input", given, "-o", tmp_path / "art")
    assert expected in said
    assert got in said


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["--dynamic", "bach=1..4"], "no input has a symbolic dimension 'bach'"),
        (["--dynamic", "batch"], "cannot be read"),
        (["--dynamic", "batch=x..4"], "cannot be read"),
        (["--dynamic", "batch=9..4"], "ends before it begins"),
        (["--seed", "-1"], "the seed is negative"),
        (["--input", "x=batch,3,8,8"], "an input is given twice"),
        (["--weights", "none.safetensors"], "the checkpoint does not exist"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, refused: Callable[..., str], arguments: list[str], fact: str
) -> None:
    assert fact in refused("port", *CONVNET, *arguments, "-o", tmp_path / "art")


def test_a_failure_while_writing_leaves_nothing(
    tmp_path: Path, zooport: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise RuntimeError("the check found a fault")

    monkeypatch.setattr("zoo.verify.check_file", fails)
    assert zooport("port", *CONVNET, "-o", tmp_path / "art").code == 3
    assert os.listdir(tmp_path) == []


def test_a_failed_port_leaves_the_old_artifact(tiny: Path, refused: Callable[..., str]) -> None:
    refused("port", "python:tiny_models:failing", "--input", "x=1:float32", "-o", tiny)
    assert open_artifact(tiny).card()["name"] == "convnet"
