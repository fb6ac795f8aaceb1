"""Convolutions: values are held channels first, kernels are written in ONNX's order of axes."""

from __future__ import annotations

from typing import cast

import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape
from porters.tensorflow.node import Node
from porters.tensorflow.ops.image import bilinear
from porters.tensorflow.ops.shape import pad
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Order, Reshaped, Tensor, Weight
from porters.tensorflow.window import Window, static_sizes

# Operation -> letters of its kernel's axes, in TensorFlow's and in ONNX's order; D, H, W are filled in by rank.
KERNELS = {
    "Conv": ("IO", "OI"),
    "Conv2D": ("IO", "OI"),
    "Conv3D": ("IO", "OI"),
    "DepthwiseConv2dNative": ("IM", "IM"),
    "Conv2DBackpropInput": ("OI", "IO"),
    "FusedPadConv2D": ("IO", "OI"),
    "FusedResizeAndPadConv2D": ("IO", "OI"),
    "Conv3DBackpropInputV2": ("OI", "IO"),
}


def kernel_layout(op: str, rank: int) -> tuple[Order, str]:
    """Return the order in which ONNX holds a kernel, and its label such as ``HWIO->OIHW``."""
    before, after = KERNELS[op]
    spatial = "DHW"[5 - rank :] if rank > 3 else "W"
    source, target = spatial + before, after + spatial
    return tuple(source.index(letter) for letter in target), f"{source}->{target}"


