"""``onnx:FILE``: a graph that another exporter wrote, and where its weights lie."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx_ir as ir

from porters.onnx.original import OnnxOriginal
from porters.onnx.reading import external_files, opset_of, read
from porters.onnx.signature import signature
from porters.source import SourceOptions, with_inputs
from zoo.artifact import sha256
from zoo.errors import UserError


def open_reference(scheme: str, rest: str, options: SourceOptions) -> OnnxOriginal:
    """Return the original for ``onnx:FILE``.

    Raises:
        UserError: If the file is missing, no ONNX model, or reaches out of its folder; if weights are given besides.
    """
    file = Path(rest).expanduser()
    if options.weights is not None:
        raise UserError("an ONNX file brings its own weights", place="--weights", expected="none", got=options.weights)
    model = read(file)
    import onnx
    import onnxruntime

    files = [file, *(file.parent / location for location in external_files(file))]
    return OnnxOriginal(
        file=file,
        name=file.stem.lower(),
        reference=f"{scheme}:{file.resolve()}",
        inputs=with_inputs(signature(model, file), options.inputs),
        outputs=[str(value.name) for value in model.graph.outputs],
        versions={"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__},
        checkpoint={"kind": "file", "files": [{"name": item.name, "sha256": sha256(item)} for item in files]},
        details={"notes": _origin(model)},
    )


def _origin(model: ir.Model) -> Iterable[str]:
    producer = " ".join(item for item in (model.producer_name, model.producer_version) if item)
    return [f"the file is of opset {opset_of(model)}{f', written by {producer}' if producer else ''}"]
