"""Resizing and resampling: interpolation, pixel shuffles, sampling on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.shared import known, require_float, static_sizes
from porters.pytorch.registry import Context, Size, translates


@translates("aten.upsample_nearest1d", "aten.upsample_nearest2d", "aten.upsample_nearest3d")
def upsample_nearest(c: Context, x: ir.Value, size: Any, *scales: Any) -> ir.Value:
    """Resize, nearest, asymmetric floor: torch's ``nearest``."""
    return _nearest(c, x, scales, "asymmetric", "floor")


@translates("aten._upsample_nearest_exact1d", "aten._upsample_nearest_exact2d", "aten._upsample_nearest_exact3d")
def upsample_nearest_exact(c: Context, x: ir.Value, size: Any, *scales: Any) -> ir.Value:
    """Resize, nearest, half pixel: torch's ``nearest-exact``."""
    return _nearest(c, x, scales, "half_pixel", "round_prefer_ceil")


@translates("aten.upsample_linear1d", "aten.upsample_bilinear2d", "aten.upsample_trilinear3d")
def upsample_linear(c: Context, x: ir.Value, size: Any, align_corners: bool, *scales: Any) -> ir.Value:
    """Resize, linear."""
    return _smooth(c, x, scales, align_corners, mode="linear")


@translates("aten.upsample_bicubic2d")
def upsample_bicubic(c: Context, x: ir.Value, size: Any, align_corners: bool, *scales: Any) -> ir.Value:
    """Resize, cubic with torch's coefficient -0.75."""
    return _smooth(c, x, scales, align_corners, mode="cubic", cubic_coeff_a=-0.75)


@translates("aten._upsample_bilinear2d_aa")
def upsample_bilinear_antialiased(c: Context, x: ir.Value, size: Any, align_corners: bool, *scales: Any) -> ir.Value:
    """A product with torch's own filter for each axis."""
    return _filtered(c, x, "_upsample_bilinear2d_aa", align_corners, _factors(scales, 2))


@translates("aten._upsample_bicubic2d_aa")
def upsample_bicubic_antialiased(c: Context, x: ir.Value, size: Any, align_corners: bool, *scales: Any) -> ir.Value:
    """A product with torch's own filter for each axis."""
    return _filtered(c, x, "_upsample_bicubic2d_aa", align_corners, _factors(scales, 2))


def _filtered(c: Context, x: ir.Value, name: str, align_corners: bool, factors: Sequence[float | None]) -> ir.Value:
    require_float(x, "smooth interpolation")
    # Not Resize with antialias: runtimes leave it out or compute other weights.
    sizes = static_sizes([*c.sizes_of(x)[2:], *c.shape[2:]], "antialiased interpolation")
    if sizes[0] != sizes[2]:
        weights = _filter(name, sizes[0], sizes[2], align_corners, factors[0])
        x = c.op("MatMul", c.const(weights, x.dtype), x)
    if sizes[1] != sizes[3]:
        weights = _filter(name, sizes[1], sizes[3], align_corners, factors[1])
        x = c.op("MatMul", x, c.const(np.ascontiguousarray(weights.T), x.dtype))
    return x


def _filter(name: str, have: int, want: int, align_corners: bool, factor: float | None) -> np.ndarray:
    """Return torch's weights as (want, have): what it makes of each unit vector."""
    import torch

    units = torch.eye(have, dtype=torch.float32).reshape(have, 1, 1, have)
    made = getattr(torch.ops.aten, name)(units, [1, want], align_corners, None, factor)
    weights: np.ndarray = made.reshape(have, want).numpy().T
    return weights


def _factors(scales: Sequence[Any], spatial: int) -> list[float | None]:
    """Return the scale of each axis as torch was given it (one list, or one number for each axis)."""
    given = list(scales[0]) if len(scales) == 1 and isinstance(scales[0], (list, tuple)) else list(scales)
    return [*given, *[None] * spatial][:spatial]


def _nearest(c: Context, x: ir.Value, scales: Sequence[Any], coordinates: str, rounding: str) -> ir.Value:
    spatial = c.rank(x) - 2
    factors = _factors(scales, spatial)
    exact = True
    for axis in range(spatial):
        have, want = c.sizes_of(x)[2 + axis], c.shape[2 + axis]
        if isinstance(have, int) and isinstance(want, int):
            exact = exact and _same_pixels(have, want, factors[axis], coordinates)
    if exact:
        return _resize(c, x, factors, mode="nearest", coordinates=coordinates, nearest_mode=rounding)
    result = x
    for axis, factor in enumerate(factors):
        have, want = static_sizes([c.sizes_of(x)[2 + axis], c.shape[2 + axis]], "interpolation by an uneven factor")
        table = _torch_pixels(have, want, factor, coordinates)
        if table != list(range(have)):
            result = c.op("Gather", result, c.const(table, ir.DataType.INT64), axis=2 + axis)
    return result


