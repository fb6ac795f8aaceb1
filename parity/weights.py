"""Holds every weight of the port against the original's, bit for bit and by name."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from parity.guards import Finding
from porters.porter import Original
from zoo.artifact import Artifact
from zoo.graph import PARAMETER, parameters

# Key in a weight's metadata that says how its axes were permuted when it was written, e.g. ``HWIO->OIHW``.
LAYOUT = "zooport.layout"


def compare(artifact: Artifact, original: Original) -> list[Finding]:
    """Return a finding for each weight that is not the original's.

    A fault in one of millions of weights can hide in the noise of the outputs; here it cannot.
    """
    theirs = original.parameters()
    findings = []
    for name, value in parameters(artifact.model().graph).items():
        tensor = value.const_value
        if tensor is None:
            continue
        upstream = tensor.metadata_props.get(PARAMETER, name)
        fault = _fault(tensor, theirs.get(upstream))
        if fault:
            findings.append(Finding("", "weights", "", f"{upstream}: {fault}"))
    return findings


def _fault(tensor: ir.TensorProtocol, expected: np.ndarray | None) -> str:
    if expected is None:
        return "the original has no such weight"
    label = tensor.metadata_props.get(LAYOUT)
    if label:
        before, _, after = label.partition("->")
        expected = expected.transpose([before.index(axis) for axis in after])
    got = tensor.numpy()
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return f"expected {expected.dtype}{list(expected.shape)}, got {got.dtype}{list(got.shape)}"
    same = got.view(np.uint8) == np.ascontiguousarray(expected).view(np.uint8) if got.ndim else got == expected
    if same.all():
        return ""
    wrong = (got != expected) & ~((got != got) & (expected != expected))
    largest = np.abs(got.astype(np.float64) - expected.astype(np.float64)).max()
    return f"{int(wrong.sum())} of {got.size} elements differ, by at most {largest:.3g}"
