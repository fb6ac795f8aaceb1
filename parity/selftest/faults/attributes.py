"""Faults in an operator's attributes: defaults that differ from framework to framework."""

from __future__ import annotations

import onnx_ir as ir

from parity.selftest.faults.fault import fault
from parity.surgery import constant, number, require, set_number, shape_of

_NORMS = (
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "InstanceNormalization", "RMSNormalization",
)  # fmt: skip


@fault("another framework's epsilon in a norm", *_NORMS)
def _epsilon(graph: ir.Graph, node: ir.Node) -> None:
    before = float(number(node, "epsilon", 1e-5))
    set_number(node, "epsilon", 1e-5 if before > 5e-4 else 1e-3)


@fault("the tanh formula for erf in GELU, or the other way round", "Gelu")
def _gelu_formula(graph: ir.Graph, node: ir.Node) -> None:
    before = number(node, "approximate", "none")
    set_number(node, "approximate", "none" if before == "tanh" else "tanh")


@fault("padding on the other sides", "Conv", "MaxPool", "AveragePool")
def _padding_shifted(graph: ir.Graph, node: ir.Node) -> None:
    pads = list(number(node, "pads", []))
    half = len(pads) // 2
    require(half and pads[0] and pads[half])
    pads[0], pads[half] = pads[0] - 1, pads[half] + 1
    set_number(node, "pads", pads)


@fault("SAME padding taken for symmetric padding at stride 2", "Conv", "MaxPool")
def _padding_same(graph: ir.Graph, node: ir.Node) -> None:
    pads, strides = list(number(node, "pads", [])), list(number(node, "strides", []))
    half = len(pads) // 2
    require(half and strides and strides[0] == 2 and pads == [pads[0]] * len(pads) and pads[0])
    set_number(node, "pads", [side - 1 for side in pads[:half]] + [side + 1 for side in pads[half:]])


@fault("dilation lost (the field of view is smaller)", "Conv")
def _dilation_lost(graph: ir.Graph, node: ir.Node) -> None:
    dilations, kernel = list(number(node, "dilations", [])), shape_of(node.inputs[1])[2:]
    pads = list(number(node, "pads", [0] * 2 * len(kernel)))
    require(dilations and max(dilations) > 1)
    lost = [(step - 1) * (int(size) - 1) // 2 for step, size in zip(dilations, kernel, strict=True)]
    require(all(pad >= less for pad, less in zip(pads, lost * 2, strict=True)))
    set_number(node, "dilations", [1] * len(dilations))
    set_number(node, "pads", [pad - less for pad, less in zip(pads, lost * 2, strict=True)])


@fault("pixels laid otherwise on the other grid (align_corners, half_pixel)", "Resize")
def _resize_coordinates(graph: ir.Graph, node: ir.Node) -> None:
    before = number(node, "coordinate_transformation_mode", "half_pixel")
    set_number(node, "coordinate_transformation_mode", "half_pixel" if before == "align_corners" else "align_corners")


@fault("nearest pixels for linear interpolation", "Resize")
def _resize_nearest(graph: ir.Graph, node: ir.Node) -> None:
    require(number(node, "mode", "nearest") != "nearest")
    set_number(node, "mode", "nearest")


@fault("padding counted in the mean, or not", "AveragePool")
def _count_include_pad(graph: ir.Graph, node: ir.Node) -> None:
    require(any(number(node, "pads", [])) or number(node, "ceil_mode", 0))
    set_number(node, "count_include_pad", 1 - int(number(node, "count_include_pad", 0)))


@fault("softmax over the wrong axis", "Softmax", "LogSoftmax")
def _softmax_axis(graph: ir.Graph, node: ir.Node) -> None:
    rank = len(shape_of(node.inputs[0]))
    require(rank > 1)
    axis = int(number(node, "axis", -1)) % rank
    set_number(node, "axis", axis - 1 if axis else 1)


@fault("an attention scale of its own", "Attention")
def _attention_scale(graph: ir.Graph, node: ir.Node) -> None:
    head = shape_of(node.inputs[0])[-1]
    heads = int(number(node, "q_num_heads", 1))
    require(isinstance(head, int))
    scale = float(number(node, "scale", (int(head) / heads) ** -0.5))
    set_number(node, "scale", scale * 2**0.5)


@fault("the causal mask lost, or one too many", "Attention")
def _causality(graph: ir.Graph, node: ir.Node) -> None:
    set_number(node, "is_causal", 1 - int(number(node, "is_causal", 0)))


@fault("rotary pairs taken side by side instead of by halves, or the other way round", "RotaryEmbedding")
def _rotary_pairing(graph: ir.Graph, node: ir.Node) -> None:
    set_number(node, "interleaved", 1 - int(number(node, "interleaved", 0)))


@fault("another slope of the leaky side", "LeakyRelu", "Elu", "HardSigmoid", "ThresholdedRelu")
def _activation_slope(graph: ir.Graph, node: ir.Node) -> None:
    default = {"LeakyRelu": 0.01, "HardSigmoid": 0.2}.get(node.op_type, 1.0)
    set_number(node, "alpha", float(number(node, "alpha", default)) * 1.5)


@fault("two equal dimensions changed places", "Transpose")
def _transpose_order(graph: ir.Graph, node: ir.Node) -> None:
    perm, shape = list(number(node, "perm", [])), shape_of(node.outputs[0])
    pairs = [(i, j) for i in range(len(shape)) for j in range(i) if shape[i] == shape[j] and shape[i] != 1]
    require(perm and pairs)
    i, j = pairs[0]
    perm[i], perm[j] = perm[j], perm[i]
    set_number(node, "perm", perm)


@fault("the smallest for the largest", "TopK", "ArgMax")
def _order_reversed(graph: ir.Graph, node: ir.Node) -> None:
    if node.op_type == "TopK":
        set_number(node, "largest", 1 - int(number(node, "largest", 1)))
    else:
        node.op_type = "ArgMin"


@fault("blocks of channels dealt out the other way (depth to space)", "DepthToSpace")
def _depth_order(graph: ir.Graph, node: ir.Node) -> None:
    set_number(node, "mode", "CRD" if number(node, "mode", "DCR") == "DCR" else "DCR")


@fault("a running sum that leaves its own element out", "CumSum")
def _cumulation(graph: ir.Graph, node: ir.Node) -> None:
    set_number(node, "exclusive", 1 - int(number(node, "exclusive", 0)))


@fault("another threshold of overlap in suppression", "NonMaxSuppression")
def _suppression(graph: ir.Graph, node: ir.Node) -> None:
    _scale_threshold(graph, node, 3, 1.5)


@fault("another threshold of confidence", "Greater", "GreaterOrEqual")
def _confidence(graph: ir.Graph, node: ir.Node) -> None:
    _scale_threshold(graph, node, 1, 1.1)


def _scale_threshold(graph: ir.Graph, node: ir.Node, index: int, factor: float) -> None:
    require(len(node.inputs) > index)
    given = node.inputs[index]
    require(given is not None and given.const_value is not None)
    assert given is not None
    assert given.const_value is not None
    before = given.const_value.numpy()
    require(before.size == 1 and before.dtype.kind == "f" and before.item() > 0)
    node.replace_input_with(index, constant(graph, before * before.dtype.type(factor), f"{node.name}_threshold"))
