"""Makes torchvision's registry wheel importable beside a CPU-only torch, and nothing else.

The registry's torchvision wheel is built against the CUDA torch. Beside a CPU build its C++ extension does not load,
and `import torchvision` stops at "operator torchvision::nms does not exist" because the operators whose shapes it
describes were never declared. Declaring their schemas first is enough for every model without these operators.
The schemas are those of torchvision 0.28's own C++ sources (torchvision/csrc/ops/*.cpp).
"""

from __future__ import annotations

import functools
from typing import Any

_ROI = "Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width"
_ROI_BACK = (
    "float spatial_scale, SymInt pooled_height, SymInt pooled_width{more}, "
    "SymInt batch_size, SymInt channels, SymInt height, SymInt width"
)
_DEFORM = (
    "Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, "
    "SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, "
    "bool use_mask"
)
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    f"roi_align({_ROI}, int sampling_ratio, bool aligned) -> Tensor",
    f"qroi_align({_ROI}, int sampling_ratio, bool aligned) -> Tensor",
    f"_roi_align_backward(Tensor grad, Tensor rois, {_ROI_BACK.format(more='')}, int sampling_ratio, bool aligned)"
    " -> Tensor",
    f"roi_pool({_ROI}) -> (Tensor, Tensor)",
    f"_roi_pool_backward(Tensor grad, Tensor rois, Tensor argmax, {_ROI_BACK.format(more='')}) -> Tensor",
    f"ps_roi_align({_ROI}, int sampling_ratio) -> (Tensor, Tensor)",
    "_ps_roi_align_backward(Tensor grad, Tensor rois, Tensor channel_mapping, "
    f"{_ROI_BACK.format(more=', int sampling_ratio')}) -> Tensor",
    f"ps_roi_pool({_ROI}) -> (Tensor, Tensor)",
    f"_ps_roi_pool_backward(Tensor grad, Tensor rois, Tensor channel_mapping, {_ROI_BACK.format(more='')}) -> Tensor",
    f"deform_conv2d({_DEFORM}) -> Tensor",
    f"_deform_conv2d_backward(Tensor grad, {_DEFORM}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor",
)
_LIBRARIES: list[Any] = []


@functools.cache
def prepare() -> bool:
    """Declare the missing operator schemas before torchvision's first import, where its extension does not load.

    Call this before every `import torchvision` or `import timm`. Returns whether the schemas had to be declared.
    Does nothing where torchvision was imported already or its extension loads.
    """
    import importlib.util
    import sys

    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return False
    if _extension_loads():
        return False
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _LIBRARIES.append(library)  # A library that is collected takes its operators along.
    return True


def _extension_loads() -> bool:
    import importlib.util
    from pathlib import Path

    import torch

    spec = importlib.util.find_spec("torchvision")
    origin = spec.origin if spec is not None else None
    for file in sorted(Path(origin).parent.glob("_C*.so")) if origin else []:
        try:
            torch.ops.load_library(file)
        except (OSError, RuntimeError):
            continue
        return True
    return False
