"""Runs a graph on ONNX's own reference evaluator: slow, in NumPy, the definition of each operator."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np

    from zoo.inputs import Feed


class ReferenceSession:
    """A reference evaluator; see ``zoo.executor.Session``."""

    name = "reference"

    def __init__(self, evaluator: Any) -> None:
        self._evaluator = evaluator

    def run(self, feed: Feed) -> dict[str, np.ndarray]:
        """Return every output by name."""
        return dict(zip(self._evaluator.output_names, self._evaluator.run(None, feed), strict=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._evaluator = None


def load(model: Path, *, optimize: bool = True, threads: int | None = None) -> ReferenceSession:
    """Load an ONNX file; the evaluator neither optimises nor threads, both options change nothing."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    return ReferenceSession(ReferenceEvaluator(onnx.load(str(model))))
