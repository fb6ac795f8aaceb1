"""Undoes mistakes in an operator's attributes: defaults that differ from framework to framework."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import onnx_ir as ir

from parity.corrections.correction import Around, Attempt, correction
from parity.surgery import number, require, set_number, shape_of

_NORMS = (
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "InstanceNormalization", "RMSNormalization",
)  # fmt: skip
# Defaults of PyTorch, Keras, TensorFlow's own batch norm, BERT, Llama and T5, in this order of how often they are met.
_EPSILONS = (1e-5, 1e-3, 1e-6, 1e-12, 1e-8, 1e-7, 1e-4, 1e-2)


def _set(name: str, value: Any, graph: ir.Graph, node: ir.Node) -> None:
    set_number(node, name, value)


def others(node: ir.Node, name: str, default: Any, values: Any, words: str = "") -> Iterator[Attempt]:
    """Yield every value of an attribute but the one it has."""
    before = number(node, name, default)
    for value in values:
        if value != before:
            yield f"{words or name} {value} for {before}", partial(_set, name, value)


@correction("another framework's epsilon in a norm", *_NORMS)
def _epsilon(node: ir.Node, around: Around) -> Iterator[Attempt]:
    before = float(number(node, "epsilon", 1e-5))
    for value in _EPSILONS:
        if abs(value - before) > 1e-3 * before:
            yield f"epsilon {value:g} for {before:g}", partial(_set, "epsilon", value)


@correction("the tanh formula for erf in GELU, or the other way round", "Gelu")
def _gelu_formula(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield from others(node, "approximate", "none", ("none", "tanh"))


@correction("padding on other sides: SAME, or symmetric", "Conv", "MaxPool", "AveragePool", "ConvTranspose")
def _padding(node: ir.Node, around: Around) -> Iterator[Attempt]:
    pads = list(number(node, "pads", []))
    half = len(pads) // 2
    require(half)
    whole = [pads[axis] + pads[axis + half] for axis in range(half)]
    alike = [[shift] * half for shift in range(-max(whole), max(whole) + 1)]
    alone = [[shift * (axis == one) for axis in range(half)] for shift in (-1, 1, -2, 2) for one in range(half)]
    for shifts in sorted([*alike, *alone], key=lambda shifts: sum(map(abs, shifts))):
        begin = [min(max(pads[axis] + shifts[axis], 0), whole[axis]) for axis in range(half)]
        moved = begin + [whole[axis] - begin[axis] for axis in range(half)]
        if moved != pads:
            yield f"pads {moved} for {pads}", partial(_set, "pads", moved)


@correction("dilation lost, or padding of another field of view", "Conv", "MaxPool")
def _dilation_lost(node: ir.Node, around: Around) -> Iterator[Attempt]:
    kernel = [int(size) for size in shape_of(node.inputs[1])[2:]] if node.op_type == "Conv" else []
    kernel = kernel or list(number(node, "kernel_shape", []))
    pads = list(number(node, "pads", [0] * 2 * len(kernel)))
    before = list(number(node, "dilations", [1] * len(kernel)))
    for step in (1, 2, 3, 4, 6, 8, 12, 18, 24, 36):
        more = [(step - was) * (size - 1) for was, size in zip(before, kernel, strict=True)]
        begin = [pad + extra // 2 for pad, extra in zip(pads[: len(kernel)], more, strict=True)]
        end = [pad + extra - extra // 2 for pad, extra in zip(pads[len(kernel) :], more, strict=True)]
        if [step] * len(kernel) != before and min([*begin, *end], default=0) >= 0:
            yield f"dilation {step} for {before}", partial(_dilate, [step] * len(kernel), begin + end)


def _dilate(dilations: list[int], pads: list[int], graph: ir.Graph, node: ir.Node) -> None:
    set_number(node, "dilations", dilations)
    set_number(node, "pads", pads)


@correction("pixels laid otherwise on the other grid (align_corners, half_pixel)", "Resize")
def _resize_coordinates(node: ir.Node, around: Around) -> Iterator[Attempt]:
    modes = ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric")
    yield from others(node, "coordinate_transformation_mode", "half_pixel", modes, "coordinates")


@correction("another interpolation", "Resize")
def _resize_mode(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield from others(node, "mode", "nearest", ("linear", "cubic", "nearest"), "interpolation")
    yield from others(node, "antialias", 0, (0, 1))
    rounding = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    yield from others(node, "nearest_mode", "round_prefer_floor", rounding, "nearest pixel")
    yield from others(node, "cubic_coeff_a", -0.75, (-0.75, -0.5), "cubic coefficient")


@correction("padding counted in the mean, or not", "AveragePool")
def _count_include_pad(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield from others(node, "count_include_pad", 0, (0, 1))


@correction("the size of a pooled result rounded the other way", "AveragePool", "MaxPool")
def _ceil_mode(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield from others(node, "ceil_mode", 0, (0, 1))


@correction("over the wrong axis", "Softmax", "LogSoftmax", "Concat", "Gather", "GatherElements", "ArgMax", "TopK")
def _axis(node: ir.Node, around: Around) -> Iterator[Attempt]:
    rank = len(shape_of(node.inputs[0]))
    before = int(number(node, "axis", -1)) % rank
    for axis in range(rank):
        if axis != before:
            yield f"axis {axis} for {before}", partial(_set, "axis", axis)


@correction("a norm over the wrong axes", "LayerNormalization", "RMSNormalization")
def _norm_axis(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield from _axis(node, around)


@correction("an attention scale of its own", "Attention")
def _attention_scale(node: ir.Node, around: Around) -> Iterator[Attempt]:
    width = shape_of(node.inputs[0])[-1]
    require(isinstance(width, int))
    heads = int(number(node, "q_num_heads", 1))
    head, joint = int(width) / heads, int(width)
    before = float(number(node, "scale", head**-0.5))
    named = {"1/sqrt(head)": head**-0.5, "none": 1.0, "1/head": 1 / head, "1/sqrt(width)": joint**-0.5}
    for words, scale in {**named, "half": before / 2, "double": 2 * before, "over root 2": before / 2**0.5}.items():
        if abs(scale - before) > 1e-6 * before:
            yield f"scale {scale:.6g} ({words}) for {before:.6g}", partial(_set, "scale", scale)


@correction("the causal mask lost, or one too many", "Attention")
def _causality(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield from others(node, "is_causal", 0, (0, 1))


@correction("rotary pairs taken side by side instead of by halves, or the other way round", "RotaryEmbedding")
def _rotary_pairing(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield from others(node, "interleaved", 0, (0, 1))


@correction("another slope of the leaky side", "LeakyRelu", "Elu", "HardSigmoid", "ThresholdedRelu", "Celu")
def _activation_slope(node: ir.Node, around: Around) -> Iterator[Attempt]:
    default = {"LeakyRelu": 0.01, "HardSigmoid": 0.2}.get(node.op_type, 1.0)
    before = float(number(node, "alpha", default))
    for alpha in (0.01, 0.1, 0.2, 0.3, 1 / 6, 0.25, 1.0, before / 1.5, before / 2, 2 * before):
        if abs(alpha - before) > 1e-6:
            yield f"slope {alpha:.6g} for {before:.6g}", partial(_set, "alpha", alpha)


@correction("dimensions changed places", "Transpose")
def _transpose_order(node: ir.Node, around: Around) -> Iterator[Attempt]:
    perm = list(number(node, "perm", []))
    for other in itertools.permutations(perm):
        if perm and len(perm) <= 5 and list(other) != perm:
            yield f"axes {list(other)} for {perm}", partial(_set, "perm", list(other))


@correction("the smallest for the largest", "TopK", "ArgMax", "ArgMin")
def _order_reversed(node: ir.Node, around: Around) -> Iterator[Attempt]:
    if node.op_type == "TopK":
        yield from others(node, "largest", 1, (0, 1))
        return
    other = "ArgMax" if node.op_type == "ArgMin" else "ArgMin"
    yield f"{other} for {node.op_type}", partial(_retype, other)


def _retype(op_type: str, graph: ir.Graph, node: ir.Node) -> None:
    node.op_type = op_type


@correction("blocks of channels dealt out the other way (depth to space)", "DepthToSpace")
def _depth_order(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield from others(node, "mode", "DCR", ("DCR", "CRD"))


@correction("a running sum that leaves its own element out, or runs from the end", "CumSum")
def _cumulation(node: ir.Node, around: Around) -> Iterator[Attempt]:
    yield from others(node, "exclusive", 0, (0, 1))
    yield from others(node, "reverse", 0, (0, 1))
