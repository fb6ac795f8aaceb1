"""Ports small torch modules and holds them against float64."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from porters.source import SourceOptions
from zoo.inputs import InputSpec, sample

# A port may be this many times as far from float64 as the original is.
BUDGET = 3.0


def session(model: ir.Model, optimised: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    data = ir.serde.serialize_model(model).SerializeToString()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def ratio(port: np.ndarray, truth: np.ndarray, own: np.ndarray) -> float:
    port, truth, own = (item.astype(np.float64).ravel() for item in (port, truth, own))
    unit = max(np.linalg.norm(own - truth), 2.0**-23 * np.linalg.norm(truth), 1e-300)
    return float(np.linalg.norm(port - truth) / unit)


@dataclass
class Ported:
    original: Any
    model: ir.Model

    @property
    def ops(self) -> Counter[str]:
        return Counter(node.op_type for node in self.model.graph)

    def node(self, op_type: str) -> ir.Node:
        (found,) = [node for node in self.model.graph if node.op_type == op_type]
        return found

    def assert_same(self, batches: Sequence[int] = (1, 2, 3), lengths: Sequence[int] = (5, 8)) -> None:
        sessions = [session(self.model, optimised) for optimised in (False, True)]
        names = [output.name for output in sessions[0].get_outputs()]
        for batch, length in itertools.product(batches, lengths):
            feed = sample(self.original.inputs, 7, batch, {"batch": batch, "sequence": length})
            truth, own = self.original.run(feed, "float64"), self.original.run(feed)
            assert list(truth) == names
            for runner in sessions:
                for name, got in zip(names, runner.run(None, feed), strict=True):
                    assert got.shape == own[name].shape
                    assert ratio(got, truth[name], own[name]) <= BUDGET, (name, batch, length)


@pytest.fixture
def port() -> Callable[..., Ported]:
    """Port a module; its inputs are given by name as shapes, or as whole specs."""
    torch = pytest.importorskip("torch")
    from porters.from_pytorch import PyTorchPorter
    from porters.pytorch.sources import open_live

    def build(module: Any, **inputs: Any) -> Ported:
        specs = [
            item if isinstance(item, InputSpec) else InputSpec(name, "float32", tuple(item))
            for name, item in inputs.items()
        ]
        original = open_live(module, SourceOptions(inputs=specs))
        translation = PyTorchPorter().translate(original)
        assert translation.fallback is False
        return Ported(original, translation.model)

    torch.manual_seed(0)
    return build
