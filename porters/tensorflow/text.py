"""Cuts a graph that reads or returns strings at its first and last numeric tensors: the rest is portable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from porters.tensorflow.graph_roles import Roles
from zoo.errors import UserError


@dataclass(frozen=True)
class Cut:
    """The numeric part of a graph.

    Attributes:
        inputs: Name -> tensor: the numeric inputs, and the first numeric tensors that are made of strings.
        outputs: The numeric outputs.
        notes: What was cut off.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)


def cut(roles: Roles) -> Cut:
    """Return the part of a graph that has a static form.

    Raises:
        UserError: If nothing of the outputs is numeric.
    """
    texts = [name for name, tensor in roles.inputs.items() if _is_text(tensor)]
    outputs = {name: tensor for name, tensor in roles.outputs.items() if not _is_text(tensor)}
    dropped = [name for name in roles.outputs if name not in outputs]
    if not outputs:
        raise UserError(
            "every output is text, which no static graph can return",
            expected="?outputs= with numeric tensors",
            got=", ".join(roles.outputs) or "no output",
        )
    notes = [f"left out: the output {name} is text" for name in dropped]
    inputs = {name: tensor for name, tensor in roles.inputs.items() if name not in texts}
    if texts:
        inputs |= _first_numbers([roles.inputs[name] for name in texts], outputs.values(), inputs)
        named = ", ".join(name for name in inputs if name not in roles.inputs)
        notes.insert(0, f"cut at the first numeric tensors behind the text {', '.join(texts)}: {named} are the inputs")
    return Cut(inputs, outputs, notes)


def _is_text(tensor: Any) -> bool:
    return str(tensor.dtype.base_dtype.name) == "string"


def _is_opaque(tensor: Any) -> bool:
    return tensor.dtype.base_dtype.name in ("string", "variant", "resource")


def _first_numbers(texts: list[Any], outputs: Any, fed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numeric tensors that are made of ``texts`` and that ``outputs`` need."""
    stop = {tensor.name for tensor in fed.values()}
    made = _made_of({tensor.name for tensor in texts}, texts[0].graph)
    found: dict[str, Any] = {}
    pending, seen = list(outputs), set()
    while pending:
        tensor = pending.pop()
        if tensor.name in seen or tensor.name in stop:
            continue
        seen.add(tensor.name)
        if not _is_opaque(tensor) and any(item.name in made for item in tensor.op.inputs):
            found[tensor.name.removesuffix(":0")] = tensor
        else:
            pending += tensor.op.inputs
    return dict(sorted(found.items(), key=lambda item: item[1].op._id))


def _made_of(texts: set[str], graph: Any) -> set[str]:
    """Return the names of strings, lists and handles that are made of ``texts``."""
    made = set(texts)
    for op in sorted(graph.get_operations(), key=lambda op: op._id):
        if any(tensor.name in made for tensor in op.inputs):
            made.update(tensor.name for tensor in op.outputs if _is_opaque(tensor))
    return made
