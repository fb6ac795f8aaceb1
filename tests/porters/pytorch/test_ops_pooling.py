"""Pooling: ceil mode, divisors, indices, adaptive sizes that do not divide."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

MAXIMA = {
    "plain": lambda x: F.max_pool2d(x, 2),
    "padded": lambda x: F.max_pool2d(x, 3, 2, 1),
    "dilated": lambda x: F.max_pool2d(x, 3, 1, 1, dilation=2),
    "uneven": lambda x: F.max_pool2d(x, (2, 3), (1, 2), (1, 0)),
    "ceil": lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
    "ceil_padded": lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    # The last window would start in the padding: torch drops it.
    "ceil_dropped": lambda x: F.max_pool2d(x, 2, 3, 1, ceil_mode=True),
    "ceil_dilated": lambda x: F.max_pool2d(x, 3, 2, 1, dilation=2, ceil_mode=True),
    "stride_over": lambda x: F.max_pool2d(x, 2, 4, ceil_mode=True),
    "indices": lambda x: F.max_pool2d(x, 2, return_indices=True),
    "indices_padded": lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True, return_indices=True),
    "unpooled": lambda x: F.max_unpool2d(*F.max_pool2d(x[..., :6, :6], 2, return_indices=True), 2),
    "adaptive_1": lambda x: F.adaptive_max_pool2d(x, 1),
    "adaptive_even": lambda x: F.adaptive_max_pool2d(x[..., :6, :6], (3, 2)),
    "adaptive_uneven": lambda x: F.adaptive_max_pool2d(x, (3, 4)),
    "adaptive_larger": lambda x: F.adaptive_max_pool2d(x, (11, 9)),
    "adaptive_indices": lambda x: F.adaptive_max_pool2d(x, (3, 4), return_indices=True),
    "adaptive_even_indices": lambda x: F.adaptive_max_pool2d(x[..., :6, :6], (3, 2), return_indices=True),
    "unbatched": lambda x: F.max_pool2d(x[0], 3, 2, 1),
}  # fmt: skip

MEANS = {
    "plain": lambda x: F.avg_pool2d(x, 2),
    "padded": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "not_counted": lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "ceil": lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True),
    "ceil_padded": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "ceil_not_counted": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    "ceil_dropped": lambda x: F.avg_pool2d(x, 2, 3, 1, ceil_mode=True),
    "divisor": lambda x: F.avg_pool2d(x, 3, 2, 1, divisor_override=5),
    "divisor_ceil": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, divisor_override=2),
    "uneven": lambda x: F.avg_pool2d(x, (3, 2), (2, 1), (1, 0)),
    "adaptive_1": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_same": lambda x: F.adaptive_avg_pool2d(x, (None, None)),
    "adaptive_row": lambda x: F.adaptive_avg_pool2d(x, (1, None)),
    "adaptive_even": lambda x: F.adaptive_avg_pool2d(x[..., :6, :6], (3, 2)),
    "adaptive_uneven": lambda x: F.adaptive_avg_pool2d(x, (3, 4)),
    "adaptive_larger": lambda x: F.adaptive_avg_pool2d(x, (11, 9)),
    "lp": lambda x: F.lp_pool2d(x.abs(), 2, 2),
    "unbatched": lambda x: F.avg_pool2d(x[0], 3, 2, 1),
}  # fmt: skip

OTHER_RANKS = {
    "max_1d": lambda x: F.max_pool1d(x.flatten(2), 3, 2, 1, ceil_mode=True),
    "max_1d_indices": lambda x: F.max_pool1d(x.flatten(2), 3, 2, 1, return_indices=True),
    "avg_1d": lambda x: F.avg_pool1d(x.flatten(2), 4, 3, 2, ceil_mode=True),
    "adaptive_1d": lambda x: F.adaptive_avg_pool1d(x.flatten(2), 7),
    "adaptive_max_1d": lambda x: F.adaptive_max_pool1d(x.flatten(2), 7),
    "max_3d": lambda x: F.max_pool3d(x, 2, 2, 1, ceil_mode=True),
    "max_3d_indices": lambda x: F.max_pool3d(x, 2, return_indices=True),
    "avg_3d": lambda x: F.avg_pool3d(x, (1, 3, 2), 2, (0, 1, 1), ceil_mode=True, count_include_pad=False),
    "adaptive_3d": lambda x: F.adaptive_avg_pool3d(x, (2, 3, 1)),
    "adaptive_max_3d": lambda x: F.adaptive_max_pool3d(x, (2, 2, 2)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "shape"),
    [
        pytest.param(MAXIMA, "batch,2,8,7", id="maxima"),
        pytest.param(MEANS, "batch,2,8,7", id="means"),
        pytest.param(OTHER_RANKS, "batch,2,3,5,4", id="other-ranks"),
    ],
)
def test_values(port_and_compare: Any, table: Any, shape: str) -> None:
    port_and_compare(table, shape)


@pytest.mark.parametrize(("size", "kernel", "stride", "pad"), [(6, 3, 2, 1), (5, 2, 3, 1), (7, 3, 3, 1), (9, 4, 4, 2)])
def test_ceil_mode_has_torchs_windows(port_and_compare: Any, size: int, kernel: int, stride: int, pad: int) -> None:
    port_and_compare(
        {
            "max": lambda x: F.max_pool1d(x, kernel, stride, pad, ceil_mode=True),
            "avg": lambda x: F.avg_pool1d(x, kernel, stride, pad, ceil_mode=True),
            "not_counted": lambda x: F.avg_pool1d(x, kernel, stride, pad, ceil_mode=True, count_include_pad=False),
        },
        f"batch,3,{size}",
    )


def test_a_pool_is_one_node(port_and_compare: Any) -> None:
    assert port_and_compare({"y": MAXIMA["ceil_padded"]}, "batch,2,8,7").ops == {"MaxPool": 1}
    assert port_and_compare({"y": MEANS["padded"]}, "batch,2,8,7").ops == {"AveragePool": 1}
    assert port_and_compare({"y": MEANS["adaptive_1"]}, "batch,2,8,7").ops == {"GlobalAveragePool": 1}
    assert port_and_compare({"y": torch.nn.AdaptiveAvgPool2d((4, 1)).forward}, "batch,2,8,7").ops == {"AveragePool": 1}
