"""A convolution and the bias that is added to it, as one operator."""

from __future__ import annotations

from collections.abc import Callable

from porters.tensorflow.composites.dilated import convolution
from porters.tensorflow.composites.patterns import lies_along, pairs
from porters.tensorflow.node import Node
from porters.tensorflow.registry import Match, recognizes
from porters.tensorflow.tensor import Tensor
from porters.tensorflow.window import Window


@recognizes("BiasAdd", "AddV2", "Add")
def biased_convolution(node: Node) -> Match | None:
    """Find a vector along the channels that is added to a convolution which nothing else reads."""
    for edge, bias in pairs(node):
        found = convolution(edge) if edge.node.uses == 1 else None
        if found is None:
            continue
        size = len(edge.shape or ())
        channels = size - 1 if Window.is_channels_last(found.node) else 1
        if _is_bias(node, edge == node.inputs[0]) or lies_along(bias, edge) == channels:
            return Match([*found.inputs, bias], _emitter(found.emit))
    return None


def _is_bias(node: Node, first: bool) -> bool:
    # BiasAdd adds its second operand along the channels by definition, wherever they are.
    return node.op == "BiasAdd" and first


def _emitter(emit: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda ctx, *tensors: emit(ctx, *tensors[:-1], bias=tensors[-1])
