"""Holds every weight of the port against the original's, bit for bit and by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import safetensors

from parity.guards import Finding
from porters.porter import Original
from zoo.artifact import WEIGHTS, Artifact
from zoo.derived import DERIVED, LAYOUT, evaluate, load_recipe, relaid
from zoo.graph import PARAMETER, parameters
from zoo.store import read_tensor

# Bytes that are compared at once.
PIECE = 1 << 24


def compare(artifact: Artifact, original: Original) -> list[Finding]:
    """Return a finding for each weight that is not the original's, or not what its recipe makes of the original's.

    A fault in one of millions of weights can hide in the noise of the outputs; here it cannot.
    """
    theirs = original.parameters()
    graph = artifact.model().graph
    faults = {}
    for name, value in parameters(graph).items():
        tensor = value.const_value
        if tensor is not None:
            upstream = tensor.metadata_props.get(PARAMETER, name)
            faults[upstream] = _fault(read_tensor(tensor), expected(tensor, upstream, theirs))
    for name, array in _beside(artifact, graph).items():
        faults[name] = _fault(array, theirs.get(name))
    return [Finding("", "weights", "", f"{name}: {fault}") for name, fault in faults.items() if fault]


def _beside(artifact: Artifact, graph: ir.Graph) -> dict[str, np.ndarray]:
    """Return the weights that are kept beside the graph: what was folded into others."""
    file = artifact.path / WEIGHTS
    if not file.exists():
        return {}
    with safetensors.safe_open(file, "np") as stream:
        return {name: stream.get_tensor(name) for name in stream.keys() if name not in graph.initializers}  # noqa: SIM118


def expected(tensor: ir.TensorProtocol, upstream: str, theirs: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return what a port's weight must be, from its recipe and upstream's; ``None`` where upstream has none for it."""
    recipe, layout = tensor.metadata_props.get(DERIVED), tensor.metadata_props.get(LAYOUT)
    try:
        if recipe:
            return evaluate(load_recipe(recipe), theirs)
        return relaid(theirs[upstream], layout) if layout else theirs[upstream]
    except (KeyError, ValueError):
        return None


def _fault(got: np.ndarray, expected: np.ndarray | None) -> str:
    if expected is None:
        return "the original has no such weight"
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return f"expected {expected.dtype}{list(expected.shape)}, got {got.dtype}{list(got.shape)}"
    if _same_bits(got, expected):
        return ""
    wrong = (got != expected) & ~((got != got) & (expected != expected))
    largest = np.abs(got.astype(np.float64) - expected.astype(np.float64)).max()
    return f"{int(wrong.sum())} of {got.size} elements differ, by at most {largest:.3g}"


def _same_bits(got: np.ndarray, expected: np.ndarray) -> bool:
    """Compare bit for bit, a piece at a time: a whole comparison would take as much memory again."""
    left, right = (np.ascontiguousarray(item).reshape(-1).view(np.uint8) for item in (got, expected))
    return all(
        np.array_equal(left[start : start + PIECE], right[start : start + PIECE])
        for start in range(0, left.size, PIECE)
    )
