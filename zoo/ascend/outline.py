"""Writes a program as one ONNX model: each kernel a function of the domain ``ai.ascend`` with what is known of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import onnx_ir as ir

from zoo.ascend.formats import FORMAT, Format, storage_shape
from zoo.ascend.functions import DOMAIN, VERSION
from zoo.ascend.kernels import Kernel, groups, static_shape
from zoo.ascend.memory import Plan, plan
from zoo.ascend.operators import KERNEL
from zoo.ascend.program import Program
from zoo.ascend.verifier import verify
from zoo.ascend.workload import tilings

# Operators named in a function's name; more would make it unreadable.
_NAMED: Final = 4


def outline(program: Program) -> ir.Model:
    """Return the program's model with one call per kernel; any ONNX runtime that runs functions runs it.

    Metadata of each call: ``unit``, ``bound`` and times (modelled, in microseconds), ``cycles`` and ``tile`` of its
    products, ``bytes`` read and written, and ``source``. Metadata of each tensor: format, storage shape and its place
    in the arena. The program's own model is left as it is.
    """
    model = program.model.clone()
    memory = plan(program.kernels)
    functions: dict[str, tuple[str, str]] = {}
    for kernel, nodes in zip(program.kernels, groups(model), strict=True):
        call = _call(model, nodes, functions)
        call.metadata_props.update(_notes(program, kernel))
        for value in call.outputs:
            value.metadata_props.update(_layout(value, memory))
    for node in model.graph:
        node.metadata_props.pop(KERNEL, None)
    model.metadata_props.update(
        {
            "ascend.chip": program.chip.name,
            "ascend.precision": program.precision,
            "ascend.sizes": json.dumps(dict(program.sizes)),
            "ascend.arena_bytes": str(memory.arena_bytes),
            "ascend.weight_bytes": str(memory.weight_bytes),
            "ascend.modelled_us": f"{program.seconds * 1e6:.3f}",
        }
    )
    verify(model, after="outline")
    return model


def _notes(program: Program, kernel: Kernel) -> dict[str, str]:
    """Return what is known of ``kernel``; figures of the cost model are called modelled."""
    spent, index = program.costs, kernel.index
    cut = tilings(kernel, program.chip)
    notes: dict[str, Any] = {
        "unit": kernel.unit,
        "operators": " + ".join(kernel.operators),
        "source": kernel.source,
        "bytes_read": sum(tensor.bytes for tensor in kernel.reads),
        "bytes_written": sum(tensor.bytes for tensor in kernel.writes),
        "modelled.us": f"{spent.seconds[index] * 1e6:.3f}",
        "modelled.bound": spent.bound(index),
    }
    if cut:
        notes["tile"] = ";".join("x".join(map(str, item.tile)) for item in cut)
        notes["cores"] = ";".join(str(item.cores) for item in cut)
        notes["cube_cycles"] = round(sum(item.cube_cycles for item in cut))
    return {f"ascend.{key}": str(value) for key, value in notes.items() if value != ""}


def _layout(value: ir.Value, memory: Plan) -> dict[str, str]:
    """Return format, storage shape and place of a tensor."""
    layout = Format(value.metadata_props.get(FORMAT, "ND"))
    notes = {FORMAT: str(layout), "ascend.storage_shape": str(list(storage_shape(static_shape(value), layout)))}
    if value.name is not None and value.name in memory.offsets:
        notes["ascend.offset"] = str(memory.offsets[value.name])
    return notes


def _call(model: ir.Model, nodes: Sequence[ir.Node], functions: dict[str, tuple[str, str]]) -> ir.Node:
    """Replace ``nodes`` by a call of a function that holds them, and return the call."""
    root, last, inside = nodes[0], nodes[-1], set(nodes)
    if len(nodes) == 1 and root.domain == DOMAIN:
        return root
    if any(attribute.type == ir.AttributeType.GRAPH for node in nodes for attribute in node.attributes.values()):
        # The body of a loop sees values around it, a function would not.
        return root
    given = list(
        dict.fromkeys(value for node in nodes for value in node.inputs if value and value.producer() not in inside)
    )
    made = [
        value
        for node in nodes
        for value in node.outputs
        if value.is_graph_output() or any(use.node not in inside for use in value.uses())
    ]
    name = _function(model, nodes, given, made, functions)
    call = ir.node(name, given, domain=DOMAIN, name=root.name, num_outputs=len(made))
    call.metadata_props.update(root.metadata_props)
    model.graph.insert_after(last, call)
    for old, new in zip(made, call.outputs, strict=True):
        new.type, new.shape = old.type, old.shape
        new.metadata_props.update(old.metadata_props)
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
        new.name, old.name = old.name, None
    model.graph.remove(nodes, safe=True)
    return call


def _function(
    model: ir.Model,
    nodes: Sequence[ir.Node],
    given: Sequence[ir.Value],
    made: Sequence[ir.Value],
    functions: dict[str, tuple[str, str]],
) -> str:
    """Return the name of the function that computes ``made`` from ``given``; kernels that are alike share one."""
    names = {value: f"i{index}" for index, value in enumerate(given)}
    for number, node in enumerate(nodes):
        names.update({value: f"v{number}_{index}" for index, value in enumerate(node.outputs)})
    key = json.dumps(
        [[node.domain, node.op_type, _signature(node), [_ref(v, names) for v in node.inputs]] for node in nodes]
    )
    key += json.dumps([_ref(value, names) for value in made]) + json.dumps([str(value.dtype) for value in given])
    if key in functions:
        return functions[key][0]
    label = "_".join(node.op_type for node in nodes[:_NAMED]) + ("_etc" if len(nodes) > _NAMED else "")
    count = sum(used == label for _, used in functions.values())
    name = f"Kernel_{label}" + (f"_{count}" if count else "")
    functions[key] = name, label
    function = _body(model, name, nodes, given, made, names)
    model.functions[function.identifier()] = function
    return name


def _body(
    model: ir.Model,
    name: str,
    nodes: Sequence[ir.Node],
    given: Sequence[ir.Value],
    made: Sequence[ir.Value],
    names: dict[ir.Value, str],
) -> ir.Function:
    """Return the function: copies of ``nodes``, without shapes, since kernels of other sizes share it."""
    inner = {value: ir.Value(name=names[value], type=value.type) for value in given}
    copies = []
    for node in nodes:
        results = [ir.Value(name=names[value], type=value.type) for value in node.outputs]
        copies.append(
            ir.Node(
                node.domain,
                node.op_type,
                [inner[value] if value is not None else None for value in node.inputs],
                list(node.attributes.values()),
                outputs=results,
                metadata_props={"unit": node.metadata_props.get("unit", "vector")},
            )
        )
        inner.update(zip(node.outputs, results, strict=True))
    imports = {"": model.graph.opset_imports[""], DOMAIN: VERSION}
    graph = ir.Graph(
        [inner[value] for value in given], [inner[value] for value in made], nodes=copies, opset_imports=imports
    )
    model.graph.opset_imports[DOMAIN] = VERSION
    return ir.Function(DOMAIN, name, graph=graph, attributes=[])


def _ref(value: ir.Value | None, names: dict[ir.Value, str]) -> str:
    return "" if value is None else names[value]


def _signature(node: ir.Node) -> str:
    return json.dumps(sorted((name, str(attribute)) for name, attribute in node.attributes.items()))
