"""Makes torchvision's registry wheel work beside a CPU-only torch: declares its operators and gives some a CPU kernel.

The registry's torchvision wheel is built against the CUDA torch. Beside a CPU build its C++ extension does not load,
and `import torchvision` stops at "operator torchvision::nms does not exist" because the operators whose shapes it
describes were never declared. Their schemas are those of torchvision 0.28's own C++ sources
(torchvision/csrc/ops/*.cpp); the kernels are in ``torchvision_kernels``. torchvision asks whether its extension was
loaded before it calls an operator or describes its shapes to torch.export: the answer has to be yes.
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
    "_cuda_version() -> int",
)
_LIBRARIES: list[Any] = []


@functools.cache
def prepare() -> bool:
    """Declare torchvision's operators and import it, where its extension does not load.

    Call this before every `import torchvision` or `import timm`. Returns whether anything had to be declared.
    Does nothing where torchvision was imported already or its extension loads.
    """
    import importlib.util
    import sys

    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return False
    if _extension_loads():
        return False
    import torch

    from porters.pytorch import torchvision_kernels as kernels

    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    for kernel in (kernels.nms, kernels.roi_align):
        library.impl(kernel.__name__, kernel, "CPU")
    library.impl("_cuda_version", lambda: -1, "CompositeExplicitAutograd")  # -1 is its own word for "no CUDA"
    _LIBRARIES.append(library)  # A library that is collected takes its operators along.
    _import_as_if_loaded()
    return True


def _import_as_if_loaded() -> None:
    """Import torchvision while the loading of its extension succeeds without doing anything."""
    import importlib
    from pathlib import Path
    from unittest import mock

    import torch

    load = torch.ops.load_library

    def skip_extension(path: Any) -> None:
        if Path(path).stem != "_C" or "torchvision" not in Path(path).parts:
            load(path)

    with mock.patch.object(torch.ops, "load_library", skip_extension):
        importlib.import_module("torchvision")


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
