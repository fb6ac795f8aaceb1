"""Quantised convolutions and products with bias, rectifier and requantisation in one, as oneDNN computes them.

On these zero is always zero: signed numbers reach as far below it as above. TensorFlow has them with oneDNN only
(mkl_conv_ops.cc, mkl_qmatmul_op.cc, mkl_quantized_conv_ops.h).
"""

from __future__ import annotations

import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape
from porters.tensorflow.formula import Formula, formula
from porters.tensorflow.integers import convolve, from_unsigned, matmul
from porters.tensorflow.node import Node
from porters.tensorflow.ops.sorting import result_dtype
from porters.tensorflow.ranges import FLOAT, INT, LONG, Integers
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor, channels_first
from porters.tensorflow.window import Window, static_sizes

# Numbers of 8 bits on one side of zero.
_REACH = {ir.DataType.UINT8: 255.0, ir.DataType.INT8: 127.0}


def _limit(low: Formula, high: Formula) -> Formula:
    return low.fn("Abs").maximum(high.fn("Abs"))


def _level(dtype: ir.DataType, low: Formula, high: Formula) -> Formula:
    """Return the distance of two neighbours of a range that is as wide below zero as above."""
    return (high - low) / (_REACH[dtype] * (2.0 if dtype == ir.DataType.INT8 else 1.0))


def _wide_limits(level: Formula) -> tuple[Formula, Formula]:
    kind = Integers.of(INT)
    return level * kind.lowest, level * kind.highest


@translates(
    "QuantizedConv2DPerChannel", "QuantizedConv2DAndRelu", "QuantizedConv2DAndRequantize",
    "QuantizedConv2DAndReluAndRequantize", "QuantizedDepthwiseConv2D",
)  # fmt: skip
def convolution(ctx: Context, node: Node, x: Tensor, kernel: Tensor, *limits: Tensor) -> list[Tensor]:
    """Translate a convolution, rectified and brought to 8 bits where its name says so."""
    return _convolved(ctx, node, x, kernel, None, limits)


@translates(
    "QuantizedConv2DWithBias", "QuantizedConv2DWithBiasAndRelu", "QuantizedConv2DWithBiasAndRequantize",
    "QuantizedConv2DWithBiasAndReluAndRequantize", "QuantizedDepthwiseConv2DWithBias",
    "QuantizedDepthwiseConv2DWithBiasAndRelu", "QuantizedDepthwiseConv2DWithBiasAndReluAndRequantize",
)  # fmt: skip
def biased(ctx: Context, node: Node, x: Tensor, kernel: Tensor, bias: Tensor, *limits: Tensor) -> list[Tensor]:
    """Translate a convolution with a bias, rectified and brought to 8 bits where its name says so."""
    return _convolved(ctx, node, x, kernel, bias, limits)


def _convolved(
    ctx: Context, node: Node, x: Tensor, kernel: Tensor, bias: Tensor | None, limits: tuple[Tensor, ...]
) -> list[Tensor]:
    if "padding_list" in {item.name for item in node.source.op_def.attr} and any(node.attr("padding_list")):
        raise Untranslatable("a quantised convolution with margins of its own")
    low, high, first, last = (formula(ctx, item) for item in limits[:4])
    images, filters = _limit(low, high), _limit(first, last)
    total, shape = _sums(ctx, node, x, kernel)
    both = _REACH[x.dtype] * _REACH[kernel.dtype]
    narrow = node.op.endswith("Requantize")
    if limits[2].rank and not narrow:
        if bias is not None:
            raise Untranslatable("a quantised convolution with a bias and a range for each channel")
        # All channels in the steps of the one with the widest range.
        total = total * (filters / filters.reduce("ReduceMax", [0]))
    if bias is not None:
        total = total + _in_units(ctx, bias, images * filters / both)
    if "Relu" in node.op:
        total = total.maximum(0.0)
    if not narrow:
        bottom, top = _wide_limits(_level(x.dtype, low, high) * _level(kernel.dtype, first, last))
        extent = limits[2].shape
        return [_integers(total, INT).held(shape), bottom.held(extent), top.held(extent)]
    dtype = result_dtype(node)
    after = _limit(*(formula(ctx, item) for item in limits[4:6]))
    scale = images * _REACH[dtype] * filters / (after * both)
    return [_integers(total * scale, dtype).held(shape), limits[4], limits[5]]


