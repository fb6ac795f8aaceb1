"""Names for variables and attributes: upstream's own where its source says them, else the field's usual ones."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

import onnx_ir as ir

from zoo.mindspore import sources
from zoo.mindspore.body import TOKEN

if TYPE_CHECKING:
    from zoo.mindspore.body import Body
    from zoo.mindspore.tree import Module, Step

# Attributes of nn.Cell that a layer must not replace (MindSpore 2.10, ``dir(nn.Cell())`` without leading underscores).
_OF_CELL = frozenset({
    "add_flags", "apply", "arguments_key", "bprop_debug", "buffers", "cast_inputs", "cell_init_args", "cell_type",
    "cells", "cells_and_names", "check_names", "cls_name", "compile", "compile_and_run", "compile_cache",
    "compile_phase", "compiled", "construct", "create_time", "exist_names", "exist_objs", "extend_repr",
    "generate_scope", "get_buffer", "get_flags", "get_func_graph_proto", "get_inputs", "get_parameters",
    "get_scope", "get_sub_cell", "global_cells", "grad_ops_label", "has_bprop", "init_parameters_data",
    "insert_child_to_cell", "insert_param_to_cell", "is_top_cell", "jit_config_dict", "load_state_dict",
    "mixed_precision_type", "name_cells", "named_buffers", "offload", "param_prefix", "parameter_layout_dict",
    "parameters_and_names", "parameters_broadcast_dict", "parameters_dict", "phase", "phase_cache",
    "pipeline_segment", "pipeline_stage", "place", "recompute", "register_buffer", "remove_redundant_parameters",
    "requires_grad", "run_construct", "set_boost", "set_broadcast_flag", "set_comm_fusion", "set_data_parallel",
    "set_grad", "set_inputs", "set_jit_config", "set_mixed_precision_type", "set_train", "shard", "state_dict",
    "to", "to_empty", "to_float", "total_instance_count", "trainable_params", "training", "untrainable_params",
    "update_cell_type", "self",
})  # fmt: skip
# Names that the code needs for other things.
_TAKEN = frozenset({
    "ms", "nn", "ops", "np", "mint", "Tensor", "Parameter", "initializer", "self", "min", "max", "range", "float",
    "int", "bool", "len", "tuple", "list",
})  # fmt: skip
# Results that are not simply what went in, worked on.
_RESULTS = {
    "Attention": "context", "Softmax": "weights", "Range": "positions", "Embedding": "embeddings", "NonZero": "places",
    "ArgMax": "best", "ArgMin": "least", "Concat": "joined", "Shape": "shape", "OneHot": "encoded",
    **dict.fromkeys(
        ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Not", "Xor", "IsNaN"), "mask"
    ),
}  # fmt: skip
_SEVERAL = {"TopK": ("values", "indices"), "LSTM": ("output", "hidden", "cell"), "GRU": ("output", "hidden")}


# (operator, operand) -> what the field calls it.
_USED_AS = {("RotaryEmbedding", 1): "cos", ("RotaryEmbedding", 2): "sin"}


def clean(text: str) -> str:
    """Return a name for a variable that comes nearest to ``text``."""
    name = re.sub(r"\W+", "_", text).strip("_") or "value"
    name = name if not name[0].isdigit() else f"value{name}"
    return name if sources.is_name(name) else f"{name}_"


def attribute(hint: str, taken: Container[str]) -> str:
    """Return a name for an attribute that is not taken yet."""
    base = clean(hint) if not hint[:1].isdigit() else f"layer{re.sub(r'[^0-9a-zA-Z]+', '_', hint)}"
    base = f"{base}_" if base in _OF_CELL else base
    name, count = base, 2
    while name in taken:
        name, count = f"{base}{count}", count + 1
    return name


def of_input(value: ir.Value, at: int, place: sources.Place, module: Module) -> list[str]:
    """Return what an argument of ``construct`` may be called."""
    if not module.path:
        return [clean(str(value.name))]
    role, arguments = _roles(value), place.arguments
    known = [name for name in role if name in arguments]
    if arguments and (at == 0 or place.required == len(module.inputs)):
        return [arguments[at], *role]
    return [*known, *role, "mask" if value.dtype == ir.DataType.BOOL else "x"]


def _roles(value: ir.Value) -> list[str]:
    """Return what upstream calls a value where it is computed."""
    producer = value.producer()
    if producer is None:
        return [clean(str(value.name))]
    return [*_used_as(value), *of_step(producer)]


def _used_as(value: ir.Value) -> list[str]:
    return [_USED_AS[key] for user in value.uses() if (key := (user.node.op_type, user.idx)) in _USED_AS][:1]


def of_step(node: ir.Node | None) -> list[str]:
    """Return what the results of a node may be called, by its line and its operator."""
    if node is None:
        return ["x"]
    targets = sources.place(node.metadata_props.get("zooport.line", "")).targets
    return [*(name for name in targets if sources.is_name(name)), _RESULTS.get(node.op_type, "x")]


def of_value(step: Step, targets: Sequence[str], like: Sequence[str]) -> list[str]:
    """Return what a step's only result may be called."""
    known = [_RESULTS[step.node.op_type]] if step.node.op_type in _RESULTS else []
    used = _used_as(step.outputs[0])
    return [*used, *(name for name in targets if sources.is_name(name)), *known, *like, "x"]


