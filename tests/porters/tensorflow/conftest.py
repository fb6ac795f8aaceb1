"""Ports small models and compares them with their originals on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from parity.layers.run import LayerRun
from parity.tolerance import LIMITS
from porters.from_tensorflow import PORTER
from porters.porter import Translation
from porters.source import SourceOptions
from porters.tensorflow.original import TensorFlowOriginal
from porters.tensorflow.sources import open_live
from zoo import executor, store
from zoo.executors import onnxruntime
from zoo.graph import HANDLE
from zoo.inputs import Feed, InputSpec, sample

BATCHES = (1, 3)
# Relative difference allowed between two float32 runs of a few layers.
CLOSE = 1e-5


@dataclass
class Ported:
    """A port that agreed with its original.

    Attributes:
        original: The original.
        translation: The translation.
        file: The graph.
        outputs: What the port returned for the last batch.
    """

    original: TensorFlowOriginal
    translation: Translation
    file: Path
    outputs: dict[str, np.ndarray]

    @property
    def ops(self) -> list[str]:
        """Types of the graph's nodes, in order."""
        return [node.op_type for node in self.translation.model.graph]

    def count(self, *op_types: str) -> int:
        """Return how many nodes are of ``op_types``."""
        return sum(op in op_types for op in self.ops)


Check = Callable[..., Ported]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Return a function that ports a live model or function, runs both, and fails where they differ."""

    def run(model: Any, inputs: Sequence[InputSpec] = (), batches: Sequence[int] = BATCHES) -> Ported:
        original = open_live(model, SourceOptions(inputs=tuple(inputs)))
        return compare(original, tmp_path, batches)

    return run


@pytest.fixture
def check_original(tmp_path: Path) -> Callable[..., Ported]:
    """Return a function that does the same for an original."""

    def run(original: TensorFlowOriginal, batches: Sequence[int] = BATCHES) -> Ported:
        (directory := tmp_path / "ported").mkdir()
        return compare(original, directory, batches)

    return run


def compare(original: TensorFlowOriginal, directory: Path, batches: Sequence[int] = BATCHES) -> Ported:
    """Port ``original`` and fail where the port differs, optimised or not, for each size of the batch."""
    translation = PORTER.translate(original)
    store.save(translation.model, directory)
    file = directory / "model.onnx"
    got: dict[str, np.ndarray] = {}
    for optimize in (False, True):
        with executor.load(file, optimize=optimize, threads=1) as session:
            for batch in batches[:1] if optimize else batches:
                feed = sample(original.inputs, 0, batch, {"batch": batch})
                want = original.run(feed)
                got = session.run(feed)
                assert list(got) == list(original.outputs)
                for name in want:
                    assert_close(got[name], want[name], name)
    assert_handles(original, translation, file, sample(original.inputs, 0, batches[-1], {"batch": batches[-1]}))
    return Ported(original, translation, file, got)


def assert_handles(original: TensorFlowOriginal, translation: Translation, file: Path, feed: Feed) -> None:
    """Fail where a value is not the result of the source that its handle names, in the order of axes that it names."""
    card = {"inputs": [spec.to_card() for spec in translation.inputs]}
    artifact: Any = SimpleNamespace(path="graph", model=lambda: ir.load(file), card=lambda: card)
    run = LayerRun(artifact, original, LIMITS["fp32"], lambda model: onnxruntime.load(model, optimize=False))
    run.run(feed)
    layers = run.result().layers
    marked = [value for node in translation.model.graph for value in node.outputs if HANDLE in value.metadata_props]
    assert len(layers) == len(marked), "the original has every result that the port names"
    assert not [layer for layer in layers if layer.verdict == "fail"]


def assert_close(got: np.ndarray, want: np.ndarray, name: str) -> None:
    """Fail unless dtype and shape are equal and the contents are as close as two float32 runs are."""
    assert got.dtype == want.dtype, name
    assert got.shape == want.shape, name
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, name)
        return
    error = np.linalg.norm(got.astype(np.float64) - want)
    assert error <= CLOSE * max(float(np.linalg.norm(want.astype(np.float64))), 1e-6), (name, error)
