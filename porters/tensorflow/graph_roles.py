"""Which tensors of a bare graph are its inputs and its outputs, and which values an input of indices may have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import UserError, did_you_mean

# Operations whose results nobody wants, though nothing reads them: they save, restore, report or train.
_ASIDE = ("Save", "Restore", "MergeV2", "Assign", "Apply", "Resource", "Summary", "Print", "Assert", "Write", "Sharded")
_GATHERS = frozenset({"GatherV2", "Gather", "ResourceGather"})
_PASSES = frozenset({"Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "Snapshot"})


@dataclass(frozen=True)
class Roles:
    """The inputs and outputs of a graph: name -> tensor."""

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


def infer(graph: Any) -> Roles:
    """Return a graph's placeholders, and the tensors that depend on them and that nothing reads."""
    depends: set[str] = set()
    placeholders, ends = [], []
    read = {tensor.name for op in graph.get_operations() for tensor in op.inputs}
    for op in sorted(graph.get_operations(), key=lambda op: op._id):
        if op.type == "Placeholder":
            placeholders.append(op)
        if op.type == "Placeholder" or any(tensor.name in depends for tensor in op.inputs):
            depends.update(tensor.name for tensor in op.outputs)
            aside = op.type == "Placeholder" or any(part in op.type for part in _ASIDE)
            ends += [] if aside or any(tensor.name in read for tensor in op.outputs) else [op]
    outputs = {_named(op, at): tensor for op in ends for at, tensor in enumerate(op.outputs) if _is_numeric(tensor)}
    used = _reached(outputs.values())
    return Roles({op.name: op.outputs[0] for op in placeholders if op.name in used}, outputs)


def _named(op: Any, at: int) -> str:
    return op.name if at == 0 else f"{op.name}:{at}"


def _is_numeric(tensor: Any) -> bool:
    return bool(tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool)


def _reached(tensors: Iterable[Any]) -> set[str]:
    found: set[str] = set()
    pending = [tensor.op for tensor in tensors]
    while pending:
        op = pending.pop()
        if op.name not in found:
            found.add(op.name)
            pending += [tensor.op for tensor in op.inputs]
    return found


def tensor_of(graph: Any, name: str) -> Any:
    """Return the tensor that ``name`` (of a tensor, or of an operation for its first result) means.

    Raises:
        UserError: If the graph has none.
    """
    operation, _, index = name.partition(":")
    try:
        return graph.get_tensor_by_name(f"{operation}:{index or 0}")
    except (KeyError, ValueError) as error:
        known = [op.name for op in graph.get_operations() if op.outputs]
        raise UserError(
            f"the graph has no tensor {name!r}",
            expected="the name of an operation, or of a tensor: NAME:0",
            got=name,
            hint=did_you_mean(operation, known),
        ) from error


def candidates(tensor: Any, operations: Iterable[Any]) -> int:
    """Return how many values an input of indices may have: the rows of the smallest table that it selects from.

    2 where it selects from none, which is right for flags.
    """
    reached, rows = {tensor.name}, []
    buckets = _attribute(tensor.op, "num_buckets")
    if buckets:
        return buckets
    for op in operations:
        if op.type in _PASSES and op.inputs and op.inputs[0].name in reached:
            reached.add(op.outputs[0].name)
        if op.type in _GATHERS and op.inputs[1].name in reached:
            rows += _rows(op.inputs[0])
    return min(rows, default=2)


def _attribute(op: Any, name: str) -> int:
    try:
        return int(op.get_attr(name))
    except ValueError:
        return 0


def _rows(table: Any) -> list[int]:
    if table.op.type == "VarHandleOp":
        sizes = [dim.size for dim in table.op.get_attr("shape").dim]
    else:
        sizes = table.shape.as_list() if table.shape.rank else []
    return [int(sizes[0])] if sizes and sizes[0] else []