def _torch_pixels(have: int, want: int, factor: float | None, coordinates: str) -> list[int]:
    """Return the pixel that torch picks for each position, by running it."""
    import torch

    ramp = torch.arange(have, dtype=torch.float32).reshape(1, 1, have)
    name = {"asymmetric": "upsample_nearest1d", "half_pixel": "_upsample_nearest_exact1d"}[coordinates]
    picked = getattr(torch.ops.aten, name)(ramp, [want], factor)
    return [int(item) for item in picked.flatten().tolist()]


def _same_pixels(have: int, want: int, factor: float | None, coordinates: str) -> bool:
    """Say whether ONNX's formula in float32 picks torch's pixels: both round, and not always to the same side."""
    scale = np.float32(want) / np.float32(have) if _by_size(have, want, factor) else np.float32(factor)
    positions = np.arange(want, dtype=np.float32)
    half = np.float32(0.5)
    if coordinates == "asymmetric":
        picked = np.floor(positions / scale)
    else:
        picked = np.floor((positions + half) / scale - half + half)
    picked = np.clip(picked, 0, have - 1)
    return [int(item) for item in picked] == _torch_pixels(have, want, factor, coordinates)


def _by_size(have: Size, want: Size, factor: float | None) -> bool:
    """Say whether the ratio of the sizes is the scale: torch maps by the scale it was given, if it was given one."""
    return factor is None or (isinstance(have, int) and isinstance(want, int) and have * factor == want)


def _smooth(c: Context, x: ir.Value, scales: Sequence[Any], align_corners: bool, **attributes: Any) -> ir.Value:
    require_float(x, "smooth interpolation")  # of bytes torch rounds in fixed point
    spatial = c.rank(x) - 2
    factors = [None] * spatial if align_corners else _factors(scales, spatial)
    return _resize(c, x, factors, coordinates="align_corners" if align_corners else "half_pixel", **attributes)


def _resize(c: Context, x: ir.Value, factors: Sequence[float | None], coordinates: str, **attributes: Any) -> ir.Value:
    have, want = c.sizes_of(x)[2:], c.shape[2:]
    by_size = all(_by_size(*item) for item in zip(have, want, factors, strict=True))
    return c.op(
        "Resize",
        x,
        None,
        None if by_size else c.const(np.asarray(_scales(have, want, factors), np.float32)),
        c.vector(want) if by_size else None,
        coordinate_transformation_mode=coordinates,
        axes=list(range(2, 2 + len(want))),
        **attributes,
    )


def _scales(have: Sequence[Size], want: Sequence[Size], factors: Sequence[float | None]) -> list[float]:
    """Return the scales, which must give torch's sizes although ONNX holds them in float32."""
    result = []
    for before, after, factor in zip(have, want, factors, strict=True):
        if isinstance(before, int) and isinstance(after, int):
            scale = after / before if factor is None else factor
            if int(np.floor(np.float32(scale) * np.float32(before))) != after:
                raise NotImplementedError("interpolation by a scale that float32 rounds to another size")
        elif factor is None or float(np.float32(factor)) != factor:
            raise NotImplementedError("interpolation of a symbolic extent by a scale that float32 cannot hold")
        else:
            scale = factor
        result.append(scale)
    return result


# -- pixels and channels ------------------------------------------------------------------------------------------


@translates("aten.pixel_shuffle")
def pixel_shuffle(c: Context, x: ir.Value, factor: int) -> ir.Value:
    """DepthToSpace, column-row-depth order."""
    return _on_images(c, x, lambda images: c.op("DepthToSpace", images, blocksize=factor, mode="CRD"))


