"""Plain-PyTorch CPU kernels for torchvision's own operators, for where its C++ extension does not load.

They follow torchvision 0.28's C++ kernels (torchvision/csrc/ops/cpu): the same comparisons in the same precision, so
that an original which selects boxes selects the same ones. float32 and float64; no gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def nms(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Return the indices (INT64) of the boxes that non-maximum suppression keeps, best score first.

    Args:
        dets: (N, 4) boxes (x1, y1, x2, y2).
        scores: (N,) scores; of equal ones the first box comes first.
        iou_threshold: A box that overlaps a better one by more than this is dropped.
    """
    import torch

    order = scores.sort(descending=True, stable=True)[1]
    x1, y1, x2, y2 = dets[order].detach().numpy().T
    areas = (x2 - x1) * (y2 - y1)
    alive = np.ones(len(areas), bool)
    kept = []
    for i in range(len(areas)):
        if not alive[i]:
            continue
        kept.append(i)
        rest = slice(i + 1, None)
        width = np.maximum(np.minimum(x2[i], x2[rest]) - np.maximum(x1[i], x1[rest]), 0)
        height = np.maximum(np.minimum(y2[i], y2[rest]) - np.maximum(y1[i], y1[rest]), 0)
        overlap = width * height
        with np.errstate(divide="ignore", invalid="ignore"):  # two boxes without area: 0 / 0 suppresses nothing
            iou = overlap / (areas[i] + areas[rest] - overlap)
        # The threshold is a double there too: a float32 quotient is widened before it is compared.
        alive[rest] &= ~(iou.astype(np.float64) > iou_threshold)
    return order[torch.tensor(kept, dtype=torch.int64)]


def roi_align(
    x: torch.Tensor,
    rois: torch.Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> torch.Tensor:
    """Return (K, C, pooled_height, pooled_width): each bin's mean over a grid of bilinear samples.

    Args:
        x: (N, C, H, W) features.
        rois: (K, 5) index of the sample, then the box (x1, y1, x2, y2).
        spatial_scale: From the boxes' coordinates to those of the features.
        pooled_height: Rows of bins.
        pooled_width: Columns of them.
        sampling_ratio: Samples along each side of a bin; one for each started element where it is not positive.
        aligned: Whether a pixel's centre, and not its corner, stands at whole coordinates.
    """
    import torch

    count, channels = rois.shape[0], x.shape[1]
    if count == 0:
        return x.new_empty((0, channels, pooled_height, pooled_width))
    # One row for each place, so that a bin is a weighted sum of rows: a bag of an embedding.
    table = x.permute(0, 2, 3, 1).reshape(-1, channels)
    start, bins, grids = _bins(rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned)
    first = rois[:, 0].long() * (x.shape[2] * x.shape[3])
    result = x.new_zeros((count, pooled_height, pooled_width, channels))
    for grid in torch.unique(grids, dim=0):  # regions of one grid together
        at = (grids == grid).all(1).nonzero().flatten()
        columns, rows = int(grid[0]), int(grid[1])
        if columns <= 0 or rows <= 0:
            continue  # a region turned inside out has no samples
        across = _samples(start[at, 0], bins[at, 0], pooled_width, columns, x.shape[3])
        down = _samples(start[at, 1], bins[at, 1], pooled_height, rows, x.shape[2])
        places, weights = _corners(down, across, x.shape[3])
        places = places + first[at].reshape(-1, 1, 1, 1, 1, 1)
        result[at] = _sums(table, places, weights) / (rows * columns)
    return result.permute(0, 3, 1, 2).contiguous()


def _sums(table: torch.Tensor, places: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return (K, bins, bins, C): the weighted sums of the rows of ``table`` that stand at ``places``."""
    import torch

    bag = places[0, 0, 0].numel()
    sums: torch.Tensor = torch.nn.functional.embedding_bag(
        places.reshape(-1, bag), table, per_sample_weights=weights.reshape(-1, bag).to(table.dtype), mode="sum"
    )
    return sums.reshape(*places.shape[:3], table.shape[1])


def _bins(
    rois: torch.Tensor, scale: float, height: int, width: int, sampling_ratio: int, aligned: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return, as (K, 2) of x and y, where each region starts, how large its bins are and how many samples they have."""
    import torch

    shift = 0.5 if aligned else 0.0
    start = rois[:, 1:3] * scale - shift
    size = rois[:, 3:5] * scale - shift - start
    if not aligned:
        size = size.clamp(min=1.0)
    bins = size / torch.tensor([width, height], dtype=size.dtype)
    grids = torch.ceil(bins).int() if sampling_ratio <= 0 else torch.full_like(bins, sampling_ratio, dtype=torch.int32)
    return start, bins, grids


Samples = tuple["torch.Tensor", "torch.Tensor", "torch.Tensor", "torch.Tensor"]


def _corners(down: Samples, across: Samples, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return places and weights (K, bins, bins, grid, grid, 4) of the neighbours of every sample."""
    import torch

    low_y, high_y, share_y, in_y = down
    low_x, high_x, share_x, in_x = across
    places, weights = [], []
    for y, part_y in ((low_y, 1 - share_y), (high_y, share_y)):
        for x, part_x in ((low_x, 1 - share_x), (high_x, share_x)):
            places.append(y[:, :, None, :, None] * width + x[:, None, :, None, :])
            weights.append(_outer(part_y, part_x) * _outer(in_y, in_x))
    return torch.stack(places, -1), torch.stack(weights, -1)


def _samples(start: torch.Tensor, width: torch.Tensor, bins: int, grid: int, extent: int) -> Samples:
    """Return of samples along one axis, each (K, bins, grid): both neighbours, the upper one's share, who counts."""
    import torch

    steps = torch.arange(grid, dtype=start.dtype) + 0.5
    at = (
        start[:, None, None]
        + torch.arange(bins, dtype=start.dtype)[None, :, None] * width[:, None, None]
        + steps[None, None, :] * width[:, None, None] / grid
    )
    inside = (at >= -1.0) & (at <= extent)
    at = at.clamp(min=0)
    low = at.long().clamp(max=extent - 1)
    high = (low + 1).clamp(max=extent - 1)
    share = torch.where(low >= extent - 1, torch.zeros_like(at), at - low)
    return low, high, share, inside


def _outer(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the products (K, bins, bins, grid, grid) of what stands along the two axes."""
    return y[:, :, None, :, None] * x[:, None, :, None, :]