@translates("Conv", "Conv2D", "Conv3D")
def convolution(
    ctx: Context, node: Node, x: Tensor, kernel: Tensor, *, bias: Tensor | None = None, window: Window | None = None
) -> Tensor:
    """Translate a convolution; more channels than the kernel reads means groups."""
    window = window or Window.of(node)
    if _is_flat(x, kernel, window):
        return _flattened(ctx, node, x, kernel, bias, window)
    channels, read = window.channels(x.shape), kernel.shape[-2]
    if not isinstance(channels, int) or not isinstance(read, int):
        raise Untranslatable("the number of channels is not known")
    order, label = kernel_layout(node.op, kernel.rank)
    weights = ctx.kernel(kernel, order, label)
    return _emit(ctx, x, weights, bias, window, _sizes(kernel.shape[:-2]), (kernel.shape[-1],), channels // read)


@translates("DepthwiseConv2dNative")
def depthwise(
    ctx: Context, node: Node, x: Tensor, kernel: Tensor, *, bias: Tensor | None = None, window: Window | None = None
) -> Tensor:
    """Translate a convolution of each channel by itself, as one with as many groups as channels."""
    window = window or Window.of(node)
    if _is_flat(x, kernel, window):
        return _flattened(ctx, node, x, kernel, bias, window)
    channels, multiplier = kernel.shape[-2:]
    order, label = kernel_layout(node.op, kernel.rank)
    weights = ctx.kernel(kernel, order, label)
    spatial = kernel.shape[:-2]
    total = channels * multiplier
    weights = ctx.reshaped_value(weights, (channels, multiplier, *spatial), (total, 1, *spatial))
    return _emit(ctx, x, weights, bias, window, _sizes(spatial), (total,), cast("int", channels))


def _emit(
    ctx: Context,
    x: Tensor,
    weights: ir.Value,
    bias: Tensor | None,
    window: Window,
    kernel: list[int],
    filters: Shape,
    groups: int,
) -> Tensor:
    order, spatial = window.order(x.rank), window.spatial(x.shape)
    shape = window.shape(x.shape[0], filters[0], window.result(spatial, kernel))
    operands = [ctx.value(x, order), weights, *([ctx.vector(bias)] if bias is not None else [])]
    attributes = window.attributes(spatial, kernel)
    return ctx.op("Conv", *operands, shape=shape, order=order, group=groups, **attributes)


def _sizes(spatial: Shape) -> list[int]:
    sizes = static_sizes(spatial)
    if sizes is None:
        raise Untranslatable("the kernel's size is not known")
    return sizes


# -- one spatial axis ----------------------------------------------------------------------------------------------
# TensorFlow has no convolution over one axis: it puts an axis of size one before it, into value and kernel. The
# kernel's own three axes are written instead, so that no node stands between the weight and the convolution.


def _is_flat(x: Tensor, kernel: Tensor, window: Window) -> bool:
    inner = kernel.base if isinstance(kernel, Reshaped) else kernel
    reach = window.explicit[0] == (0, 0) if window.explicit else True
    return (
        window.channels_last
        and x.rank == kernel.rank == 4
        and isinstance(inner, Weight)
        and inner.shape == kernel.shape[1:]
        and x.shape[1] == 1
        and reach
    )


def _flattened(ctx: Context, node: Node, x: Tensor, kernel: Tensor, bias: Tensor | None, window: Window) -> Tensor:
    function = depthwise if node.op == "DepthwiseConv2dNative" else convolution
    flat = ctx.reshape(x, (x.shape[0], *x.shape[2:]))
    result = function(ctx, node, flat, ctx.reshape(kernel, kernel.shape[1:]), bias=bias, window=window.tail())
    return ctx.reshape(result, (result.shape[0], 1, *result.shape[1:]))


# -- transposed ----------------------------------------------------------------------------------------------------


@translates("FusedPadConv2D")
def padded_convolution(ctx: Context, node: Node, x: Tensor, paddings: Tensor, kernel: Tensor) -> Tensor:
    """Translate a convolution of an image with its mirror around it."""
    return convolution(ctx, node, pad(ctx, node, x, paddings), kernel)


@translates("FusedResizeAndPadConv2D")
def resized_convolution(ctx: Context, node: Node, x: Tensor, size: Tensor, paddings: Tensor, kernel: Tensor) -> Tensor:
    """Translate a convolution of an image that is resized and has its mirror around it."""
    resized = bilinear(ctx, x, size, align=bool(node.attr("resize_align_corners")), half=False)
    return convolution(ctx, node, pad(ctx, node, resized, paddings), kernel)


@translates("DepthwiseConv2dNativeBackpropInput")
def transposed_depthwise(ctx: Context, node: Node, target: Tensor, kernel: Tensor, x: Tensor) -> Tensor:
    """Translate a transposed convolution of each channel by itself."""
    channels, multiplier = kernel.shape[-2:]
    spatial = kernel.shape[:-2]
    weights = ctx.reshaped_value(
        ctx.value(kernel, (2, 3, 0, 1)), (channels, multiplier, *spatial), (channels * multiplier, 1, *spatial)
    )
    return _emit_transposed(ctx, Window.of(node), target, x, [weights], _sizes(spatial), cast("int", channels))


@translates("Conv2DBackpropInput", "Conv3DBackpropInputV2")
def transposed(
    ctx: Context, node: Node, sizes: Tensor, kernel: Tensor, x: Tensor, *, bias: Tensor | None = None
) -> Tensor:
    """Translate a transposed convolution to the size that is asked for."""
    window = Window.of(node)
    order, label = kernel_layout(node.op, kernel.rank)
    groups = cast("int", window.channels(x.shape)) // cast("int", kernel.shape[-1])
    weights = [ctx.kernel(kernel, order, label), *([ctx.vector(bias)] if bias is not None else [])]
    return _emit_transposed(ctx, window, sizes, x, weights, _sizes(kernel.shape[:-2]), groups)


def _emit_transposed(
    ctx: Context, window: Window, target: Tensor, x: Tensor, weights: list[ir.Value], kernel: list[int], groups: int
) -> Tensor:
    if target.array is None:
        raise Untranslatable("the size of the result is computed from data")
    shape: Shape = tuple(target.array.tolist())
    before, after, rest = _margins(window, window.spatial(x.shape), window.spatial(shape), kernel)
    order = window.order(x.rank)
    return ctx.op(
        "ConvTranspose",
        ctx.value(x, order),
        *weights,
        shape=shape,
        order=order,
        kernel_shape=kernel,
        strides=list(window.strides),
        dilations=list(window.dilations),
        pads=[*before, *after],
        output_padding=rest if any(rest) else None,
        group=groups,
    )


def _margins(window: Window, small: Shape, large: Shape, kernel: list[int]) -> tuple[list[int], list[int], list[int]]:
    before, after, rest = [], [], []
    for axis, extent in enumerate(window.extents(kernel)):
        reach = (small[axis] - 1) * window.strides[axis] + extent - large[axis]
        if not isinstance(reach, int):
            raise Untranslatable("the size of the result is not a multiple of the input's")
        if window.padding == "EXPLICIT":
            first, last = window.explicit[axis]
        else:
            total = max(reach, 0)
            first, last = total // 2, total - total // 2
        before.append(first)
        after.append(last)
        rest.append(first + last - reach)
    return before, after, rest
