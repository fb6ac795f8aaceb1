"""Activation functions that TensorFlow has as one operation."""

from __future__ import annotations

from typing import Any

from porters.tensorflow.context import Context
from porters.tensorflow.node import Node
from porters.tensorflow.ops.elementwise import unary
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor

PLAIN = {
    "Relu": "Relu", "Sigmoid": "Sigmoid", "Tanh": "Tanh", "Softplus": "Softplus", "Softsign": "Softsign", "Elu": "Elu",
}  # fmt: skip
# TensorFlow's constants of the scaled exponential linear unit, in float32.
SELU: dict[str, Any] = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}


@translates(*PLAIN)
def plain(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate an activation without parameters."""
    return unary(ctx, PLAIN[node.op], x)


@translates("Relu6")
def relu6(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate a rectifier that saturates at six."""
    return ctx.op("Clip", ctx.value(x, x.order), 0.0, 6.0, shape=x.shape, order=x.order)


@translates("LeakyRelu")
def leaky_relu(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate a rectifier with a slope below zero."""
    return unary(ctx, "LeakyRelu", x, alpha=float(node.attr("alpha")))


@translates("Selu")
def selu(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the scaled exponential linear unit."""
    return unary(ctx, "Selu", x, **SELU)


@translates("Softmax", "LogSoftmax")
def softmax(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate a softmax over the last axis, wherever that axis is held."""
    return unary(ctx, node.op, x, axis=x.order.index(x.rank - 1))
