"""Reads an ONNX file into the form that the port and the original's own runs share: no functions, every value named."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes import common

from porters.porter import Unsupported, UnsupportedOpsError
from zoo.containment import read_graph
from zoo.errors import UserError
from zoo.graph import INLINE_BYTES, Provenance
from zoo.store import read_tensor

STANDARD = ("", "ai.onnx")
BATCH = "batch"


def read(file: Path) -> ir.Model:
    """Return the model in ``file``: functions inlined, every value named, initializers no inputs, the batch so called.

    Weights stay on disk until they are touched. Names are given in the order of the nodes: two readings agree.

    Raises:
        UserError: If the file is missing, is no ONNX model, or its external data leaves its folder.
    """
    if not file.is_file():
        raise UserError("the ONNX file does not exist", place=str(file), hint="onnx:FILE takes a path")
    model = read_graph(file)
    _drop_identities(model)
    if "" not in model.opset_imports and "ai.onnx" not in model.opset_imports:
        raise UserError("the file imports no standard opset", place=str(file), expected="an opset of ai.onnx")
    for item in (
        common.InlinePass(),
        common.RemoveInitializersFromInputsPass(),
        common.RemoveUnusedNodesPass(),
        common.TopologicalSortPass(),
        common.NameFixPass(),
        common.RemoveUnusedOpsetsPass(),
    ):
        item(model)
    _name_batch(model)
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if isinstance(tensor, ir.ExternalTensor) and tensor.nbytes <= INLINE_BYTES:  # as likely a size as a weight
            value.const_value = ir.tensor(read_tensor(tensor), name=tensor.name)
    return model


def _drop_identities(model: ir.Model) -> None:
    """Take what stands behind an Identity for what stands before it: shared weights stand behind one.

    Not where the result is a graph's own: a body that gives back a value from around it needs the node.
    """
    for graph in model.graphs():
        for node in list(graph):
            if node.op_type != "Identity" or node.domain not in STANDARD or node.outputs[0].is_graph_output():
                continue
            if (value := node.inputs[0]) is not None:
                node.outputs[0].replace_all_uses_with(value)
                graph.remove(node, safe=True)


def _name_batch(model: ir.Model) -> None:
    """Call the symbolic size that every input begins with ``batch``, as the zoo does, whatever the file calls it."""
    first = {value.shape[0] if value.shape else None for value in model.graph.inputs}
    dim = next(iter(first)) if len(first) == 1 else None
    if not isinstance(dim, ir.SymbolicDim) or not dim.value or dim.value == BATCH:
        return
    for graph in model.graphs():
        values = [*graph.inputs, *(value for node in graph for value in node.outputs)]
        for value in values:
            if value.shape is not None:
                value.shape = ir.Shape([BATCH if size == dim else size for size in value.shape])


def external_files(file: Path) -> list[str]:
    """Return where the external data of ``file`` lies, relative to its folder."""
    values = read_graph(file).graph.initializers.values()
    tensors = (value.const_value for value in values)
    return sorted({str(tensor.location) for tensor in tensors if isinstance(tensor, ir.ExternalTensor)})


def opset_of(model: ir.Model) -> int:
    """Return the version of the standard operators that ``model`` uses."""
    imports = model.opset_imports
    return int(imports.get("", imports.get("ai.onnx", 0)))


def provenance(node: ir.Node) -> Provenance:
    """Return where a node of the file comes from; the path in its name is that of the module that made it."""
    name = node.name or str(node.outputs[0].name)
    module = name.strip("/").rpartition("/")[0]
    domain = "" if node.domain in STANDARD else f"{node.domain}."
    return Provenance(op=f"{domain}{node.op_type}", module=module, node=name)


def refuse_private(model: ir.Model) -> None:
    """Refuse operators that no standard defines.

    Raises:
        UnsupportedOpsError: Naming each of them, with where it stands.
    """
    found = [node for node in model.graph.all_nodes() if node.domain not in STANDARD]
    if found:
        raise UnsupportedOpsError(
            [
                Unsupported(
                    f"{node.domain}.{node.op_type}",
                    provenance(node).module or str(node.name),
                    "",
                    "export again without a runtime's own fusions, or with the operator as a function of the model",
                )
                for node in found
            ]
        )
