"""torchvision's detection operators and a whole detector, and what its sources say of its models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from parity import check
from porters.porting import port_to
from porters.pytorch.torchvision_shim import prepare
from porters.pytorch.whole_functions import paste_masks
from porters.source import SourceOptions
from zoo.artifact import open_artifact

if find_spec("torchvision") is None:
    pytest.skip("the extra 'vision' is not installed", allow_module_level=True)
prepare()
import torchvision  # noqa: E402


def corners(numbers: torch.Tensor, size: float = 20.0) -> torch.Tensor:
    """Boxes from any numbers (N, 4)."""
    low = numbers[:, :2].abs() * size
    return torch.cat([low, low + numbers[:, 2:].abs() * size], 1)


def by_overlap(threshold: float) -> Callable[..., Any]:
    return lambda a, b: torchvision.ops.nms(corners(a), b, threshold)


NMS = {
    "some": by_overlap(0.3),
    "all_that_touch": by_overlap(0.0),
    "none": by_overlap(1.0),
    "rounded_up": by_overlap(0.6),  # float32 has no 0.6; the next one is above it
    "negative_scores": lambda a, b: torchvision.ops.nms(corners(a), b - 10, 0.3),
    "nothing": lambda a, b: torchvision.ops.nms(corners(a)[b > 100], b[b > 100], 0.3),
    "ties": lambda a, b: torchvision.ops.nms(corners(a), b.round(), 0.3),
}


def test_nms_keeps_the_same_boxes_in_the_same_order(port_and_compare: Callable[..., Any]) -> None:
    assert port_and_compare(NMS, "64,4", "64").ops["NonMaxSuppression"] == len(NMS)


@pytest.mark.parametrize("count", [40, 1100])  # torchvision moves up to 1,000 boxes apart
def test_batched_nms_goes_both_ways(port_and_compare: Callable[..., Any], count: int) -> None:
    def suppress(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return torchvision.ops.batched_nms(corners(a), b, c, 0.3)

    def of_those_above(level: float) -> Callable[..., Any]:
        return lambda a, b, c: torchvision.ops.batched_nms(corners(a)[b > level], b[b > level], c[b > level], 0.3)

    variants = {"all": suppress, "above": of_those_above(0.5), "nothing": of_those_above(100.0)}
    port_and_compare(variants, f"{count},4", f"{count}", f"{count}:i0..5")


def pooled(aligned: bool, scale: float, ratio: int = 2) -> Callable[..., Any]:
    def pool(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        sample = (torch.arange(b.shape[0]) % 2).to(b.dtype)[:, None]
        rois = torch.cat([sample, corners(b, 9.0) - 4.0], 1)
        return torchvision.ops.roi_align(a, rois, (3, 2), scale, ratio, aligned)

    return pool


def test_roi_align_samples_as_torchvision_does(port_and_compare: Callable[..., Any]) -> None:
    variants = {
        "corner": pooled(False, 1.0),
        "centre": pooled(True, 1.0),
        "scaled": pooled(False, 0.37, 3),
        "none": lambda a, b: torchvision.ops.roi_align(a, corners(b)[:0].new_zeros(0, 5), (3, 2), 1.0, 2),
    }
    port_and_compare(variants, "2,5,9,11", "24,4")


def test_roi_align_of_an_open_number_of_samples_is_refused(refused: Callable[..., str]) -> None:
    assert "as many samples" in refused(pooled(False, 1.0, 0), "2,5,9,11", "24,4")


class NormOfSome(torch.nn.Module):
    """A batch norm of as many samples as the data says."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(4)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.norm(a[(b > 0).nonzero().flatten()])


def test_a_batch_norm_of_an_open_number_of_samples(port_and_compare: Callable[..., Any]) -> None:
    port_and_compare(NormOfSome(), "6,4,3,3", "6")


def keypoints_of_those_above(level: float) -> Callable[..., Any]:
    def find(a: torch.Tensor, b: torch.Tensor) -> Any:
        kept = (b[:, 0] > level).nonzero().flatten()
        return torchvision.models.detection.roi_heads.heatmaps_to_keypoints(a[kept], corners(b)[kept])

    return find


def test_keypoints_are_the_peaks_of_heatmaps_resized_to_their_boxes(port_and_compare: Callable[..., Any]) -> None:
    variants = {"all": keypoints_of_those_above(-100.0), "some": keypoints_of_those_above(0.0)}
    ported = port_and_compare({**variants, "nothing": keypoints_of_those_above(100.0)}, "6,3,8,8", "6,4")
    assert ported.ops["Loop"] == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_masks_are_pasted_as_torchvision_pastes_them(dtype: Any) -> None:
    make = torch.Generator().manual_seed(2)
    masks = torch.rand((20, 1, 14, 14), generator=make, dtype=dtype)
    low = torch.rand((20, 2), generator=make, dtype=dtype) * 40
    boxes = torch.cat([low, low + torch.rand((20, 2), generator=make, dtype=dtype) * 30], 1)
    wanted = torchvision.models.detection.roi_heads.paste_masks_in_image(masks, boxes, (50, 60))
    had = paste_masks(masks, boxes, (50, 60))
    torch.testing.assert_close(had, wanted, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-12)
    assert wanted.max() > 0.5


@pytest.mark.thorough
def test_a_detector_with_masks_ports_and_holds(tmp_path: Path) -> None:
    result = port_to("python:tiny_models:detector", tmp_path / "art", SourceOptions(), record_golden=False)
    assert result.fallback is False
    parity = check(open_artifact(tmp_path / "art"), save=False)
    assert parity.holds, parity.diagnosis
    shapes = {output.name: output.shape for output in parity.outputs}
    assert shapes["output_0_boxes"][0] > 0
    assert list(shapes) == [f"output_0_{name}" for name in ("boxes", "labels", "scores", "masks")]


def test_every_float_model_has_a_family() -> None:
    from porters.pytorch.vision_sources import list_torchvision

    listed = dict(list_torchvision())
    assert not [name for name in listed if name.startswith("quantized")]
    assert listed["raft_small"] == "optical_flow"
    assert listed["fasterrcnn_resnet50_fpn"] == "detection"
    assert Counter(listed.values()) >= Counter(classification=80, detection=12, video=9, segmentation=6, optical_flow=2)
