"""Runs a graph on ONNX's own reference evaluator: slow, in NumPy, the definition of each operator."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from zoo.executor import check_feed

if TYPE_CHECKING:
    import numpy as np

    from zoo.inputs import Feed


class ReferenceSession:
    """A reference evaluator; see ``zoo.executor.Session``."""

    name = "reference"

    def __init__(self, evaluator: Any, place: str) -> None:
        self._evaluator = evaluator
        self._place = place
        self._inputs = {item.name: _signature(item) for item in evaluator.proto_.graph.input}

    def run(self, feed: Feed) -> dict[str, np.ndarray]:
        """Return every output by name."""
        checked = check_feed(feed, self._inputs, self._place)
        return dict(zip(self._evaluator.output_names, self._evaluator.run(None, checked), strict=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._evaluator = None


def _signature(item: Any) -> tuple[str, list[int | str | None]]:
    import onnx

    tensor = item.type.tensor_type
    shape = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in tensor.shape.dim]
    return str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)), shape


def load(model: Path, *, optimize: bool = True, threads: int | None = None) -> ReferenceSession:
    """Load an ONNX file; the evaluator neither optimises nor threads, both options change nothing."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    return ReferenceSession(ReferenceEvaluator(onnx.load(str(model))), str(model))
