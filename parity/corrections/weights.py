"""Undoes mistakes in weights: transposed, permuted, doubled, lost, another layer's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_ir as ir

from parity.corrections.correction import Around, Attempt, correction
from parity.surgery import NotHereError, append_after, require, set_weight, weight

_PRODUCTS = ("Conv", "Gemm", "MatMul")
# Where an operator has its bias or shift.
_BIAS = {
    "Conv": 2, "ConvTranspose": 2, "Gemm": 2, "LayerNormalization": 2, "BatchNormalization": 2,
    "GroupNormalization": 2, "InstanceNormalization": 2,
}  # fmt: skip


def _replace(index: int, array: np.ndarray, graph: ir.Graph, node: ir.Node) -> None:
    set_weight(node, index, array)


@correction("a square matrix transposed", "Gemm", "MatMul")
def _square_transposed(node: ir.Node, around: Around) -> Iterator[Attempt]:
    array = weight(node, 1, rank=2)
    require(array.shape[0] == array.shape[1])
    yield "the matrix transposed", partial(_replace, 1, array.T)


@correction("q, k and v of a joint projection in another order", "Gemm", "MatMul")
def _thirds_permuted(node: ir.Node, around: Around) -> Iterator[Attempt]:
    array = weight(node, 1, rank=2)
    axis = int(array.shape[1] == 3 * array.shape[0])
    require(array.shape[axis] == 3 * array.shape[1 - axis])
    parts = np.split(array, 3, axis)
    for order in itertools.permutations(range(3)):
        if order != (0, 1, 2):
            words = " ".join("qkv"[index] for index in order)
            yield f"read as {words}", partial(_replace, 1, np.concatenate([parts[index] for index in order], axis))


@correction("a bias added twice", *_BIAS)
def _bias_doubled(node: ir.Node, around: Around) -> Iterator[Attempt]:
    index = _BIAS[node.op_type]
    array = weight(node, index, rank=1)
    require(array.any())
    yield "half the bias", partial(_replace, index, array / 2)


@correction("a bias lost", *_BIAS, "MatMul", "Identity", "Add")
def _bias_lost(node: ir.Node, around: Around) -> Iterator[Attempt]:
    bias = around.parameters.get("bias", around.parameters.get("beta"))
    require(bias is not None and bias.ndim == 1)
    assert bias is not None
    index = _BIAS.get(node.op_type, 0)
    if index and len(node.inputs) > index and node.inputs[index] is not None:
        require(not weight(node, index, rank=1).any())
        yield "the module's own bias", partial(_replace, index, bias)
    else:
        yield "the module's own bias added", partial(append_after, "Add", bias)


@correction("running statistics moved once more by the momentum", "BatchNormalization")
def _momentum_applied(node: ir.Node, around: Around) -> Iterator[Attempt]:
    mean, variance = weight(node, 3, rank=1), weight(node, 4, rank=1)
    for momentum in (0.1, 0.01, 0.03, 0.001):
        kept = 1 - momentum
        yield f"before a step of momentum {momentum:g}", partial(_statistics, mean / kept, (variance - momentum) / kept)


def _statistics(mean: np.ndarray, variance: np.ndarray, graph: ir.Graph, node: ir.Node) -> None:
    if (variance < 0).any():
        raise NotHereError
    set_weight(node, 3, mean)
    set_weight(node, 4, variance)


@correction("a kernel turned by 180 degrees (convolution for correlation)", "Conv", "ConvTranspose")
def _kernel_flipped(node: ir.Node, around: Around) -> Iterator[Attempt]:
    array = weight(node, 1)
    require(max(array.shape[2:]) > 1)
    turned = array[(slice(None), slice(None), *[slice(None, None, -1)] * (array.ndim - 2))]
    yield "the kernel turned round", partial(_replace, 1, turned)


@correction("groups of channels dealt out in another order", "Conv")
def _groups_dealt_otherwise(node: ir.Node, around: Around) -> Iterator[Attempt]:
    array = weight(node, 1)
    groups = node.attributes["group"].as_int() if "group" in node.attributes else 1
    require(1 < groups < array.shape[0] and array.shape[0] % groups == 0)
    for rows in (groups, array.shape[0] // groups):
        dealt = array.reshape(rows, -1, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape)
        if not np.array_equal(dealt, array):
            yield f"channels dealt by {rows}", partial(_replace, 1, dealt)


@correction("the rows of an embedding shifted", "Gather")
def _embedding_shifted(node: ir.Node, around: Around) -> Iterator[Attempt]:
    array = weight(node, 0, rank=2)
    for by in (-1, 1, -2, 2):
        yield f"rows {by:+d}", partial(_replace, 0, np.roll(array, by, axis=0))


@correction("a weight by a constant factor", *_PRODUCTS)
def _weight_scaled(node: ir.Node, around: Around) -> Iterator[Attempt]:
    array = weight(node, 1)
    value = node.inputs[1]
    theirs = around.upstream.get(str(value.name)) if value is not None else None
    require(theirs is not None and theirs.shape == array.shape)
    assert theirs is not None
    wide, square = array.astype(np.float64), float((array.astype(np.float64) ** 2).sum())
    require(square)
    factor = float((theirs * wide).sum()) / square
    require(abs(factor - 1) > 1e-6 and np.allclose(factor * wide, theirs, rtol=1e-6))
    yield f"{factor:.6g} times the weight", partial(_replace, 1, theirs)


@correction("another tensor than upstream's")
def _upstream_tensor(node: ir.Node, around: Around) -> Iterator[Attempt]:
    for index, value in enumerate(node.inputs):
        theirs = around.upstream.get(str(value.name)) if value is not None else None
        if value is not None and theirs is not None:
            yield f"upstream's {value.name}", partial(_replace, index, theirs)


@correction("several tensors other than upstream's")
def _upstream_tensors(node: ir.Node, around: Around) -> Iterator[Attempt]:
    names = [str(value.name) for value in node.inputs if value is not None and str(value.name) in around.upstream]
    if len(names) > 1:
        yield f"upstream's {', '.join(names)}", partial(_all, around)


def _all(around: Around, graph: ir.Graph, node: ir.Node) -> None:
    for index, value in enumerate(node.inputs):
        theirs = around.upstream.get(str(value.name)) if value is not None else None
        if theirs is not None:
            set_weight(node, index, theirs)
