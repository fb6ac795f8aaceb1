"""Faults in weights: transposed, swapped, scaled, stale, lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from parity.selftest.faults.fault import fault
from parity.surgery import require, set_weight, shape_of, weight

_PRODUCTS = ("Conv", "Gemm", "MatMul")
# Where an operator has its bias or shift.
_BIAS = {"Conv": 2, "Gemm": 2, "LayerNormalization": 2, "BatchNormalization": 2, "GroupNormalization": 2}


@fault("a square matrix transposed", "Gemm", "MatMul")
def _square_transposed(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    array = weight(node, 1, rank=2)
    require(array.shape[0] == array.shape[1])
    return set_weight(node, 1, array.T)


@fault("a bias lost", *_BIAS)
def _bias_lost(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    index = _BIAS[node.op_type]
    return set_weight(node, index, np.zeros_like(weight(node, index, rank=1)))


@fault("a bias added twice", *_BIAS)
def _bias_doubled(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    index = _BIAS[node.op_type]
    return set_weight(node, index, 2 * weight(node, index, rank=1))


@fault("a bias added by an operator of its own lost", "Add")
def _added_bias_lost(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    index = 1 if node.inputs[1] is not None and node.inputs[1].is_initializer() else 0
    return set_weight(node, index, np.zeros_like(weight(node, index)))


@fault("running statistics never loaded", "BatchNormalization")
def _stale_statistics(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    mean, variance = weight(node, 3, rank=1), weight(node, 4, rank=1)
    return [*set_weight(node, 3, np.zeros_like(mean)), *set_weight(node, 4, np.ones_like(variance))]


@fault("running statistics moved once more by the momentum", "BatchNormalization")
def _momentum_applied(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    mean, variance = weight(node, 3, rank=1), weight(node, 4, rank=1)
    return [*set_weight(node, 3, 0.9 * mean), *set_weight(node, 4, 0.9 * variance + 0.1)]


@fault("the channels of a picture in the other order", "Conv")
def _channel_order(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    array = weight(node, 1)
    require(array.shape[1] == 3)
    return set_weight(node, 1, array[:, ::-1])


@fault("a kernel turned by 180 degrees (convolution for correlation)", "Conv", "ConvTranspose")
def _kernel_flipped(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    array = weight(node, 1)
    require(max(array.shape[2:]) > 1)
    return set_weight(node, 1, array[(slice(None), slice(None), *[slice(None, None, -1)] * (array.ndim - 2))])


@fault("one channel of a weight zeroed", *_PRODUCTS)
def _channel_zeroed(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    array = weight(node, 1).copy()
    require(array.ndim >= 2 and min(array.shape[:2]) > 1)
    if node.op_type == "MatMul":
        array[..., array.shape[-1] // 2] = 0
    else:
        array[array.shape[0] // 2] = 0
    return set_weight(node, 1, array)


@fault("one weight off by a hundredth", *_PRODUCTS)
def _one_per_cent(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    return set_weight(node, 1, np.float32(1.01) * weight(node, 1))


@fault("a scale lost", "LayerNormalization", "RMSNormalization", "BatchNormalization", "GroupNormalization")
def _scale_lost(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    return set_weight(node, 1, np.ones_like(weight(node, 1, rank=1)))


@fault("groups of channels dealt out in another order", "Conv")
def _groups_dealt_otherwise(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    array = weight(node, 1)
    groups = node.attributes["group"].as_int() if "group" in node.attributes else 1
    require(1 < groups < array.shape[0] and array.shape[0] % groups == 0)
    dealt = array.reshape(groups, -1, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape)
    return set_weight(node, 1, dealt)


@fault("the rows of an embedding one off", "Gather")
def _embedding_shifted(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    return set_weight(node, 0, np.roll(weight(node, 0, rank=2), 1, axis=0))


@fault("q, k and v of a joint projection in another order", "Gemm", "MatMul")
def _thirds_permuted(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    array = weight(node, 1, rank=2)
    axis = int(array.shape[1] == 3 * array.shape[0])
    require(array.shape[axis] == 3 * array.shape[1 - axis])
    first, second, third = np.split(array, 3, axis)
    return set_weight(node, 1, np.concatenate([second, first, third], axis))


@fault("the weights of two layers of one shape swapped", *_PRODUCTS)
def _layers_swapped(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    mine, partner = weight(node, 1), _partner(graph, node)
    theirs = weight(partner, 1)
    return [*set_weight(node, 1, theirs), *set_weight(partner, 1, mine)]


def _partner(graph: ir.Graph, node: ir.Node) -> ir.Node:
    """Return the next layer of the same kind whose weight has the same shape and is another one."""
    wanted = shape_of(node.inputs[1])
    later: Sequence[ir.Node] = list(graph)
    later = later[later.index(node) + 1 :]
    found = next(
        (
            other for other in later
            if other.op_type == node.op_type and other.inputs[1] is not None and other.inputs[1].is_initializer()
            and other.inputs[1] is not node.inputs[1] and shape_of(other.inputs[1]) == wanted
        ),
        None,
    )  # fmt: skip
    require(found is not None)
    assert found is not None
    return found
