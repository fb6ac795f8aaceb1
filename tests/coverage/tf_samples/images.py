"""Images: resizing in every way, colours, crops, projections, patches, and the suppression of boxes."""

from __future__ import annotations

from tests.coverage.tf_samples.sample import B, f, fixed, i, op, u

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
