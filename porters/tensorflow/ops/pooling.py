"""Pooling over windows."""

from __future__ import annotations

import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.node import Node
from porters.tensorflow.ops.patches import depth_pooled
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor
from porters.tensorflow.window import Window


@translates("MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D")
def pool(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate a pooling; what lies in the padding is neither a maximum nor counted in a mean."""
    window = Window.of(node)
    sizes = [int(item) for item in node.attr("ksize")]
    if node.op == "MaxPool" and window.channels_last and all(size == 1 for size in sizes[:-1]) and sizes[-1] > 1:
        return depth_pooled(ctx, x, sizes[-1], "ReduceMax")
    return pooled(ctx, node, x, "MaxPool" if node.op.startswith("Max") else "AveragePool")


def pooled(ctx: Context, node: Node, x: Tensor, op_type: str) -> Tensor:
    """Return a pooling over the spatial axes by an operator of ONNX."""
    window = Window.of(node)
    sizes = [int(item) for item in node.attr("ksize")]
    kernel = sizes[1:-1] if window.channels_last else sizes[2:]
    if sizes[0] != 1 or (sizes[-1] if window.channels_last else sizes[1]) != 1:
        raise Untranslatable("a pooling over the batch or the channels")
    order, spatial = window.order(x.rank), window.spatial(x.shape)
    shape = window.shape(x.shape[0], window.channels(x.shape), window.result(spatial, kernel))
    attributes = window.attributes(spatial, kernel, dilated=False)
    if op_type == "AveragePool":
        attributes["count_include_pad"] = 0
    if x.dtype.is_integer() and op_type == "MaxPool":
        # ONNX has the maximum of few integers; of doubles it is as exact.
        wide = ctx.builder.cast(ctx.value(x, order), ir.DataType.DOUBLE)
        found = ctx.step(op_type, wide, **attributes)
        return ctx.op("Cast", found, to=x.dtype.value, dtype=x.dtype, shape=shape, order=order)
    return ctx.op(op_type, ctx.value(x, order), shape=shape, order=order, **attributes)
