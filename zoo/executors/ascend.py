"""Compiles a graph for a chip and runs the compiled file: the Ascend emulator."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np

    from zoo.executors.onnxruntime import OnnxRuntimeSession
    from zoo.inputs import Feed


class AscendSession:
    """A compiled program on ONNX Runtime; see ``zoo.executor.Session``."""

    def __init__(self, name: str, session: OnnxRuntimeSession) -> None:
        self.name = name
        self._session = session

    def run(self, feed: Feed) -> dict[str, np.ndarray]:
        """Return every output by name, with the chip's numerics."""
        return self._session.run(feed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.__exit__(kind, error, trace)


def load(model: Path, chip: str, *, optimize: bool = True, threads: int | None = None) -> AscendSession:
    """Compile the ONNX file ``model`` for ``chip`` and load the result.

    Raises:
        UserError: If there is no such chip.
    """
    import onnx_ir as ir

    from zoo.ascend.compiler import compile_model
    from zoo.ascend.hardware import load_chip
    from zoo.executors.onnxruntime import load as load_onnxruntime

    compiled = compile_model(ir.load(model), load_chip(chip))
    content = ir.serde.serialize_model(compiled).SerializeToString()
    session = load_onnxruntime(content, beside=model.parent, optimize=optimize, threads=threads)
    return AscendSession(chip.lower(), session)
