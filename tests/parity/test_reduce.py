"""The first wrong layer as an artifact: small, failing by itself, right once it is mended."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import onnx
import pytest

from parity import check
from parity.reduce import TEST, reduce
from tests.parity.test_harness import change_epsilon, find, tanh_gelu
from zoo.artifact import open_artifact, verify
from zoo.errors import UserError
from zoo.main import main


def pytest_of(folder) -> subprocess.CompletedProcess[str]:
    """Run the artifact's own test as somebody without zooport would: from its folder, without our configuration."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), TEST]
    bare = {**os.environ, "PYTHONPATH": ""}
    return subprocess.run(words, check=False, cwd=folder, capture_output=True, text=True, env=bare)


FAULTS = [(change_epsilon, "BatchNormalization", "epsilon"), (tanh_gelu, "Gelu", "gelu-formula")]


@pytest.mark.parametrize(("fault", "op", "mistake"), FAULTS)
def test_a_faulty_port_is_reduced_to_its_wrong_layer(conv, tmp_path, fault, op, mistake):
    faulty = conv.copy(tmp_path / "faulty", fault)
    found = reduce(faulty, tmp_path / "small", original=conv.original)
    assert found.ops == [op]
    assert found.ratio > found.limit
    assert found.mistakes[0].name == mistake
    assert len(found.ops) < found.of_nodes
    small = open_artifact(tmp_path / "small")
    assert verify(small.path) == []
    assert not check(small, save=False).holds, "the recorded case fails by itself"
    assert [entry["shape"][0] for entry in small.card()["inputs"]] == [1], "one sample shows it"
    assert small.card()["source"]["reduced_from"]["node"] == found.node


@pytest.mark.thorough
def test_its_test_fails_and_passes_once_the_layer_is_mended(conv, tmp_path):
    faulty = conv.copy(tmp_path / "faulty", tanh_gelu)
    reduce(faulty, tmp_path / "small", original=conv.original)
    failed = pytest_of(tmp_path / "small")
    assert failed.returncode == 1, failed.stdout
    assert "times as far from the truth as the original" in failed.stdout
    file = tmp_path / "small" / "model.onnx"
    model = onnx.load(file, load_external_data=False)
    node = find(model, "Gelu")
    for item in [item for item in node.attribute if item.name == "approximate"]:
        node.attribute.remove(item)
    onnx.save(model, file)
    mended = pytest_of(tmp_path / "small")
    assert mended.returncode == 0, mended.stdout


def test_a_sound_port_has_nothing_to_reduce(conv, tmp_path):
    with pytest.raises(UserError, match="nothing to reduce"):
        reduce(conv.artifact, tmp_path / "small", original=conv.original)
    assert not (tmp_path / "small").exists()


def test_the_command_line_says_what_is_wrong(tmp_path, capsys):
    assert main(["port", "timm:test_vit", "-o", str(tmp_path / "a"), "--json"]) == 0
    capsys.readouterr()
    model = onnx.load(tmp_path / "a" / "model.onnx", load_external_data=False)
    tanh_gelu(model)
    onnx.save(model, tmp_path / "a" / "model.onnx")
    out = tmp_path / "small"
    assert main(["reduce", str(tmp_path / "a"), "-o", str(out), "--unsealed", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["mistakes"][0]["name"] == "gelu-formula"
    assert answer["module"]
    assert main(["check", str(out), "--json"]) == 1
