"""Compiles a graph for a chip and runs the compiled file: the Ascend emulator."""

from __future__ import annotations

from collections.abc import Collection
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


def load(
    model: Path,
    chip: str,
    *,
    optimize: bool = True,
    threads: int | None = None,
    precision: str | None = None,
    keep: Collection[str] = (),
    implementation: str | None = None,
) -> AscendSession:
    """Compile the ONNX file ``model`` for ``chip`` and load the result.

    Args:
        model: The file; its external data lies beside it.
        chip: A name of ``zoo.ascend.hardware``.
        optimize: Whether ONNX Runtime may rewrite the compiled graph.
        threads: Threads to use; the default is the runtime's own choice.
        precision: A mode of ``zoo.ascend.precision``; the default is ``cube_fp16``.
        keep: Patterns of node names or source modules that stay in float32.
        implementation: ``high_performance`` (the default) or ``high_precision``.

    Raises:
        UserError: If there is no such chip or precision, or the chip lacks its type.
    """
    import onnx_ir as ir

    from zoo.ascend.compiler import compile_model
    from zoo.ascend.hardware import load_chip
    from zoo.ascend.precision import DEFAULT_MODE, HIGH_PERFORMANCE
    from zoo.executors.onnxruntime import load as load_onnxruntime

    compiled = compile_model(
        ir.load(model),
        load_chip(chip),
        precision or DEFAULT_MODE,
        keep=keep,
        implementation=implementation or HIGH_PERFORMANCE,
    )
    content = ir.serde.serialize_model(compiled).SerializeToString()
    session = load_onnxruntime(content, beside=model.parent, optimize=optimize, threads=threads)
    return AscendSession(chip.lower(), session)
