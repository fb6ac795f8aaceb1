"""torchvision's operators beside a CPU-only torch: each kernel against a slow reading of its definition."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch

from porters.pytorch import torchvision_kernels as kernels

if find_spec("torchvision") is None:
    pytest.skip("the extra 'vision' is not installed", allow_module_level=True)

DTYPES = [torch.float32, torch.float64]


def regions(dtype: Any, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features, and boxes of which some hang over the edge, one lies outside and one is a point."""
    make = torch.Generator().manual_seed(seed)
    x = torch.randn((2, 3, 9, 11), generator=make, dtype=dtype)
    corners = torch.rand((12, 4), generator=make, dtype=dtype) * 30 - 5
    boxes = torch.cat([torch.minimum(corners[:, :2], corners[:, 2:]), torch.maximum(corners[:, :2], corners[:, 2:])], 1)
    boxes[0] = torch.tensor([100.0, 100.0, 120.0, 130.0])
    boxes[1] = torch.tensor([4.0, 4.0, 4.0, 4.0])
    sample = torch.randint(0, 2, (12, 1), generator=make).to(dtype)
    return x, torch.cat([sample, boxes], 1)


def bilinear(plane: np.ndarray, y: float, x: float) -> float:
    """Torchvision's bilinear_interpolate: nothing further than one pixel outside."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = max(y, 0.0), max(x, 0.0)
    top, left = int(y), int(x)
    if top >= height - 1:
        top = bottom = height - 1
        y = float(top)
    else:
        bottom = top + 1
    if left >= width - 1:
        left = right = width - 1
        x = float(left)
    else:
        right = left + 1
    v, u = y - top, x - left
    upper = (1 - u) * plane[top, left] + u * plane[top, right]
    return float((1 - v) * upper + v * ((1 - u) * plane[bottom, left] + u * plane[bottom, right]))


def slow_roi_align(x: np.ndarray, rois: np.ndarray, scale: float, ph: int, pw: int, ratio: int, aligned: bool) -> Any:
    result = np.zeros((len(rois), x.shape[1], ph, pw))
    for k, (sample, *box) in enumerate(rois):
        x1, y1, x2, y2 = (edge * scale - (0.5 if aligned else 0.0) for edge in box)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        rows, columns = (ratio if ratio > 0 else math.ceil(size / n) for size, n in ((height, ph), (width, pw)))
        for c, i, j in np.ndindex(x.shape[1], ph, pw):
            values = [
                bilinear(
                    x[int(sample), c],
                    y1 + (i + (r + 0.5) / rows) * height / ph,
                    x1 + (j + (s + 0.5) / columns) * width / pw,
                )
                for r in range(rows)
                for s in range(columns)
            ]
            result[k, c, i, j] = sum(values) / max(len(values), 1)
    return result


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [2, 3, 0, -1])
def test_roi_align_is_the_mean_of_bilinear_samples(dtype: Any, aligned: bool, ratio: int) -> None:
    x, rois = regions(dtype)
    had = kernels.roi_align(x, rois, 0.5, 3, 4, ratio, aligned)
    wanted = slow_roi_align(x.double().numpy(), rois.double().numpy(), 0.5, 3, 4, ratio, aligned)
    assert had.dtype == dtype
    np.testing.assert_allclose(had.numpy(), wanted, atol=1e-5 if dtype == torch.float32 else 1e-13)
    assert np.abs(wanted).max() > 0.5
    assert not wanted[0].any(), "the region outside has no samples"


def test_roi_align_of_no_regions_is_empty() -> None:
    x, rois = regions(torch.float32)
    assert kernels.roi_align(x, rois[:0], 0.5, 3, 4, 2, False).shape == (0, 3, 3, 4)


def slow_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def iou(a: np.ndarray, b: np.ndarray) -> float:
    overlap = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap
    return float(overlap / union) if union else 0.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_nms_keeps_what_no_better_box_covers(dtype: Any, threshold: float) -> None:
    make = torch.Generator().manual_seed(3)
    low = torch.randint(0, 12, (60, 2), generator=make).to(dtype)
    boxes = torch.cat([low, low + torch.randint(0, 9, (60, 2), generator=make)], 1)
    scores = torch.randint(0, 25, (60,), generator=make).to(dtype)  # ties: the first box comes first
    kept = kernels.nms(boxes, scores, threshold)
    assert kept.dtype == torch.int64
    assert kept.tolist() == slow_nms(boxes.double().numpy(), scores.numpy(), threshold)


def test_nms_of_nothing_is_nothing() -> None:
    assert kernels.nms(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,)