@translates("aten.pixel_unshuffle")
def pixel_unshuffle(c: Context, x: ir.Value, factor: int) -> ir.Value:
    """Reshape, transpose, reshape: SpaceToDepth has the channels in another order."""
    channels, height, width = static_sizes(c.sizes_of(x)[-3:], "pixel_unshuffle")
    if 0 in c.shape:
        return c.op("Expand", c.const(0, c.dtype), c.vector(c.shape))

    def split(images: ir.Value) -> ir.Value:
        shape = [-1, channels, height // factor, factor, width // factor, factor]
        turned = c.op("Transpose", c.op("Reshape", images, shape), perm=[0, 1, 3, 5, 2, 4])
        return c.op("Reshape", turned, [-1, channels * factor**2, height // factor, width // factor])

    return _on_images(c, x, split)


def _on_images(c: Context, x: ir.Value, operation: Any) -> ir.Value:
    """Apply an operation on (batch, channels, height, width) whatever stands before the channels."""
    if c.rank(x) == 4:
        result: ir.Value = operation(x)
        return result
    images = c.op("Reshape", x, c.vector([-1, *static_sizes(c.sizes_of(x)[-3:], "a pixel shuffle")]))
    return c.reshape(known(c, operation(images), [-1, *c.shape[-3:]]), c.shape)


@translates("aten.channel_shuffle", "aten.native_channel_shuffle")
def channel_shuffle(c: Context, x: ir.Value, groups: int) -> ir.Value:
    """Reshape, transpose, reshape."""
    sizes = c.sizes_of(x)
    split = c.op("Reshape", x, c.vector([0, groups, -1, *sizes[2:]]))
    order = [0, 2, 1, *range(3, len(sizes) + 1)]
    turned = c.op("Transpose", split, perm=order)
    return c.op("Reshape", turned, c.vector([0, -1, *sizes[2:]]))


# -- sampling -----------------------------------------------------------------------------------------------------


@translates("aten.grid_sampler", "aten.grid_sampler_2d", "aten.grid_sampler_3d")
def grid_sample(
    c: Context, x: ir.Value, grid: ir.Value, interpolation: int, padding: int, align_corners: bool
) -> ir.Value:
    """GridSample."""
    return c.op(
        "GridSample",
        x,
        grid,
        mode=("linear", "nearest", "cubic")[interpolation],
        padding_mode=("zeros", "border", "reflection")[padding],
        align_corners=int(align_corners),
    )


@translates("aten.affine_grid_generator")
def affine_grid(c: Context, theta: ir.Value, size: Sequence[Size], align_corners: bool) -> ir.Value:
    """AffineGrid."""
    return c.op("AffineGrid", theta, c.vector(size), align_corners=int(align_corners))


# -- windows as columns -------------------------------------------------------------------------------------------


@translates("aten.im2col")
def im2col(
    c: Context, x: ir.Value, kernel: Sequence[int], dilation: Sequence[int], padding: Sequence[int],
    stride: Sequence[int],
) -> ir.Value:  # fmt: skip
    """Every window of an image as a column: a Gather of places in the padded image."""
    channels, height, width = static_sizes(c.sizes_of(x)[-3:], "unfold")
    rows = _places(height + 2 * padding[0], kernel[0], dilation[0], stride[0])
    columns = _places(width + 2 * padding[1], kernel[1], dilation[1], stride[1])
    # (kernel row, kernel column, window row, window column), flattened as torch flattens it.
    cells = rows[:, None, :, None] * (width + 2 * padding[1]) + columns[None, :, None, :]
    data = c.op("Pad", x, [*padding, *padding], c.const(0, c.dtype), [-2, -1]) if any(padding) else x
    lead = c.sizes_of(x)[:-3]
    padded = [*lead, channels, height + 2 * padding[0], width + 2 * padding[1]]
    plane = c.reshape(known(c, data, padded), [*lead, channels, padded[-1] * padded[-2]])  # type: ignore[operator]
    table = cells.reshape(kernel[0] * kernel[1], -1)
    taken = c.op("Gather", plane, c.const(table, ir.DataType.INT64), axis=len(lead) + 1)
    return c.reshape(known(c, taken, [*lead, channels, *table.shape]), c.shape)


def _places(extent: int, kernel: int, dilation: int, stride: int) -> np.ndarray:
    """Return the coordinate of each (kernel element, window)."""
    count = (extent - dilation * (kernel - 1) - 1) // stride + 1
    return np.arange(kernel)[:, None] * dilation + np.arange(count)[None, :] * stride


@translates("aten.col2im")
def col2im(
    c: Context, x: ir.Value, output: Sequence[int], kernel: Sequence[int], dilation: Sequence[int],
    padding: Sequence[int], stride: Sequence[int],
) -> ir.Value:  # fmt: skip
    """Col2Im."""
    batched = c.rank(x) == 3
    pads = [*padding, *padding]
    result = c.op(
        "Col2Im", x if batched else c.op("Unsqueeze", x, [0]), list(output), list(kernel),
        dilations=list(dilation), pads=pads, strides=list(stride),
    )  # fmt: skip
    return result if batched else c.op("Squeeze", result, [0])
