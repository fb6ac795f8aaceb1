"""Writes a graph of the zoo's opset in an older one, for tools that stop earlier (ATC reads 11 to 18)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import onnx
import onnx.inliner
import onnx_ir as ir
from onnx_ir.passes import common

from zoo.ascend.passes.fold_constants import FoldConstantsPass
from zoo.errors import UserError
from zoo.graph import OPSET
from zoo.opset import changes, composites
from zoo.opset.rewriter import Rewriter
from zoo.sizes import settle_sizes

OLDEST = 11
Rule = Callable[[ir.Node, Rewriter], None]
_REDUCTIONS = [
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
]
# Operator -> what stands for it where the older opset has it not, or not so.
_RULES: Mapping[str, Rule] = {
    "Gelu": composites.gelu,
    "Swish": composites.swish,
    "HardSwish": composites.hard_swish,
    "Mish": composites.mish,
    "LayerNormalization": composites.layer_norm,
    "RMSNormalization": composites.rms_norm,
    "GroupNormalization": composites.group_norm,
    "Attention": composites.attention,
    **dict.fromkeys((*_REDUCTIONS, "Squeeze", "Unsqueeze"), changes.axes_to_attribute),
    "Split": changes.split,
    "Pad": changes.pad,
    **dict.fromkeys(("Softmax", "LogSoftmax"), changes.softmax),
    "Shape": changes.shape,
    "CastLike": changes.cast_like,
    "GridSample": changes.grid_sample,
    "Resize": changes.resize,
}
# Operators whose meaning changed under the same attributes: (since, rule needed before it).
_REDEFINED = {"GroupNormalization": 21, "Softmax": 13, "LogSoftmax": 13, "GridSample": 20}
# IR version of the releases that brought these opsets; what reads one reads the other.
_IR_VERSIONS = {11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11}


def lowered(model: ir.Model, opset: int) -> ir.Model:
    """Return a copy of ``model`` in an older opset; weights are shared with it.

    Args:
        model: A graph of the zoo's opset.
        opset: From 11 to the zoo's own.

    Raises:
        UserError: If the opset is none of these, or naming every operator that it cannot say.
    """
    if not OLDEST <= opset <= OPSET:
        raise UserError("there is no way to this opset", place="--opset", expected=f"{OLDEST} to {OPSET}", got=opset)
    model = model.clone()
    if opset == OPSET:
        return model
    _inline(model, opset)
    for graph in model.graphs():
        graph.opset_imports[""] = opset
    model.opset_imports[""] = opset
    refused: dict[str, ir.Node] = {}
    for _ in range(4):  # what a rule writes may itself be too new
        for node in list(model.graph.all_nodes()):
            if not _fits(node, opset):
                _lower(node, opset, refused)
    if refused:
        raise _refusal(refused, opset)
    FoldConstantsPass()(model)
    common.RemoveUnusedNodesPass()(model)
    common.NameFixPass()(model)
    model.ir_version = _IR_VERSIONS[opset]
    return model


def _lower(node: ir.Node, opset: int, refused: dict[str, ir.Node]) -> None:
    _drop_defaults(node, opset)
    if _fits(node, opset):
        return
    rule = _RULES.get(node.op_type)
    try:
        if rule is None:
            raise NotImplementedError("there is no way to say it")
        rule(node, Rewriter(node))
    except NotImplementedError as error:
        refused.setdefault(f"{node.op_type}: {error}", node)


def _inline(model: ir.Model, opset: int) -> None:
    """Write out composites that have no rule here by the definition that comes with the standard."""
    names = {node.op_type for node in model.graph.all_nodes() if not node.domain}
    missing = [(("", name)) for name in sorted(names - set(_RULES)) if not _exists(name, opset) and _composed(name)]
    if not missing:
        return
    weights = {name: value.const_value for name, value in model.graph.initializers.items()}
    proto = onnx.inliner.inline_selected_functions(ir.to_proto(model), missing, False, True)
    inlined: ir.Model = ir.from_proto(proto)
    for name, value in inlined.graph.initializers.items():
        value.const_value = weights.get(name, value.const_value)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(inlined)
    settle_sizes(inlined)
    model.graph = inlined.graph


def _exists(name: str, opset: int) -> bool:
    return bool(onnx.defs.has(name, opset, ""))


def _composed(name: str) -> bool:
    schema = onnx.defs.get_schema(name, OPSET, "")
    return bool(schema.has_function or schema.has_context_dependent_function)


def _fits(node: ir.Node, opset: int) -> bool:
    """Say whether the older opset has an operator with these attributes, operands and types, and the same meaning."""
    if node.domain or node.op_type == "Constant":
        return True
    if not _exists(node.op_type, opset) or opset < _REDEFINED.get(node.op_type, 0):
        return _is_old_softmax(node, opset)
    schema = onnx.defs.get_schema(node.op_type, opset, "")
    operands = [value for value in node.inputs if value is not None]
    if set(node.attributes) - set(schema.attributes) or len(node.inputs) > schema.max_input:
        return False
    required = [place for place, formal in enumerate(schema.inputs) if formal.option.name == "Single"]
    if len(operands) < schema.min_input or any(
        place >= len(node.inputs) or node.inputs[place] is None for place in required
    ):
        return False
    return all(_allowed(schema, place, value) for place, value in enumerate(node.inputs))


def _is_old_softmax(node: ir.Node, opset: int) -> bool:
    """Over the last axis, said as a positive number, both definitions agree."""
    if node.op_type not in ("Softmax", "LogSoftmax") or node.inputs[0] is None or node.inputs[0].shape is None:
        return False
    return node.attributes.get_int("axis", -1) == len(node.inputs[0].shape) - 1


def _allowed(schema: Any, place: int, value: ir.Value | None) -> bool:
    if value is None or value.dtype is None:
        return True
    formal = schema.inputs[min(place, len(schema.inputs) - 1)]
    name = {"float32": "float", "float64": "double"}.get(value.dtype.name.lower(), value.dtype.name.lower())
    return not formal.types or f"tensor({name})" in formal.types or not any("tensor" in kind for kind in formal.types)


def _drop_defaults(node: ir.Node, opset: int) -> None:
    """Drop attributes that the older opset does not know, where they say what it does anyway."""
    if not _exists(node.op_type, opset):
        return
    now, then = (onnx.defs.get_schema(node.op_type, version, "") for version in (OPSET, opset))
    for name, attribute in list(node.attributes.items()):
        if name in then.attributes or name not in now.attributes:
            continue
        default = now.attributes[name].default_value
        plain = onnx.helper.get_attribute_value(default) if default.name else None
        plain = plain.decode() if isinstance(plain, bytes) else plain
        if attribute.value == plain or (name == "dilations" and set(attribute.as_ints()) == {1}):
            node.attributes.pop(name)


def _refusal(refused: Mapping[str, ir.Node], opset: int) -> UserError:
    return UserError(
        f"opset {opset} cannot say some operators",
        place="the graph",
        expected=f"operators of opset {opset}, or ones with a definition in it",
        got="\n             ".join(_places(refused)),
        hint="a newer --opset may do, or fixed sizes (port with --dynamic NAME=N..N)",
    )


def _places(refused: Mapping[str, ir.Node]) -> Iterator[str]:
    for what, node in refused.items():
        module = node.metadata_props.get("zooport.module", "")
        yield what + (f", in {module}" if module else f", at {node.name}" if node.name else "")
