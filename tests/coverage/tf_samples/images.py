"""Images: resizing in every way, colours, crops, projections, patches, and the suppression of boxes."""

from __future__ import annotations

import numpy as np

from tests.coverage.tf_samples.sample import B, f, fixed, i, made, op, u

IMAGE = u(B, 8, 6, 3)
BYTES = i(B, 8, 6, 3, low=0, high=256, dtype="uint8")

for _name in ("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"):
    for _align, _half in ((False, False), (True, False), (False, True)):
        for _size in ([16, 12], [5, 4], [8, 6], [3, 13]):
            op(_name, images=IMAGE, size=_size, align_corners=_align, half_pixel_centers=_half)
    op(_name, images=BYTES, size=[4, 9], half_pixel_centers=True)
for _size in ([16, 12], [5, 4], [4, 3]):
    op("ResizeArea", images=IMAGE, size=_size)
op("ResizeArea", images=IMAGE, size=[5, 4], align_corners=True)
for _kernel in ("lanczos1", "lanczos3", "lanczos5", "gaussian", "box", "triangle", "keyscubic", "mitchellcubic"):
    for _antialias in (True, False):
        op("ScaleAndTranslate", images=IMAGE, size=[5, 9], scale=[0.625, 1.5], translation=[0.0, 0.3],
           kernel_type=_kernel, antialias=_antialias)  # fmt: skip
op("RGBToHSV", images=IMAGE)
op("HSVToRGB", images=IMAGE)
op("AdjustHue", images=IMAGE, delta=0.3)
op("AdjustHue", images=IMAGE, delta=u(low=-1.0))
op("AdjustSaturation", images=IMAGE, scale=1.7)
op("AdjustSaturation", images=IMAGE, scale=u())
op("AdjustContrastv2", images=IMAGE, contrast_factor=1.7)
op("AdjustContrastv2", images=u(8, 6, 3), contrast_factor=u())

BOXES = fixed([[0.1, 0.2, 0.7, 0.9], [0.0, 0.0, 1.0, 1.0], [0.6, 0.8, 0.2, 0.1], [-0.2, 0.1, 1.3, 0.5]])
for _method in ("bilinear", "nearest"):
    op("CropAndResize", image=u(2, 8, 6, 3), boxes=BOXES, box_ind=fixed([0, 1, 1, 0], "int32"), crop_size=[5, 4],
       method=_method, extrapolation_value=0.5)  # fmt: skip
    op(
        "CropAndResize",
        image=u(2, 8, 6, 3),
        boxes=u(B, 4),
        box_ind=i(B, low=0, high=2),
        crop_size=[1, 3],
        method=_method,
    )

TURN = fixed([[0.9, -0.3, 1.0, 0.2, 1.1, -0.5, 0.01, 0.02]])
for _mode in ("CONSTANT", "REFLECT", "WRAP", "NEAREST"):
    for _way in ("NEAREST", "BILINEAR"):
        op("ImageProjectiveTransformV2", images=IMAGE, transforms=TURN, output_shape=[7, 9], interpolation=_way,
           fill_mode=_mode)  # fmt: skip
        op("ImageProjectiveTransformV3", images=u(2, 8, 6, 3), transforms=f(2, 8, mean=0.3, std=0.2),
           output_shape=[7, 9], fill_value=0.4, interpolation=_way, fill_mode=_mode)  # fmt: skip


def boxes(random: np.random.Generator, extent: tuple[int, ...]) -> np.ndarray:
    """Return boxes that overlap a good deal."""
    corner = random.uniform(0.0, 0.6, (*extent[:-1], 2))
    return np.concatenate([corner, corner + random.uniform(0.2, 0.4, (*extent[:-1], 2))], -1)


def overlaps(random: np.random.Generator, extent: tuple[int, ...]) -> np.ndarray:
    """Return a symmetric matrix with ones on the diagonal."""
    x = random.uniform(0.0, 1.0, extent)
    return np.maximum(x, np.maximum(x.T, np.eye(extent[0])))


MANY = made(30, 4, by=boxes)
op("NonMaxSuppression", boxes=MANY, scores=u(30), max_output_size=9, iou_threshold=0.3)
op("NonMaxSuppressionV2", boxes=MANY, scores=u(30), max_output_size=20, iou_threshold=0.4)
op("NonMaxSuppressionV2", boxes=made(B, 4, by=boxes), scores=u(B), max_output_size=20, iou_threshold=0.1)
op("NonMaxSuppressionV3", boxes=MANY, scores=u(30), max_output_size=20, iou_threshold=0.4, score_threshold=0.3)
op("NonMaxSuppressionV3", boxes=MANY, scores=u(30), max_output_size=fixed(5, "int32"), iou_threshold=u(),
   score_threshold=u(high=0.5))  # fmt: skip
for _pad in (False, True):
    op("NonMaxSuppressionV4", boxes=MANY, scores=u(30), max_output_size=25, iou_threshold=0.4, score_threshold=0.3,
       pad_to_max_output_size=_pad)  # fmt: skip
    for _sigma in (0.0, 0.5):
        op("NonMaxSuppressionV5", boxes=MANY, scores=u(30), max_output_size=25,
           iou_threshold=0.4 if not _sigma else 1.0, score_threshold=0.2, soft_nms_sigma=_sigma,
           pad_to_max_output_size=_pad)  # fmt: skip
op("NonMaxSuppressionWithOverlaps", overlaps=made(20, 20, by=overlaps), scores=u(20), max_output_size=9,
   overlap_threshold=0.8, score_threshold=0.1)  # fmt: skip
for _groups in (1, 3):
    for _clip in (False, True):
        op("CombinedNonMaxSuppression", boxes=made(B, 20, _groups, 4, by=boxes), scores=u(B, 20, 3),
           max_output_size_per_class=6, max_total_size=15, iou_threshold=0.4, score_threshold=0.3, pad_per_class=_clip,
           clip_boxes=_clip)  # fmt: skip
op("CombinedNonMaxSuppression", boxes=made(B, 4, 1, 4, by=boxes), scores=u(B, 4, 2), max_output_size_per_class=4,
   max_total_size=20, iou_threshold=0.4, score_threshold=0.3)  # fmt: skip