def _in_units(ctx: Context, bias: Tensor, unit: Formula) -> Formula:
    """Return a bias in the units of the sums; integers are that already."""
    found = formula(ctx, bias, dtype=FLOAT)
    return found if bias.dtype == INT else found / unit


def _integers(x: Formula, dtype: ir.DataType) -> Formula:
    """Return sums, which oneDNN holds as floats, as integers; the halves are rounded to even ones."""
    kind = Integers.of(dtype)
    return x.fn("Round").cast(LONG).maximum(int(kind.lowest)).minimum(int(kind.highest)).cast(dtype)


def _sums(ctx: Context, node: Node, x: Tensor, kernel: Tensor) -> tuple[Formula, Shape]:
    """Return sums as floats with the channels last, and their shape."""
    window, order = Window.of(node), channels_first(4)
    extent = static_sizes(kernel.shape)
    channels = x.shape[3]
    if extent is None or not isinstance(channels, int):
        raise Untranslatable("the kernel's size is not known")
    height, width, read, filters = extent
    groups = 1
    weights = formula(ctx, kernel, (3, 2, 0, 1))
    if "Depthwise" in node.op:
        groups, filters, read = channels, channels * filters, 1
        weights = formula(ctx, kernel, (2, 3, 0, 1)).reshape([filters, 1, height, width])
    spatial = window.spatial(x.shape)
    attributes = {**window.attributes(spatial, [height, width]), "group": groups}
    value, zero = from_unsigned(formula(ctx, x, order), 0)
    found = convolve(ctx, value, weights, (zero, 0), (filters, read, height, width), attributes)
    shape = window.shape(x.shape[0], filters, window.result(spatial, [height, width]))
    return formula(ctx, found.held(shape, order), dtype=FLOAT), shape


@translates(
    "QuantizedMatMulWithBias", "QuantizedMatMulWithBiasAndRelu", "QuantizedMatMulWithBiasAndRequantize",
    "QuantizedMatMulWithBiasAndReluAndRequantize", "QuantizedMatMulWithBiasAndDequantize",
)  # fmt: skip
def product(ctx: Context, node: Node, a: Tensor, b: Tensor, bias: Tensor, *limits: Tensor) -> list[Tensor]:
    """Translate a product with a bias, rectified and brought to 8 bits or to floats where its name says so."""
    if node.attr("transpose_a") or node.attr("transpose_b"):
        raise Untranslatable("a quantised product of transposed matrices")
    if limits[0].array is None or limits[0].array.any():
        raise Untranslatable("a quantised product with a bias of numbers whose range does not begin at zero")
    low, high, first, last = (formula(ctx, item) for item in limits[:4])
    weights = formula(ctx, b)
    total = matmul(ctx, formula(ctx, a), weights, (0, 0)).cast(FLOAT)
    # Both ways to count from zero are the same then.
    unit = high * _limit(first, last) / (_REACH[a.dtype] * _REACH[b.dtype])
    total = total + _in_units(ctx, bias, unit)
    if "Relu" in node.op:
        total = total.maximum(0.0)
    shape = (a.shape[0], b.shape[1])
    if node.op.endswith("Dequantize"):
        return [(total * unit).held(shape)]
    if not node.op.endswith("Requantize"):
        bottom, top = _wide_limits(_level(a.dtype, low, high) * _level(b.dtype, first, last))
        return [_integers(total, INT).held(shape), bottom.held(()), top.held(())]
    dtype = result_dtype(node)
    after = _limit(*(formula(ctx, item) for item in limits[4:6]))
    return [_integers(total * (unit * _REACH[dtype] / after), dtype).held(shape), limits[4], limits[5]]
