"""Brings a graph of any opset to the zoo's: the standard's own converter does it, with the weights left out."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from porters.onnx.reading import opset_of
from zoo.errors import UserError
from zoo.graph import INLINE_BYTES, IR_VERSION, OPSET


def upgraded(model: ir.Model, place: str) -> ir.Model:
    """Return ``model`` in the zoo's opset; ``model`` itself may be changed.

    Weights are neither read nor copied: they stand as inputs while the converter works.

    Raises:
        UserError: If the converter has no way, or an operator in a branch or loop would change its meaning.
    """
    before = opset_of(model)
    if before == OPSET:
        return model
    _refuse_changed_bodies(model, before, place)
    if not any(_changed(node, before) for node in model.graph):
        return _relabelled(model)
    weights = _without_weights(model)
    try:
        proto = onnx.shape_inference.infer_shapes(ir.to_proto(model))
        converted: ir.Model = ir.from_proto(onnx.version_converter.convert_version(proto, OPSET))
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"ONNX's converter cannot bring opset {before} to {OPSET}",
            place=place,
            got=lines[0][:300],
            hint="export again with a newer opset",
        ) from error
    _put_back(converted, weights)
    return converted


def _changed(node: ir.Node, before: int) -> bool:
    """Say whether the definition of an operator differs between two opsets."""
    try:
        then, now = (onnx.defs.get_schema(node.op_type, version, "") for version in (before, OPSET))
    except onnx.defs.SchemaError:
        return True
    return bool(then.since_version != now.since_version)


def _refuse_changed_bodies(model: ir.Model, before: int, place: str) -> None:
    """Refuse what the converter passes over: operators in the bodies of If, Loop and Scan.

    An operator that only takes more types in a newer opset is the same operator.
    """
    outer = set(model.graph)
    inside = [node for node in model.graph.all_nodes() if node not in outer and _changed(node, before)]
    risky = sorted({node.op_type for node in inside if _rewritten(node, before)})
    if risky:
        raise UserError(
            f"operators in a branch or loop changed their meaning between opset {before} and {OPSET}",
            place=place,
            got=", ".join(risky),
            hint="export again with a newer opset",
        )


def _rewritten(node: ir.Node, before: int) -> bool:
    """Say whether operands, attributes or their defaults of an operator changed, and not its types alone."""
    try:
        then, now = (onnx.defs.get_schema(node.op_type, version, "") for version in (before, OPSET))
    except onnx.defs.SchemaError:
        return True
    operands = [[item.name for item in schema.inputs] for schema in (then, now)]
    attributes = [{name: str(item.default_value) for name, item in schema.attributes.items()} for schema in (then, now)]
    removed = set(node.attributes) - set(attributes[1])
    defaults = {name for name in attributes[0] if attributes[1].get(name, attributes[0][name]) != attributes[0][name]}
    return bool(removed) or operands[1][: len(operands[0])] != operands[0] or bool(defaults - set(node.attributes))


def _relabelled(model: ir.Model) -> ir.Model:
    model.opset_imports.pop("ai.onnx", None)
    for graph in model.graphs():
        graph.opset_imports[""] = OPSET
    model.opset_imports[""] = OPSET
    model.ir_version = IR_VERSION
    return model


def _without_weights(model: ir.Model) -> dict[str, ir.TensorProtocol]:
    """Make inputs of the large initializers of ``model`` and return their tensors by name.

    What is small may be an axis, a scale or a target shape, which the converter has to read.
    """
    taken: dict[str, ir.TensorProtocol] = {}
    for name, value in list(model.graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or (tensor.nbytes <= INLINE_BYTES and not isinstance(tensor, ir.ExternalTensor)):
            continue
        taken[name] = tensor
        value.type, value.shape = ir.TensorType(tensor.dtype), ir.Shape(tensor.shape.numpy())
        model.graph.initializers.pop(name)
        value.const_value = None
        model.graph.inputs.append(value)
    return taken


def _put_back(model: ir.Model, weights: dict[str, ir.TensorProtocol]) -> None:
    for value in list(model.graph.inputs):
        if value.name in weights:
            model.graph.inputs.remove(value)
            value.const_value = weights[value.name]
            model.graph.register_initializer(value)
    model.ir_version = IR_VERSION
