"""Operators that ONNX Runtime computes in float32 only, by their definition in NumPy, for float64 operands."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.lib.stride_tricks import sliding_window_view

Arrays = Sequence[np.ndarray | None]


def _window(node: ir.Node, spatial: Sequence[int], kernel: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Return (strides, dilations, pads before and behind) of a convolution or pooling over ``spatial`` sizes."""
    rank = len(spatial)
    strides = list(node.attributes.get_ints("strides", [1] * rank))
    dilations = list(node.attributes.get_ints("dilations", [1] * rank))
    pads = list(node.attributes.get_ints("pads", [0] * (2 * rank)))
    auto = node.attributes.get_string("auto_pad", "NOTSET")
    if auto == "VALID":
        pads = [0] * (2 * rank)
    elif auto.startswith("SAME"):
        before, behind = [], []
        for size, side, stride, dilation in zip(spatial, kernel, strides, dilations, strict=True):
            total = max((-(-size // stride) - 1) * stride + (side - 1) * dilation + 1 - size, 0)
            less, more = total // 2, total - total // 2
            before.append(less if auto == "SAME_UPPER" else more)
            behind.append(more if auto == "SAME_UPPER" else less)
        pads = before + behind
    return strides, dilations, pads


def _padded(x: np.ndarray, pads: Sequence[int], value: float = 0.0) -> np.ndarray:
    rank = len(pads) // 2
    return np.pad(x, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)], constant_values=value)


def _windows(x: np.ndarray, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> np.ndarray:
    """Return the windows of (N, C, *spatial) as a view (N, C, *places, *kernel)."""
    rank = len(kernel)
    reach = [(side - 1) * dilation + 1 for side, dilation in zip(kernel, dilations, strict=True)]
    view = sliding_window_view(x, reach, axis=tuple(range(2, 2 + rank)))
    places = tuple(slice(None, None, stride) for stride in strides)
    inside = tuple(slice(None, None, dilation) for dilation in dilations)
    return view[(slice(None), slice(None), *places, *inside)]


def _conv(node: ir.Node, arrays: Arrays) -> list[np.ndarray]:
    """Sum over each window; https://onnx.ai/onnx/operators/onnx__Conv.html."""
    x, w, b = (*arrays, None)[:3]
    assert x is not None
    assert w is not None
    groups, kernel = node.attributes.get_int("group", 1), w.shape[2:]
    strides, dilations, pads = _window(node, x.shape[2:], kernel)
    windows = _windows(_padded(x, pads), kernel, strides, dilations)
    rank, per_group = len(kernel), w.shape[0] // groups
    sums = []
    for group in range(groups):
        part = windows[:, group * w.shape[1] : (group + 1) * w.shape[1]]
        own = w[group * per_group : (group + 1) * per_group]
        axes = (1, *range(2 + rank, 2 + 2 * rank))
        sums.append(np.moveaxis(np.tensordot(part, own, (axes, tuple(range(1, 2 + rank)))), -1, 1))
    y = np.concatenate(sums, 1)
    return [y if b is None else y + b.reshape(1, -1, *[1] * rank)]


def _conv_transpose(node: ir.Node, arrays: Arrays) -> list[np.ndarray]:
    """Add each input's contribution where it falls; https://onnx.ai/onnx/operators/onnx__ConvTranspose.html."""
    x, w, b = (*arrays, None)[:3]
    assert x is not None
    assert w is not None
    attributes, kernel, spatial = node.attributes, w.shape[2:], x.shape[2:]
    rank, groups = len(kernel), attributes.get_int("group", 1)
    strides = list(attributes.get_ints("strides", [1] * rank))
    dilations = list(attributes.get_ints("dilations", [1] * rank))
    extra = list(attributes.get_ints("output_padding", [0] * rank))
    reach = [(side - 1) * dilation + 1 for side, dilation in zip(kernel, dilations, strict=True)]
    full = [(size - 1) * step + far for size, step, far in zip(spatial, strides, reach, strict=True)]
    begin, shape = _cut(node, spatial, full, strides, extra)
    canvas = [max(size, first + wanted) for size, first, wanted in zip(full, begin, shape, strict=True)]
    per_group = w.shape[1]
    y = np.zeros((x.shape[0], groups * per_group, *canvas), np.result_type(x, w))
    split = x.reshape(x.shape[0], groups, -1, *spatial)
    weights = w.reshape(groups, -1, *w.shape[1:])
    for offset in itertools.product(*map(range, kernel)):
        tap = weights[(slice(None),) * 3 + offset]
        added = np.einsum("ngc...,gco->ngo...", split, tap).reshape(x.shape[0], -1, *spatial)
        falls = tuple(
            slice(at * dilation, at * dilation + (size - 1) * step + 1, step)
            for at, dilation, size, step in zip(offset, dilations, spatial, strides, strict=True)
        )
        y[(slice(None), slice(None), *falls)] += added
    kept = tuple(slice(first, first + size) for first, size in zip(begin, shape, strict=True))
    y = y[(slice(None), slice(None), *kept)]
    return [y if b is None else y + b.reshape(1, -1, *[1] * rank)]


def _cut(
    node: ir.Node, spatial: Sequence[int], full: Sequence[int], strides: Sequence[int], extra: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return (where the result begins in the full sum, its sizes)."""
    rank, attributes = len(full), node.attributes
    auto = attributes.get_string("auto_pad", "NOTSET")
    shape = list(attributes.get_ints("output_shape", []))[-rank:]
    if not shape and auto.startswith("SAME"):
        shape = [size * step for size, step in zip(spatial, strides, strict=True)]
    if shape:
        total = [size + more - wanted for size, more, wanted in zip(full, extra, shape, strict=True)]
        begin = [max(item // 2 if auto == "SAME_UPPER" else item - item // 2, 0) for item in total]
        return begin, shape
    pads = list(attributes.get_ints("pads", [0] * (2 * rank))) if auto == "NOTSET" else [0] * (2 * rank)
    sizes = [
        size + more - first - last
        for size, more, first, last in zip(full, extra, pads[:rank], pads[rank:], strict=True)
    ]
    return pads[:rank], sizes


def _average_pool(node: ir.Node, arrays: Arrays) -> list[np.ndarray]:
    """Mean of each window, of what lies inside the image unless padding counts."""
    x = arrays[0]
    assert x is not None
    kernel = list(node.attributes.get_ints("kernel_shape"))
    strides, dilations, pads = _window(node, x.shape[2:], kernel)
    rank, counted = len(kernel), bool(node.attributes.get_int("count_include_pad", 0))
    weights = _padded(np.ones_like(x[:1, :1]), pads, 1.0 if counted else 0.0)
    padded = _padded(x, pads)
    if node.attributes.get_int("ceil_mode", 0):
        more = _rounded_up(padded.shape[2:], kernel, strides, dilations, pads[:rank], x.shape[2:])
        padded, weights = (_padded(item, [0] * rank + more) for item in (padded, weights))
    inner = tuple(range(-rank, 0))
    return [
        _windows(padded, kernel, strides, dilations).sum(inner)
        / _windows(weights, kernel, strides, dilations).sum(inner)
    ]


def _rounded_up(
    padded: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    before: Sequence[int],
    spatial: Sequence[int],
) -> list[int]:
    """Return what is missing behind for one more window, which must begin inside the image or its left padding."""
    more = []
    for size, side, step, dilation, first, inside in zip(
        padded, kernel, strides, dilations, before, spatial, strict=True
    ):
        reach = (side - 1) * dilation + 1
        count = math.ceil((size - reach) / step) + 1
        if (count - 1) * step >= inside + first:
            count -= 1
        more.append(max((count - 1) * step + reach - size, 0))
    return more


def _global_average_pool(node: ir.Node, arrays: Arrays) -> list[np.ndarray]:
    x = arrays[0]
    assert x is not None
    return [x.mean(tuple(range(2, x.ndim)), keepdims=True)]


def _erf(node: ir.Node, arrays: Arrays) -> list[np.ndarray]:
    from scipy.special import erf

    return [np.asarray(erf(arrays[0]))]


def _gelu(node: ir.Node, arrays: Arrays) -> list[np.ndarray]:
    from scipy.special import erf

    x = arrays[0]
    assert x is not None
    if node.attributes.get_string("approximate", "none") == "tanh":
        return [0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))]
    return [0.5 * x * (1 + erf(x / math.sqrt(2)))]


def _scaled(node: ir.Node, arrays: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (operand, scale, zero point), the last two in the operand's rank.

    Raises:
        NotImplementedError: If there is a scale for each block of an axis.
    """
    x, scale, zero = (*arrays, None)[:3]
    assert x is not None
    assert scale is not None
    zero = np.zeros_like(scale) if zero is None else zero
    if node.attributes.get_int("block_size", 0):
        raise NotImplementedError("scales for blocks of an axis")
    if scale.ndim == 0 or scale.size == 1:
        return x, scale.reshape(()), zero.reshape(())
    shape = [1] * x.ndim
    shape[node.attributes.get_int("axis", 1)] = -1
    return x, scale.reshape(shape), zero.reshape(shape)


def _quantise(node: ir.Node, arrays: Arrays) -> list[np.ndarray]:
    """Round to even and saturate; https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html."""
    x, scale, zero = _scaled(node, arrays)
    kind = np.dtype(np.uint8) if len(arrays) < 3 or arrays[2] is None else arrays[2].dtype
    if kind.kind not in "iu":
        raise NotImplementedError(f"quantised to {kind}")
    limits = np.iinfo(kind)
    return [np.clip(np.rint(x / scale) + zero, limits.min, limits.max).astype(kind)]


def _dequantise(node: ir.Node, arrays: Arrays) -> list[np.ndarray]:
    x, scale, zero = _scaled(node, arrays)
    return [(x.astype(np.float64) - zero) * scale]


# Operator -> its results from float64 operands.
KERNELS: Mapping[str, Callable[[ir.Node, Arrays], list[Any]]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "Erf": _erf,
    "Gelu": _gelu,
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
}
