"""Deformable convolution against one written in plain PyTorch: torchvision's own kernel may be absent."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from porters.pytorch import torchvision_shim
from porters.pytorch.walker import Walker
from zoo.executors import onnxruntime
from zoo.graph import GraphBuilder

torchvision_shim.prepare()


def sampled(x: Any, rows: Any, columns: Any) -> torch.Tensor:
    """Return x at fractional places, bilinear, zero outside: [batch, channel, *places] for [batch, *places]."""
    height, width = x.shape[-2:]
    total = x.new_zeros(x.shape[0], x.shape[1], *rows.shape[1:])
    for row in (rows.floor(), rows.floor() + 1):
        for column in (columns.floor(), columns.floor() + 1):
            weight = (1 - (rows - row).abs()) * (1 - (columns - column).abs())
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long().flatten(1)
            picked = x.flatten(2).gather(2, index[:, None].expand(-1, x.shape[1], -1)).view_as(total)
            total = total + picked * (weight * inside)[:, None]
    return total


def plain(x: Any, weight: Any, offset: Any, mask: Any, bias: Any, s: Any, p: Any, d: Any, groups: int, og: int) -> Any:
    """Sample x at every tap of the kernel and contract with the weight."""
    out, _, kh, kw = weight.shape
    oh, ow = offset.shape[-2:]
    moved = offset.view(x.shape[0], og, kh * kw, 2, oh, ow)
    parts = []
    for group, channels in enumerate(x.chunk(og, 1)):
        taps = []
        for tap in range(kh * kw):
            rows = torch.arange(oh).view(-1, 1) * s[0] - p[0] + tap // kw * d[0] + moved[:, group, tap, 0]
            columns = torch.arange(ow).view(1, -1) * s[1] - p[1] + tap % kw * d[1] + moved[:, group, tap, 1]
            value = sampled(channels, rows, columns)
            if mask is not None:
                value = value * mask.view(x.shape[0], og, kh * kw, oh, ow)[:, group, None, tap]
            taps.append(value)
        parts.append(torch.stack(taps, 2))
    columns = torch.cat(parts, 1).view(x.shape[0], groups, -1, oh, ow)
    kernels = weight.view(groups, out // groups, -1)
    return torch.einsum("bgkhw,gok->bgohw", columns, kernels).flatten(1, 2) + bias.view(1, -1, 1, 1)


class Deform(torch.nn.Module):
    """The operator with fixed options."""

    def __init__(self, options: tuple[Any, ...], use_mask: bool) -> None:
        super().__init__()
        self.options, self.use_mask = options, use_mask

    def forward(self, x: Any, weight: Any, offset: Any, mask: Any, bias: Any) -> Any:
        (sh, sw), (ph, pw), (dh, dw), groups, offset_groups = self.options
        return torch.ops.torchvision.deform_conv2d(
            x, weight, offset, mask, bias, sh, sw, ph, pw, dh, dw, groups, offset_groups, self.use_mask
        )


@pytest.mark.parametrize(
    ("options", "use_mask"),
    [
        (((1, 1), (1, 1), (1, 1), 1, 1), True),
        (((2, 1), (1, 2), (1, 2), 1, 1), False),
        (((1, 1), (0, 1), (1, 1), 2, 2), True),
    ],
)
def test_deform_conv2d(options: tuple[Any, ...], use_mask: bool) -> None:
    s, p, d, groups, og = options
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 7, 8, generator=generator)
    weight = torch.randn(6, 4 // groups, 3, 2, generator=generator)
    oh = (7 + 2 * p[0] - d[0] * 2 - 1) // s[0] + 1
    ow = (8 + 2 * p[1] - d[1] - 1) // s[1] + 1
    offset = torch.randn(2, og * 12, oh, ow, generator=generator) * 1.5
    mask = torch.rand(2, og * 6, oh, ow, generator=generator)
    bias = torch.randn(6, generator=generator)
    tensors = (x, weight, offset, mask, bias)
    torch.library.register_fake(
        "torchvision::deform_conv2d", lambda *a: a[0].new_empty(2, 6, oh, ow), allow_override=True
    )
    program = torch.export.export(Deform(options, use_mask), tensors, strict=False)
    g = GraphBuilder("subject")
    model = g.finish(Walker(g).program(program, {}))
    assert [node.op_type for node in model.graph] == ["DeformConv"]
    want = plain(x, weight, offset, mask if use_mask else None, bias, s, p, d, groups, og)
    names = [value.name for value in g.inputs]
    for optimize in (False, True):
        with onnxruntime.load(ir.to_proto(model).SerializeToString(), optimize=optimize, threads=1) as session:
            feed = {name: item.numpy() for name, item in zip(names, tensors, strict=True)}
            (have,) = session.run(feed).values()
            np.testing.assert_allclose(have, want.numpy(), rtol=1e-5, atol=1e-5)
