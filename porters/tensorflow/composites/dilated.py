"""Dilated convolutions, which TensorFlow runs as a convolution between space-to-batch and batch-to-space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from porters.tensorflow.composites.patterns import made_by
from porters.tensorflow.context import Context
from porters.tensorflow.node import Edge, Node
from porters.tensorflow.registry import TRANSLATORS, Match, recognizes
from porters.tensorflow.tensor import Tensor
from porters.tensorflow.window import Window

PLAIN = ("Conv2D", "Conv3D", "DepthwiseConv2dNative")
TRANSPOSED = ("Conv2DBackpropInput", "Conv3DBackpropInputV2")


@dataclass(frozen=True)
class Convolution:
    """A convolution as it is meant.

    Attributes:
        node: TensorFlow's convolution.
        inputs: What it reads.
        emit: Called with the context, one tensor for each input, and perhaps ``bias``.
    """

    node: Node
    inputs: Sequence[Edge]
    emit: Callable[..., Tensor]


def convolution(edge: Edge) -> Convolution | None:
    """Return the convolution that ends at ``edge``, dilated or not."""
    if made_by(edge, *PLAIN, *TRANSPOSED):
        node = edge.node
        translator = TRANSLATORS[node.op]

        def emit(ctx: Context, *tensors: Tensor, bias: Tensor | None = None) -> Tensor:
            result = translator(ctx, node, *tensors, bias=bias)
            assert isinstance(result, Tensor)
            return result

        return Convolution(node, node.inputs, emit)
    if made_by(edge, "Squeeze"):
        return _squeezed(edge.node)
    return _dilated(edge.node) if made_by(edge, "BatchToSpaceND") else None


def _squeezed(node: Node) -> Convolution | None:
    """Return the convolution over one axis that TensorFlow runs over two, the first of size one."""
    inner = convolution(node.inputs[0]) if node.inputs[0].node.uses == 1 else None
    axes = {int(axis) % 4 for axis in node.attr("squeeze_dims")}
    if inner is None or not Window.is_channels_last(inner.node) or axes != {1}:
        return None
    emit_inner = inner.emit

    def emit(ctx: Context, *tensors: Tensor, bias: Tensor | None = None) -> Tensor:
        wide = emit_inner(ctx, *tensors, bias=bias)
        return ctx.reshape(wide, (wide.shape[0], *wide.shape[2:]))

    return Convolution(inner.node, inner.inputs, emit)


def _dilated(node: Node) -> Convolution | None:
    inner = made_by(node.inputs[0], *PLAIN)
    spread = made_by(inner.inputs[0], "SpaceToBatchND") if inner else None
    if inner is None or spread is None:
        return None
    operands = [spread.inputs[1], spread.inputs[2], node.inputs[1], node.inputs[2]]
    block, paddings, unblock, crops = (edge.node.constant for edge in operands)
    if block is None or paddings is None or unblock is None or crops is None or not np.array_equal(block, unblock):
        return None
    plain = Window.of(inner)
    if plain.padding != "VALID" or {*plain.strides, *plain.dilations} != {1} or not plain.channels_last:
        return None
    if len(block) != len(plain.strides):
        return None
    explicit = tuple((int(a), int(b)) for a, b in np.asarray(paddings) - np.asarray(crops))
    if any(amount < 0 for pair in explicit for amount in pair):
        return None
    window = replace(plain, dilations=tuple(int(size) for size in block), padding="EXPLICIT", explicit=explicit)
    translator = TRANSLATORS[inner.op]

    def emit(ctx: Context, *tensors: Tensor, bias: Tensor | None = None) -> Tensor:
        result = translator(ctx, inner, *tensors, bias=bias, window=window)
        assert isinstance(result, Tensor)
        return result

    return Convolution(inner, [spread.inputs[0], inner.inputs[1]], emit)


@recognizes("BatchToSpaceND")
def dilated(node: Node) -> Match | None:
    """Find a dilated convolution."""
    found = _dilated(node)
    return None if found is None else Match(found.inputs, found.emit)
