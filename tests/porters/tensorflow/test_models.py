"""Whole models of keras.applications: within the noise budget, one transpose, batch norms whole."""

from __future__ import annotations

import numpy as np
import pytest

from porters.from_tensorflow import PORTER
from porters.source import SourceOptions, open_source
from zoo import executor, store
from zoo.inputs import InputSpec, sample

pytest.importorskip("keras")
# The size of the image keeps a test to seconds.
MODELS = {
    "MobileNetV2": (96, {"Transpose": 1, "BatchNormalization": 52, "Conv": 52}),
    "ResNet50": (64, {"Transpose": 1, "BatchNormalization": 53, "Conv": 53}),
}


@pytest.mark.parametrize("name", ["MobileNetV2", pytest.param("ResNet50", marks=pytest.mark.thorough)])
def test_application(name, tmp_path):
    size, expected = MODELS[name]
    options = SourceOptions([InputSpec("input_layer", "float32", ("batch", size, size, 3))])
    original = open_source(f"keras:{name}", options)
    translation = PORTER.translate(original)
    ops = [node.op_type for node in translation.model.graph]
    assert {op: ops.count(op) for op in expected} == expected
    assert not {"Shape", "Gather", "Einsum", "Unsqueeze"} & set(ops)
    store.save(translation.model, tmp_path)
    feeds = [sample(original.inputs, 0, case, {"batch": 2}) for case in range(2)]
    truth, own = ([original.run(feed, kind)["predictions"] for feed in feeds] for kind in ("float64", "own"))
    for optimize in (True, False):
        with executor.load(tmp_path / "model.onnx", optimize=optimize, threads=2) as session:
            port = [session.run(feed)["predictions"] for feed in feeds]
        assert budget_ratio(port, own, truth) <= 3


def budget_ratio(port: list[np.ndarray], own: list[np.ndarray], truth: list[np.ndarray]) -> float:
    """Return the port's error over the original's, both against the truth."""
    p, r, t = (np.concatenate([item.astype(np.float64).ravel() for item in side]) for side in (port, own, truth))
    floor = 2.0**-23 * np.linalg.norm(t)
    return float(np.linalg.norm(p - t) / max(np.linalg.norm(r - t), floor))
