"""The graphs of published models: what is written, what is left alone, and what becomes of a failure."""

from __future__ import annotations

import dataclasses
import json
import types

import onnx_ir as ir
import pytest

from tests.benchmarks import published_graphs
from zoo.ascend.published import mapped
from zoo.ascend.published.graphs import GRAPH, INDEX, load_graph
from zoo.errors import UserError
from zoo.work import multiply_adds


def entry_of(key):
    return next(entry for entry in mapped() if entry.key == key)


@pytest.mark.parametrize(("key", "million"), [("alexnet", 714), ("resnet18", 1814), ("squeezenet1_1", 349)])
def test_a_graph_has_the_published_arithmetic_and_no_weights(tmp_path, key, million):
    published_graphs.port(entry_of(key), tmp_path)
    model = load_graph(tmp_path, key)
    assert multiply_adds(model.graph, {"batch": 1}) / 1e6 == pytest.approx(million, rel=0.01)
    assert multiply_adds(model.graph, {"batch": 4}) == 4 * multiply_adds(model.graph, {"batch": 1})
    assert [file.name for file in (tmp_path / key).iterdir()] == [GRAPH]
    weights = [value for value in model.graph.initializers.values() if value.shape is not None and len(value.shape) > 1]
    assert weights
    assert all(isinstance(value.const_value, ir.ExternalTensor) for value in weights)


def test_what_is_there_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(published_graphs, "port", lambda entry, out: pytest.fail("ported again"))
    (tmp_path / "alexnet").mkdir()
    (tmp_path / "alexnet" / GRAPH).touch()
    assert published_graphs.main(["-o", str(tmp_path), "--only", "alexnet"]) == 0
    assert "alexnet" in json.loads((tmp_path / INDEX).read_text())


def test_a_failure_is_a_row_with_its_cause_and_the_rest_goes_on(tmp_path, monkeypatch):
    def port(entry, out):
        if entry.key == "vgg16":
            raise RuntimeError("no such operator")
        (out / entry.key).mkdir()
        (out / entry.key / GRAPH).touch()
        return ""

    monkeypatch.setattr(published_graphs, "port", port)
    assert published_graphs.main(["-o", str(tmp_path), "--only", "vgg*"]) == 1
    assert json.loads((tmp_path / published_graphs.FAILURES).read_text()) == {"vgg16": "RuntimeError: no such operator"}
    assert list(json.loads((tmp_path / INDEX).read_text())) == ["vgg19"]


def test_a_pattern_without_a_model_is_the_users_error(tmp_path):
    with pytest.raises(SystemExit) as stopped:
        published_graphs.main(["-o", str(tmp_path), "--only", "nothing-*"])
    assert stopped.value.code == 2


def test_a_model_that_fixes_its_batch_is_refused(tmp_path, monkeypatch):
    entry = entry_of("alexnet")
    fixed = types.SimpleNamespace(inputs=[dataclasses.replace(entry.inputs[0], shape=(1, 3, 224, 224))])
    monkeypatch.setattr(published_graphs, "translated", lambda entry: fixed)
    with pytest.raises(UserError, match="fixes its sizes"):
        published_graphs.port(entry, tmp_path)
    assert not (tmp_path / "alexnet").exists()
