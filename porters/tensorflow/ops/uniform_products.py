"""Matrix products and convolutions of numbers that are quantised by scales and zero points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.integers import Zero, convolve, from_unsigned, matmul
from porters.tensorflow.node import Node
from porters.tensorflow.ops.uniform import clamped, dynamic, parameters, rescaled
from porters.tensorflow.ranges import FLOAT, INT
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor, inverse, permuted
from porters.tensorflow.window import static_sizes


def _zero(ctx: Context, zeros: np.ndarray) -> Zero:
    """Return zero points as one number where all are the same."""
    return int(zeros.reshape(-1)[0]) if (zeros == zeros.reshape(-1)[0]).all() else number(ctx, zeros)


def _answer(ctx: Context, node: Node, total: Formula, factors: np.ndarray, zero: np.ndarray) -> Formula:
    return clamped(node, rescaled(ctx, total, factors) + number(ctx, zero), "output_").cast(INT)


@translates("UniformQuantizedDot")
def dot(ctx: Context, node: Node, a: Tensor, b: Tensor, *given: Tensor) -> Tensor:
    """Translate a product of two matrices (uniform_quantized_dot_ops.cc)."""
    first = parameters(-1, 2, *given[:2])
    second = parameters(int(node.attr("rhs_quantization_axis")), 2, *given[2:4])
    after = parameters(int(node.attr("output_quantization_axis")), 2, *given[4:])
    zeros = int(first[1]), _zero(ctx, second[1])
    total = matmul(ctx, formula(ctx, a), formula(ctx, b), zeros)
    factors = first[0].astype(np.float64) * second[0] / after[0]
    return _answer(ctx, node, total, factors, after[1]).held((a.shape[0], b.shape[1]))


@translates("UniformQuantizedDotHybrid")
def hybrid_dot(ctx: Context, node: Node, a: Tensor, b: Tensor, *given: Tensor) -> Tensor:
    """Translate a product of floats, quantised row by row as they come, and a quantised matrix."""
    second = parameters(int(node.attr("rhs_quantization_axis")), 2, *given)
    value, scale, start = dynamic(ctx, formula(ctx, a), [1])
    total = matmul(ctx, value.cast(ir.DataType.INT8), formula(ctx, b), (start, _zero(ctx, second[1])))
    return (total.cast(FLOAT) * scale * number(ctx, second[0])).held((a.shape[0], b.shape[1]))


@dataclass(frozen=True)
class _Axes:
    """Which axis is which, and how the window moves.

    Attributes:
        images: Batch, channels and space of the images.
        kernel: Filters, channels and space of the kernel.
        result: Batch, channels and space of the result.
        strides: For each axis in space.
        dilations: Of the kernel.
        groups: How many groups of channels there are.
    """

    images: tuple[int, ...]
    kernel: tuple[int, ...]
    result: tuple[int, ...]
    strides: list[int]
    dilations: list[int]
    groups: int

    @staticmethod
    def of(node: Node, rank: int) -> _Axes:
        """Read the attributes; what is not stated is in order and one."""
        usual = tuple(range(rank))
        images, kernel, result = _numbers(node) or (usual, usual, usual)
        if any(int(item) != 1 for item in node.attr("lhs_dilation")) or int(node.attr("batch_group_count")) != 1:
            raise Untranslatable("a quantised convolution with holes in the images or groups of the batch")
        ones = [1] * (rank - 2)
        strides, dilations = ([int(item) for item in node.attr(name)] for name in ("window_strides", "rhs_dilation"))
        return _Axes(images, kernel, result, strides or ones, dilations or ones, int(node.attr("feature_group_count")))

    def pads(self, node: Node, space: Shape, window: Sequence[int]) -> list[tuple[int, int]]:
        """Return how far the kernel reaches beyond the image on each side."""
        padding = node.attr("padding")
        padding = padding.decode() if isinstance(padding, bytes) else padding
        if padding == "EXPLICIT":
            flat = [int(item) for item in node.attr("explicit_padding")]
            return list(zip(flat[0::2], flat[1::2], strict=True))
        if padding == "VALID":
            return [(0, 0)] * len(window)
        sizes = static_sizes(space)
        if sizes is None:
            raise Untranslatable("a padding that depends on a size that is not known")
        pairs = []
        for size, width, step, hole in zip(sizes, window, self.strides, self.dilations, strict=True):
            total = max((-(-size // step) - 1) * step + (width - 1) * hole + 1 - size, 0)
            pairs.append((total // 2, total - total // 2))
        return pairs


def _numbers(node: Node) -> tuple[tuple[int, ...], ...] | None:
    from tensorflow.core.util.quantization import uniform_quant_ops_attr_pb2 as messages

    text = node.attr("dimension_numbers")
    if not text:
        return None
    found = messages.UniformQuantizedConvolutionDimensionNumbersAttr()
    found.ParseFromString(text if isinstance(text, bytes) else text.encode("latin-1"))
    return (
        (found.input_batch_dimension, found.input_feature_dimension, *found.input_spatial_dimensions),
        (found.kernel_output_feature_dimension, found.kernel_input_feature_dimension, *found.kernel_spatial_dimensions),
        (found.output_batch_dimension, found.output_feature_dimension, *found.output_spatial_dimensions),
    )


def _convolved(
    ctx: Context, node: Node, axes: _Axes, x: Formula, image: Shape, kernel: Tensor, zeros: tuple[Zero, Zero]
) -> tuple[Formula, Shape]:
    """Return 32-bit sums and their shape, batch and channels first; ``x`` and ``image`` are that already."""
    extent = static_sizes(permuted(kernel.shape, axes.kernel))
    if extent is None:
        raise Untranslatable("the kernel's size is not known")
    pads = axes.pads(node, image[2:], extent[2:])
    attributes: dict[str, Any] = {
        "kernel_shape": extent[2:], "strides": axes.strides, "dilations": axes.dilations, "group": axes.groups,
        "pads": [pair[0] for pair in pads] + [pair[1] for pair in pads],
    }  # fmt: skip
    value, zero = from_unsigned(x, zeros[0])
    found = convolve(ctx, value, formula(ctx, kernel, axes.kernel), (zero, zeros[1]), extent, attributes)
    space = [
        (size + sum(pair) - (width - 1) * hole - 1) // step + 1
        for size, pair, width, hole, step in zip(image[2:], pads, extent[2:], axes.dilations, axes.strides, strict=True)
    ]
    return found, (image[0], extent[0], *space)


def _placed(axes: _Axes, found: Formula, shape: Shape) -> Tensor:
    """Return a result whose batch and channels are first in the order of axes that is asked for."""
    return found.held(permuted(shape, inverse(axes.result)), axes.result)


@translates("UniformQuantizedConvolution")
def convolution(ctx: Context, node: Node, x: Tensor, kernel: Tensor, *given: Tensor) -> Tensor:
    """Translate a convolution (uniform_quantized_convolution_ops.cc)."""
    axes = _Axes.of(node, x.rank)
    first = parameters(-1, x.rank, *given[:2])
    each = 1 if int(node.attr("rhs_quantization_axis")) >= 0 else -1
    second = parameters(each, x.rank, *given[2:4])
    after = parameters(1 if int(node.attr("output_quantization_axis")) >= 0 else -1, x.rank, *given[4:])
    zeros = int(first[1]), _zero(ctx, second[1])
    value, image = formula(ctx, x, axes.images), permuted(x.shape, axes.images)
    total, shape = _convolved(ctx, node, axes, value, image, kernel, zeros)
    factors = first[0].astype(np.float64) * second[0] / after[0]
    return _placed(axes, _answer(ctx, node, total, factors, after[1]), shape)


@translates("UniformQuantizedConvolutionHybrid")
def hybrid_convolution(ctx: Context, node: Node, x: Tensor, kernel: Tensor, *given: Tensor) -> Tensor:
    """Translate a convolution of floats, quantised image by image as they come, with a quantised kernel."""
    axes = _Axes.of(node, x.rank)
    second = parameters(1 if int(node.attr("rhs_quantization_axis")) >= 0 else -1, x.rank, *given)
    image = permuted(x.shape, axes.images)
    value, scale, start = dynamic(ctx, formula(ctx, x, axes.images), list(range(1, x.rank)))
    zeros = start, _zero(ctx, second[1])
    total, shape = _convolved(ctx, node, axes, value.cast(ir.DataType.INT8), image, kernel, zeros)
    return _placed(axes, total.cast(FLOAT) * scale * number(ctx, second[0]), shape)
