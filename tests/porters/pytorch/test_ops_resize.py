"""Interpolation, pixel shuffles, grid sampling, windows as columns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F


def up(mode: str, **options: Any) -> Any:
    return lambda x: F.interpolate(x, mode=mode, **options)


MODES = ("nearest", "nearest-exact", "bilinear", "bicubic")
SCALED: dict[str, dict[str, Any]] = {
    "size": {"size": (9, 5)},
    "double": {"scale_factor": 2},
    "half": {"scale_factor": 0.5},
    "odd": {"scale_factor": (1.7, 0.6)},
}
IMAGES = {
    **{f"{m.replace('-', '_')}_{name}": up(m, **options) for m in MODES for name, options in SCALED.items()},
    "bilinear_corners": up("bilinear", size=(9, 5), align_corners=True),
    "bilinear_corners_scale": up("bilinear", scale_factor=1.7, align_corners=True),
    "bilinear_corners_one": up("bilinear", size=(1, 1), align_corners=True),
    "bicubic_corners": up("bicubic", size=(4, 11), align_corners=True),
    "bilinear_recomputed": up("bilinear", scale_factor=1.7, recompute_scale_factor=True),
    "bilinear_antialias": up("bilinear", size=(3, 4), antialias=True),
    "bicubic_antialias": up("bicubic", size=(4, 9), antialias=True),
    "antialias_scale": up("bilinear", scale_factor=0.6, antialias=True),
    "area": up("area", size=(3, 2)),
    "nearest_thirds": up("nearest", size=(21, 5)),
    "nearest_down": up("nearest", size=(5, 3)),
    "uint8_like": lambda x: F.interpolate(torch.round(x), size=(5, 9), mode="nearest"),
    "shuffle": lambda x: F.pixel_shuffle(x, 2),
    "shuffle_unbatched": lambda x: F.pixel_shuffle(x[0], 2),
    "unshuffle": lambda x: F.pixel_unshuffle(x[..., :4], 2),
    "unshuffle_more": lambda x: F.pixel_unshuffle(x[:, None, :, :, :4], 2),
    "channel_shuffle": lambda x: F.channel_shuffle(x, 2),
    "unfold": lambda x: F.unfold(x, (3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1)),
    "unfold_plain": lambda x: F.unfold(x, 2),
    "unfold_unbatched": lambda x: F.unfold(x[0], 3, padding=1),
    "fold": lambda x: F.fold(F.unfold(x, 3, padding=1, stride=2), (8, 7), 3, padding=1, stride=2),
    "fold_dilated": lambda x: F.fold(F.unfold(x, 2, dilation=2), (8, 7), 2, dilation=2),
}  # fmt: skip

OTHER_RANKS = {
    "nearest_1d": lambda x: F.interpolate(x.flatten(2), size=13),
    "linear_1d": lambda x: F.interpolate(x.flatten(2), scale_factor=1.5, mode="linear"),
    "linear_1d_corners": lambda x: F.interpolate(x.flatten(2), size=7, mode="linear", align_corners=True),
    "nearest_3d": lambda x: F.interpolate(x, scale_factor=2),
    "trilinear": lambda x: F.interpolate(x, size=(4, 2, 7), mode="trilinear"),
    "trilinear_corners": lambda x: F.interpolate(x, size=(4, 2, 7), mode="trilinear", align_corners=True),
}


@pytest.mark.parametrize(
    ("table", "shape"),
    [pytest.param(IMAGES, "batch,4,8,7", id="images"), pytest.param(OTHER_RANKS, "batch,2,2,3,4", id="other-ranks")],
)
def test_values(port_and_compare: Any, table: Any, shape: str) -> None:
    port_and_compare(table, shape)


def test_nearest_picks_torchs_pixels_at_every_size(port_and_compare: Any) -> None:
    table = {
        f"{mode.replace('-', '_')}_{size}": up(mode, size=(size, 1))
        for mode in ("nearest", "nearest-exact")
        for size in (3, 6, 7, 10, 14, 23, 25, 49, 50)
    }
    port_and_compare(table, "batch,1,14,1", batches=(2,))


def test_symbolic_image_sizes(port_and_compare: Any) -> None:
    table = {"double": up("nearest", scale_factor=2), "bilinear": up("bilinear", scale_factor=2.0)}
    ported = port_and_compare(table, "batch,2,length,5")
    assert ported.ops == {"Resize": 2}


GRIDS = {
    f"{mode}_{padding}_{'corners' if corners else 'centres'}": (
        lambda m, p, a: lambda x, g: F.grid_sample(x, g, mode=m, padding_mode=p, align_corners=a)
    )(mode, padding, corners)
    for mode in ("bilinear", "nearest", "bicubic")
    for padding in ("zeros", "border", "reflection")
    for corners in (False, True)
}  # fmt: skip


def test_grid_sample(port_and_compare: Any) -> None:
    port_and_compare(GRIDS, "batch,2,5,6", "batch,4,3,2")


def test_affine_grid(port_and_compare: Any) -> None:
    table = {
        "centres": lambda t: F.affine_grid(t, [t.shape[0], 1, 4, 5], align_corners=False),
        "corners": lambda t: F.affine_grid(t, [t.shape[0], 1, 4, 5], align_corners=True),
    }
    port_and_compare(table, "batch,2,3")


def test_volumes_on_a_grid(port_and_compare: Any) -> None:
    table = {
        "linear": lambda x, g: F.grid_sample(x, g, align_corners=False),
        "nearest": lambda x, g: F.grid_sample(x, g, mode="nearest", padding_mode="border", align_corners=True),
    }
    port_and_compare(table, "batch,2,3,4,5", "batch,2,3,2,3")