def of_results(step: Step, targets: Sequence[str]) -> list[list[str]]:
    """Return what each of a step's results may be called."""
    usual = _SEVERAL.get(step.node.op_type, ())
    hints: list[list[str]] = []
    for at in range(len(step.outputs)):
        said = [targets[at]] if at < len(targets) and len(targets) == len(step.outputs) else []
        named = [usual[at]] if at < len(usual) else []
        hints.append([*(name for name in said if sources.is_name(name)), *named, "part"])
    return hints


def of_module(module: Module, value: ir.Value, arguments: Sequence[str]) -> list[str]:
    """Return what a result of a module may be called where the module is called."""
    if len(module.outputs) > 1:
        return [*_roles(value), "x"]
    same = bool(module.inputs) and module.inputs[0].dtype == value.dtype
    like = [argument for argument in arguments[:1] if same and TOKEN.fullmatch(argument)]
    if not same:
        return [clean(module.name), "x"]
    return [*(like or ["x"]), "x" if module.name.isdigit() else clean(module.name), "x"]


def assigned(body: Body, taken: Container[str]) -> dict[str, str]:
    """Return a name for every variable of a body; two share one where the first is not needed any more."""
    spans = _spans(body)
    names: dict[str, str] = {}
    for token in sorted(spans, key=lambda item: spans[item][0]):
        begin, _ = spans[token]
        alive = {names[other] for other in names if spans[other][1] > begin or spans[other][0] == begin}
        names[token] = _free([names.get(hint, hint) for hint in body.variables[token].hints], alive, taken)
    return names


def _free(hints: Sequence[str], alive: Container[str], taken: Container[str]) -> str:
    usable = [hint for hint in hints if not TOKEN.fullmatch(hint)]
    usable = [f"{hint}_" if hint in _TAKEN or hint in taken else hint for hint in usable] or ["x"]
    for hint in usable:
        if hint not in alive:
            return hint
    base, count = usable[0].rstrip("0123456789") or usable[0], 2
    while f"{base}{count}" in alive:
        count += 1
    return f"{base}{count}"


def _spans(body: Body) -> dict[str, tuple[float, float]]:
    """Return, for each variable, where it begins and where it is used last; a loop begins before its statement."""
    spans: dict[str, tuple[float, float]] = dict.fromkeys(body.inputs, (-1.0, -1.0))
    for at, statement in enumerate(body.statements):
        for token in TOKEN.findall(statement.text):
            spans[token] = (spans[token][0], float(at))
        for token in statement.targets:
            begin = at - 0.5 if statement.loop else float(at)
            spans[token] = (min(spans.get(token, (begin, 0))[0], begin), max(spans.get(token, (0, begin))[1], begin))
    for result in body.results:
        for token in TOKEN.findall(result):
            spans[token] = (spans[token][0], float(len(body.statements)))
    return spans
