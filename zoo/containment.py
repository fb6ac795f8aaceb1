"""Reads ONNX files whose external data stays in the folder they stand in; any other file is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir

from zoo.errors import UserError


def read_graph(file: Path) -> ir.Model:
    """Read an ONNX file; weights stay on disk until they are touched.

    Raises:
        UserError: If the file is no ONNX model or its external data leaves the folder it stands in.
    """
    try:
        model = ir.load(file)
    except Exception as error:
        got = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError("the graph cannot be read", place=str(file), got=got) from error
    if not model.graph.outputs:  # an empty file is a legal protobuf message
        raise UserError("the graph cannot be read", place=str(file), expected="a graph with outputs", got="none")
    check_containment(model, file)
    return model


def check_containment(model: ir.Model, file: Path) -> None:
    """Refuse external data of the model in ``file`` that points anywhere but into plain files beside it.

    Raises:
        UserError: Naming the tensor and its location.
    """
    base, root = file.parent, file.parent.resolve()
    sizes: dict[str, int] = {}
    for tensor in _external_tensors(model):
        location = os.fspath(tensor.location)
        where = f"{file}: tensor {tensor.name!r}"
        if location not in sizes:
            data = base / location
            outside = os.path.isabs(location) or root not in data.resolve().parents
            if outside or data.is_symlink() or not data.is_file():
                raise UserError(
                    "external data must be a plain file inside the artifact",
                    place=where,
                    expected=f"a file in {base}",
                    got=location,
                )
            sizes[location] = data.stat().st_size
        begin, length = tensor.offset or 0, tensor.nbytes if tensor.length is None else tensor.length
        if begin < 0 or length < 0 or begin + length > sizes[location]:
            raise UserError(
                "external data ends beyond its file",
                place=where,
                expected=f"at most {sizes[location]} bytes",
                got=f"offset {begin} + length {length}",
            )


def _external_tensors(model: ir.Model) -> Iterator[ir.ExternalTensor]:
    """Yield every tensor that points into a file: initializers, and attributes of nodes such as Constant."""
    for graph in [model.graph, *model.graph.subgraphs()]:
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                yield value.const_value
    owners: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    for owner in owners:
        for node in owner.all_nodes():
            for attribute in node.attributes.values():
                held = attribute.value if isinstance(attribute.value, (list, tuple)) else [attribute.value]
                yield from (item for item in held if isinstance(item, ir.ExternalTensor))
