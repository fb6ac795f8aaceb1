"""torchvision's deformable convolution."""

from __future__ import annotations

import onnx_ir as ir

from porters.pytorch.registry import Context, translates


@translates("torchvision.deform_conv2d")
def deform_conv2d(
    c: Context, x: ir.Value, weight: ir.Value, offset: ir.Value, mask: ir.Value, bias: ir.Value,
    stride_h: int, stride_w: int, pad_h: int, pad_w: int, dilation_h: int, dilation_w: int,
    groups: int, offset_groups: int, use_mask: bool,
) -> ir.Value:  # fmt: skip
    """DeformConv, whose offsets and masks are laid out as torchvision's."""
    return c.op(
        "DeformConv",
        x,
        weight,
        offset,
        bias,
        mask if use_mask else None,
        strides=[stride_h, stride_w],
        pads=[pad_h, pad_w, pad_h, pad_w],
        dilations=[dilation_h, dilation_w],
        group=groups,
        offset_group=offset_groups,
    )
