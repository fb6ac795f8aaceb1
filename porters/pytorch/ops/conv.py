"""Convolutions, transposed ones included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from porters.pytorch.ops.shared import require_float, static_sizes
from porters.pytorch.registry import Context, translates


def pairs(value: Any, rank: int) -> list[int]:
    """Return ``value`` once for each spatial axis."""
    items = [value] * rank if isinstance(value, int) else list(value)
    return items * rank if len(items) == 1 else items


@translates("aten.conv1d", "aten.conv2d", "aten.conv3d")
def conv(
    c: Context,
    x: ir.Value,
    weight: ir.Value,
    bias: ir.Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> ir.Value:
    """Conv; padding may be ``valid`` or ``same`` (torch puts the odd pixel at the end)."""
    return convolved(c, x, weight, bias, stride, padding, dilation, groups)


def convolved(
    c: Context,
    x: ir.Value,
    weight: ir.Value,
    bias: ir.Value | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> ir.Value:
    """Emit a Conv; an input without batch axis gets one for the while."""
    require_float(x, "a convolution")
    spatial = c.rank(weight) - 2
    batched = c.rank(x) == spatial + 2
    steps, spread = pairs(stride, spatial), pairs(dilation, spatial)
    pads = _conv_pads(c, weight, padding, spread)
    data = x if batched else c.op("Unsqueeze", x, [0])
    kernel = static_sizes(c.sizes_of(weight)[2:], "a convolution with a kernel")
    result = c.op(
        "Conv", data, weight, bias, strides=steps, pads=pads, dilations=spread, group=groups, kernel_shape=kernel
    )
    return result if batched else c.op("Squeeze", result, [0])


def _conv_pads(c: Context, weight: ir.Value, padding: Any, dilation: Sequence[int]) -> list[int]:
    spatial = len(dilation)
    if padding == "valid":
        return [0] * (2 * spatial)
    if padding == "same":
        kernel = static_sizes(c.sizes_of(weight)[2:], "padding of a kernel")
        total = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
        return [extent // 2 for extent in total] + [extent - extent // 2 for extent in total]
    return pairs(padding, spatial) * 2


@translates("aten.convolution", "aten._convolution")
def convolution(
    c: Context,
    x: ir.Value,
    weight: ir.Value,
    bias: ir.Value | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *_: Any,
) -> ir.Value:
    """The general form; transposed or not."""
    if transposed:
        return deconvolved(c, x, weight, bias, stride, padding, output_padding, groups, dilation)
    return convolved(c, x, weight, bias, stride, padding, dilation, groups)


@translates("aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d")
def conv_transpose(
    c: Context,
    x: ir.Value,
    weight: ir.Value,
    bias: ir.Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> ir.Value:
    """ConvTranspose."""
    return deconvolved(c, x, weight, bias, stride, padding, output_padding, groups, dilation)


def deconvolved(
    c: Context,
    x: ir.Value,
    weight: ir.Value,
    bias: ir.Value | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> ir.Value:
    """Emit a ConvTranspose; an input without batch axis gets one for the while."""
    require_float(x, "a convolution")
    spatial = c.rank(weight) - 2
    batched = c.rank(x) == spatial + 2
    data = x if batched else c.op("Unsqueeze", x, [0])
    steps, begins, extra = pairs(stride, spatial), pairs(padding, spatial), pairs(output_padding, spatial)
    ends = list(begins)
    if any(more >= step for more, step in zip(extra, steps, strict=True)):
        # Runtimes want less than the stride there; what torch adds behind is padding that is not taken away.
        ends = [pad - more for pad, more in zip(begins, extra, strict=True)]
        extra = [0] * spatial
    # Behind the last product there is nothing but the bias.
    behind = [max(-end, 0) for end in ends]
    result = c.op(
        "ConvTranspose",
        data,
        weight,
        None if any(behind) else bias,
        strides=steps,
        pads=[*begins, *(max(end, 0) for end in ends)],
        output_padding=extra,
        dilations=pairs(dilation, spatial),
        group=groups,
    )
    if any(behind):
        result = c.op("Pad", result, [*[0] * (spatial + 4), *behind])
        if bias is not None:
            result = c.op("Add", result, c.op("Unsqueeze", bias, [i + 1 for i in range(spatial)]))
    return result if batched else c.op("Squeeze", result, [0])


@translates("aten.conv_tbc")
def conv_tbc(c: Context, x: ir.Value, weight: ir.Value, bias: ir.Value, pad: int = 0) -> ir.Value:
    """Conv on (time, batch, channels)."""
    data, kernel = c.op("Transpose", x, perm=[1, 2, 0]), c.op("Transpose", weight, perm=[2, 1, 0])
    return c.op("Transpose", c.op("Conv", data, kernel, bias, pads=[pad, pad]), perm=[2, 0, 1])
