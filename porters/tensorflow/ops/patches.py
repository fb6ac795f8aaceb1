"""Windows over images that are no convolution: patches, grey-scale dilation, places of maxima, local response."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import product
from porters.tensorflow.formula import Formula, formula, number, sizes
from porters.tensorflow.moves import positions, static
from porters.tensorflow.node import Node
from porters.tensorflow.ops.shape import known
from porters.tensorflow.ops.sorting import result_dtype
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor, channels_first
from porters.tensorflow.window import Window, static_sizes

LONG = ir.DataType.INT64


@translates("ExtractImagePatches", "ExtractVolumePatches")
def patches(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate windows laid out along the channels, as a gather of pixels; outside are zeros."""
    import tensorflow as tf

    options = {name: node.attr(name) for name in ("ksizes", "strides", "padding")}
    if node.op == "ExtractImagePatches":
        options["rates"] = node.attr("rates")
    spatial = static(x.shape[1:-1], "patches")

    def run(line: Any) -> Any:
        images = tf.reshape(tf.cast(line, tf.float64), (1, *spatial, 1))
        key = "images" if node.op == "ExtractImagePatches" else "input"
        return tf.cast(getattr(tf.raw_ops, node.op)(**{key: images}, **options)[0], tf.int64)

    table = positions(spatial, run)
    channels = x.shape[-1]
    pixels = formula(ctx, ctx.reshape(x, (x.shape[0], int(np.prod(spatial)), channels)))
    found = pixels.take(np.maximum(table - 1, 0), 1)
    if (table == 0).any():
        found = number(ctx, (table == 0)[..., None]).where(0, found)
    held = found.held((x.shape[0], *table.shape, channels))
    return ctx.reshape(held, (x.shape[0], *table.shape[:-1], channels * table.shape[-1]))


@translates("Dilation2D")
def dilation(ctx: Context, node: Node, x: Tensor, kernel: Tensor) -> Tensor:
    """Translate the largest sum of pixel and kernel in each window: one shifted image for each of its places."""
    height, width = static(kernel.shape[:2], "a dilation")
    rates = [int(rate) for rate in node.attr("rates")][1:3]
    window = Window.of_parts(node, rates)
    spatial = static(x.shape[1:3], "a dilation")
    pads = window.attributes(spatial, [height, width]).get("pads", [0, 0, 0, 0])
    new = [int(dim) for dim in window.result(spatial, [height, width]) if isinstance(dim, int)]
    lowest = number(ctx, -np.inf, x.dtype) if x.dtype.is_floating_point() else None
    if lowest is None:
        raise Untranslatable("a dilation of integers")
    padded = formula(ctx, x).of("Pad", number(ctx, pads), lowest, number(ctx, [1, 2]))
    weights, best = formula(ctx, kernel), None
    for row in range(height):
        for column in range(width):
            starts = [row * rates[0], column * rates[1]]
            ends = [s + (n - 1) * step + 1 for s, n, step in zip(starts, new, window.strides, strict=True)]
            part = padded.of("Slice", starts, ends, [1, 2], list(window.strides)) + weights.take(row, 0).take(column, 0)
            best = part if best is None else best.maximum(part)
    assert best is not None
    return best.held((x.shape[0], *new, x.shape[3]))


@translates("MaxPoolWithArgmax")
def pool_with_places(ctx: Context, node: Node, x: Tensor) -> list[Tensor]:
    """Translate maxima and where they stand: ONNX counts places with the channels first."""
    window = Window.of(node)
    kernel = [int(item) for item in node.attr("ksize")][1:-1]
    spatial, order = x.shape[1:3], channels_first(4)
    shape = (x.shape[0], *window.result(spatial, kernel), x.shape[3])
    values, places = ctx.ops(
        "MaxPool", ctx.value(x, order), shapes=[shape, shape], order=order, dtypes=[x.dtype, LONG],
        **window.attributes(spatial, kernel, dilated=False),
    )  # fmt: skip
    area, channels = sizes(ctx, [product(spatial)]), x.shape[3]
    if not isinstance(channels, int):
        raise Untranslatable("the number of channels is not known")
    pixel = formula(ctx, places, order).of("Mod", area)
    found = pixel * channels + number(ctx, np.arange(channels).reshape(1, -1, 1, 1))
    if node.attr("include_batch_in_index"):
        count = sizes(ctx, [x.shape[0]]).squeeze(0)
        image = number(ctx, 0, LONG).of("Range", count, number(ctx, 1, LONG)).reshape([-1, 1, 1, 1])
        found = found + image * area * channels
    return [values, found.cast(result_dtype(node, 1)).held(shape, order)]


@translates("MaxPoolV2")
def max_pool_v2(ctx: Context, node: Node, x: Tensor, size: Tensor, strides: Tensor) -> Tensor:
    """Translate maxima over windows whose size is an operand."""
    kernel, steps = (known(item, "the size of a window").tolist() for item in (size, strides))
    window = Window.of_parts(node, [1, 1], steps)
    spatial, order = window.spatial(x.shape), window.order(4)
    inner = kernel[1:-1] if window.channels_last else kernel[2:]
    if static_sizes(inner) is None:
        raise Untranslatable("the size of a window is not known")
    shape = window.shape(x.shape[0], window.channels(x.shape), window.result(spatial, inner))
    attributes = window.attributes(spatial, inner, dilated=False)
    return ctx.op("MaxPool", ctx.value(x, order), shape=shape, order=order, **attributes)


@translates("LRN")
def local_response(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate a normalisation by the squares of neighbouring channels; ONNX divides its factor by their number."""
    size, order = 2 * int(node.attr("depth_radius")) + 1, channels_first(4)
    alpha, beta, bias = (float(node.attr(name)) for name in ("alpha", "beta", "bias"))
    value = ctx.value(x, order)
    return ctx.op("LRN", value, size=size, alpha=alpha * size, beta=beta, bias=bias, shape=x.shape, order=order)


def depth_pooled(ctx: Context, x: Tensor, size: int, op_type: str) -> Tensor:
    """Return the maxima or means of ``size`` neighbouring channels each."""
    (channels,) = static(x.shape[-1:], "a pooling over the channels")
    split = ctx.reshape(x, (*x.shape[:-1], channels // size, size))
    found: Formula = formula(ctx, split).reduce(op_type, [x.rank])
    return found.held((*x.shape[:-1], channels // size))
