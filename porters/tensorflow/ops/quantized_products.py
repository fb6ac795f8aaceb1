"""Matrix products and convolutions of quantised numbers, exact in 32-bit integers."""

from __future__ import annotations

import numpy as np

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.integers import Zero, convolve, matmul
from porters.tensorflow.node import Node
from porters.tensorflow.ops.quantized_arithmetic import range_of
from porters.tensorflow.ranges import FLOAT, Range, of_product
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor, channels_first
from porters.tensorflow.window import Window, static_sizes


def zero_of(ctx: Context, own: Range, low: Tensor, high: Tensor) -> Zero:
    """Return the integer that stands for zero, as a number where the limits are known."""
    if low.array is None or high.array is None:
        return own.unclamped(number(ctx, 0.0, FLOAT))
    first, last = (np.float32(item.array.reshape(-1)[0]) for item in (low, high) if item.array is not None)
    if first == last:
        return int(own.kind.lowest)
    steps = own.kind.steps
    scale = steps / (np.float64(last - first) * (steps / (steps - 1.0)))
    shift = np.float64(first) * scale
    return int(own.kind.lowest) - int(np.sign(shift) * np.floor(np.abs(shift) + 0.5))


@translates("QuantizedMatMul")
def product(ctx: Context, node: Node, a: Tensor, b: Tensor, *limits: Tensor) -> list[Tensor]:
    """Translate a product of two matrices (quantized_matmul_op.cc)."""
    ranges = range_of(ctx, a, *limits[:2]), range_of(ctx, b, *limits[2:])
    zeros = zero_of(ctx, ranges[0], *limits[:2]), zero_of(ctx, ranges[1], *limits[2:])
    found, shape = _matrices(ctx, node, a, b, zeros)
    low, high = of_product(*ranges)
    return [found.held(shape), low.held(()), high.held(())]


def _matrices(ctx: Context, node: Node, a: Tensor, b: Tensor, zeros: tuple[Zero, Zero]) -> tuple[Formula, Shape]:
    first, rows = formula(ctx, a), a.shape[0]
    second, columns = formula(ctx, b), b.shape[1]
    if node.attr("transpose_a"):
        first, rows = first.transpose(1, 0), a.shape[1]
    if node.attr("transpose_b"):
        second, columns = second.transpose(1, 0), b.shape[0]
    return matmul(ctx, first, second, zeros), (rows, columns)


@translates("QuantizedConv2D")
def convolution(ctx: Context, node: Node, x: Tensor, kernel: Tensor, *limits: Tensor) -> list[Tensor]:
    """Translate a convolution (quantized_conv_ops.cc)."""
    ranges = range_of(ctx, x, *limits[:2]), range_of(ctx, kernel, *limits[2:])
    zeros = zero_of(ctx, ranges[0], *limits[:2]), zero_of(ctx, ranges[1], *limits[2:])
    low, high = of_product(*ranges)
    return [convolved(ctx, node, x, kernel, zeros), low.held(()), high.held(())]


def convolved(ctx: Context, node: Node, x: Tensor, kernel: Tensor, zeros: tuple[Zero, Zero]) -> Tensor:
    """Return a convolution as 32-bit integers."""
    window, order = Window.of(node), channels_first(4)
    extent = static_sizes(kernel.shape)
    if extent is None:
        raise Untranslatable("the kernel's size is not known")
    height, width, read, filters = extent
    spatial = window.spatial(x.shape)
    attributes = window.attributes(spatial, [height, width])
    value, weights = formula(ctx, x, order), formula(ctx, kernel, (3, 2, 0, 1))
    found = convolve(ctx, value, weights, zeros, (filters, read, height, width), attributes)
    shape = window.shape(x.shape[0], filters, window.result(spatial, [height, width]))
    return found.held(shape, order)
