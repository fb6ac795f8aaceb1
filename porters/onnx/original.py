"""The original: an untouched ONNX file, run by ONNX Runtime, and node by node in other precisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from porters.onnx.program import Program
from porters.onnx.reading import read
from porters.porter import Precision, Steps
from zoo.inputs import Feed, InputSpec
from zoo.store import read_tensor


@dataclass
class OnnxOriginal:
    """See :class:`porters.porter.Original` for the attributes.

    Attributes:
        file: The file as it was given; nothing ever writes to it.
    """

    file: Path
    name: str
    reference: str
    inputs: Sequence[InputSpec]
    outputs: Sequence[str]
    versions: Mapping[str, str]
    checkpoint: Mapping[str, Any]
    details: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    task: str = "unknown"
    framework: str = "onnx"
    runs: bool = True
    _session: Any = field(default=None, init=False, repr=False)
    _program: Program | None = field(default=None, init=False, repr=False)

    def run(self, feed: Feed, precision: Precision = "own") -> dict[str, np.ndarray]:
        """Run the file as it is, or its nodes one by one in another precision; see the protocol."""
        if precision != "own":
            return self._steps().run(feed, precision)
        from zoo.executors.onnxruntime import load

        if self._session is None:
            # Operator by operator, as the file says it: optimised, ONNX Runtime would put kernels of 8 bits in place of
            # quantised floats, which are 4 % off on a small ResNet.
            self._session = load(self.file, optimize=False)
        results: dict[str, np.ndarray] = self._session.run({spec.name: feed[spec.name] for spec in self.inputs})
        return {name: results[name] for name in self.outputs}

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the initializers of the file by name."""
        found = read(self.file).graph.initializers
        return {name: read_tensor(v.const_value) for name, v in found.items() if v.const_value is not None}

    def steps(self, ported: Sequence[InputSpec]) -> Steps:
        """Return the file's own graph, to be run node by node; its sizes follow from the inputs."""
        return self._steps()

    def _steps(self) -> Program:
        if self._program is None:
            self._program = Program(read(self.file))
        return self._program
