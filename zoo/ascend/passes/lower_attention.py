"""Replaces ONNX ``Attention`` by its definition on the chip, one function for each form of call."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult, PostconditionError

from zoo.ascend.attention import AttentionForm
from zoo.ascend.functions import DOMAIN, SUFFIXES, add_functions
from zoo.ascend.hardware import Chip
from zoo.ascend.precision import PRECISION, REASON, Settings
from zoo.ascend.rounding import FORMATS, FP16
from zoo.ascend.vector import softmax_name


def attention_form(node: ir.Node, chip: Chip, wanted: Settings) -> AttentionForm | str:
    """Return the form of the ``Attention`` node, or the reason why there is none for it."""
    query, key, value, mask, *past = [*node.inputs, None][: max(len(node.inputs), 4)]
    if any(item is not None for item in past):
        return "Attention with past keys and values is not lowered yet"
    if any(output.name and (output.uses() or output.is_graph_output()) for output in node.outputs[1:]):
        return "Attention with outputs beside Y is not lowered yet"
    if any(node.attributes.get_int(side, -1) >= 0 for side in ("left_window_size", "right_window_size")):
        return "Attention with a sliding window is not lowered yet"
    if query is None or key is None or value is None or query.shape is None or query.shape.rank() not in (3, 4):
        return "Attention with inputs of unknown rank is not lowered"
    if mask is not None and mask.dtype not in (ir.DataType.BOOL, ir.DataType.FLOAT):
        return f"Attention with a mask of type {mask.dtype} is not lowered"
    return AttentionForm(
        rank=3 if query.shape.rank() == 3 else 4,
        grouped=_is_grouped(node, query, key),
        scaled="scale" in node.attributes,
        capped=node.attributes.get_float("softcap", 0.0) > 0,
        causal=bool(node.attributes.get_int("is_causal", 0)),
        mask="" if mask is None else "bool" if mask.dtype == ir.DataType.BOOL else "float",
        cube=SUFFIXES[node.metadata_props[PRECISION]],
        **_vector_unit(node, chip, wanted),
    )


def _vector_unit(node: ir.Node, chip: Chip, wanted: Settings) -> dict[str, Any]:
    """Return what the vector unit does between the products: with them where the mode lowers the softmax too."""
    form = node.metadata_props[PRECISION]
    if form not in FORMATS or form not in (wanted.mode.vector, wanted.mode.lists):
        return {}
    return {"vector": form, "softmax": softmax_name(chip, wanted.implementation) if form == FP16.name else ""}


def _is_grouped(node: ir.Node, query: ir.Value, key: ir.Value) -> bool:
    """Return whether the head counts of query and key may differ."""
    if query.shape is not None and query.shape.rank() == 3:
        return node.attributes.get_int("q_num_heads") != node.attributes.get_int("kv_num_heads")
    if query.shape is None or key.shape is None:
        return True
    heads = query.shape[1], key.shape[1]
    return not all(isinstance(count, int) for count in heads) or heads[0] != heads[1]


def _is_float32_attention(node: ir.Node) -> bool:
    """Return whether ``node`` is the standard operator on float32."""
    is_attention = node.op_type == "Attention" and not node.domain
    return is_attention and all(value is not None and value.dtype == ir.DataType.FLOAT for value in node.inputs[:3])


def _is_lowered(node: ir.Node) -> bool:
    return _is_float32_attention(node) and node.metadata_props.get(PRECISION) in SUFFIXES


class LowerAttentionPass(InPlacePass):
    """Turn each float32 ``Attention`` into a call of ``FlashAttention_*``; what has no form is marked, with the reason.

    The node keeps its name, attributes, first output and metadata.
    """

    def __init__(self, chip: Chip, wanted: Settings) -> None:
        super().__init__()
        self._chip, self._wanted = chip, wanted

    def call(self, model: ir.Model) -> PassResult:
        """Lower every node of the graph and its subgraphs."""
        forms: dict[str, str] = {}
        for node in model.graph.all_nodes():
            if not _is_lowered(node):
                continue
            form = attention_form(node, self._chip, self._wanted)
            if isinstance(form, str):
                node.metadata_props.update({"unit": "unsupported", "reason": form, PRECISION: "fp32", REASON: form})
                continue
            node.domain, node.op_type, node.version = DOMAIN, form.name, None
            node.resize_inputs(4 if form.mask else 3)
            node.resize_outputs(1)
            forms[form.name] = form.definition()
        add_functions(model, sorted(forms), self._chip.saturates, forms)
        for name in forms:
            # A boolean mask is the one operand of all our functions that is not float32.
            if "boolmask" in name:
                model.functions[DOMAIN, name, ""].inputs[3].type = ir.TensorType(ir.DataType.BOOL)
        return PassResult(model, modified=bool(forms))

    def ensures(self, model: ir.Model) -> None:
        """Every float32 ``Attention`` with a narrower precision is lowered or marked as unsupported."""
        for node in model.graph.all_nodes():
            if _is_lowered(node) and node.metadata_props.get("unit") != "unsupported":
                raise PostconditionError(f"Attention {node.name!r} is neither lowered nor reported")
