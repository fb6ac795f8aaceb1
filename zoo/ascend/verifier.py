"""Checks between two passes that the model still is a legal ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx.defs
import onnx_ir as ir

from zoo.ascend.functions import DOMAIN
from zoo.errors import InternalError

_SHOWN = 5


def verify(model: ir.Model, after: str) -> None:
    """Raise if ``model`` is not legal.

    Legal means: every value is defined once, under a name of its own, before it is used; every operator is in
    the standard, a function of the model, or of a foreign domain that the model imports; and what a function of
    ours is given has the type that its definition expects.

    Args:
        model: The model, as a pass left it.
        after: The name of that pass, for the message.

    Raises:
        InternalError: If the model is not legal: the pass is at fault, whatever the input was.
    """
    problems: list[str] = []
    scopes: Iterable[ir.Graph | ir.Function] = (model.graph, *model.functions.values())
    for scope in scopes:
        problems.extend(_scope_problems(scope, model, frozenset()))
        if len(problems) >= _SHOWN:
            break
    if problems:
        raise InternalError(f"{after} left an illegal graph: " + "; ".join(problems[:_SHOWN]))


def _scope_problems(scope: ir.Graph | ir.Function, model: ir.Model, outer: frozenset[ir.Value]) -> Iterator[str]:
    """Yield what is wrong in a graph, function or subgraph; ``outer`` is what it may see from around it."""
    defined: set[ir.Value] = set(outer)
    names = {value.name for value in outer}
    initializers = scope.initializers.values() if isinstance(scope, ir.Graph) else ()
    for value in {*scope.inputs, *initializers}:
        yield from _define(value, defined, names)
    for node in scope:
        for value in node.inputs:
            if value is not None and value not in defined:
                yield f"{_label(node)} reads {value.name!r} before it is defined"
        yield from _operator_problems(node, scope, model)
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH and not attribute.is_ref():
                yield from _scope_problems(attribute.as_graph(), model, frozenset(defined))
        for value in node.outputs:
            if value.name != "":
                yield from _define(value, defined, names)
    for value in scope.outputs:
        if value not in defined:
            yield f"the output {value.name!r} is never defined"


def _define(value: ir.Value, defined: set[ir.Value], names: set[str | None]) -> Iterator[str]:
    """Enter ``value`` into ``defined`` and ``names``; yield what is wrong with its name."""
    if value.name is None:
        # onnx_ir names it when it writes the file.
        defined.add(value)
        return
    if value.name in names:
        yield f"the name {value.name!r} is defined twice"
    defined.add(value)
    names.add(value.name)


def _operator_problems(node: ir.Node, scope: ir.Graph | ir.Function, model: ir.Model) -> Iterator[str]:
    """Yield what is wrong with the operator of ``node`` and the types it is given."""
    function = model.functions.get(node.op_identifier())
    if function is not None:
        yield from _call_problems(node, function)
        return
    opsets = scope.opset_imports if isinstance(scope, ir.Function) else model.graph.opset_imports
    if node.domain not in opsets:
        yield f"{_label(node)}: the domain {node.domain!r} is not imported"
    elif node.domain == DOMAIN:
        yield f"{_label(node)}: there is no function of that name"
    elif node.domain == "" and not onnx.defs.has(node.op_type, opsets[""], node.domain):
        yield f"{_label(node)}: no such operator in opset {opsets['']}"


def _call_problems(node: ir.Node, function: ir.Function) -> Iterator[str]:
    """Yield where the call ``node`` does not fit the function's inputs and their types."""
    if len(node.inputs) != len(function.inputs):
        yield f"{_label(node)}: {len(node.inputs)} inputs for {len(function.inputs)}"
    for given, wanted in zip(node.inputs, function.inputs, strict=False):
        known = given is not None and given.dtype is not None and wanted.dtype is not None
        if given is None or (known and given.dtype != wanted.dtype):
            found = "nothing" if given is None else str(given.dtype)
            yield f"{_label(node)}: input {wanted.name} wants {wanted.dtype}, gets {found}"


def _label(node: ir.Node) -> str:
    """Return how a message calls ``node``."""
    return f"{node.domain or 'ai.onnx'}::{node.op_type} {node.name!r}"
