"""What torch.export cannot look through, because its Python decides by the data: captured as one operator each.

torchvision's ``batched_nms`` asks how many boxes there are before it chooses between two ways to the same answer. While
a model is exported, and only then, such a function is an operator of the namespace ``zooport`` whose kernel is the
library's own function; the translator of that operator holds for every number of boxes. The original that a port is
compared with always runs the library's own code.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    import torch


@contextlib.contextmanager
def whole_functions() -> Iterator[None]:
    """Replace, inside, every such function of the libraries that are loaded; see the module."""
    with contextlib.ExitStack() as stack:
        if "torchvision" in sys.modules:
            functions, places = _torchvision()
            for module in list(sys.modules.values()):  # a function has a name in every module that imports it
                for name, item in list(getattr(module, "__dict__", {}).items()):
                    replacement = functions.get(item) if type(item) is types.FunctionType else None
                    if replacement is not None:
                        stack.enter_context(mock.patch.object(module, name, replacement))
            for place, replacement in places.items():
                stack.enter_context(mock.patch(place, replacement, create=place.endswith(".len")))
        yield


@functools.cache
def _torchvision() -> tuple[dict[Callable[..., Any], Callable[..., Any]], dict[str, Callable[..., Any]]]:
    """Return function -> replacement and place -> replacement.

    The operators are declared once; their kernels are the functions as they are now.
    """
    import torch
    from torchvision.models.detection._utils import BoxCoder
    from torchvision.models.detection.roi_heads import heatmaps_to_keypoints, paste_masks_in_image
    from torchvision.ops.boxes import batched_nms

    library = torch.library.Library("zooport", "FRAGMENT")
    library.define("batched_nms(Tensor boxes, Tensor scores, Tensor idxs, float iou_threshold) -> Tensor")
    library.impl("batched_nms", batched_nms, "CPU")
    torch.library.register_fake("zooport::batched_nms", _fake_batched_nms, lib=library)
    library.define("keypoints(Tensor maps, Tensor rois) -> (Tensor, Tensor)")
    library.impl("keypoints", heatmaps_to_keypoints, "CPU")
    torch.library.register_fake("zooport::keypoints", _fake_keypoints, lib=library)
    _LIBRARIES.append(library)  # A library that is collected takes its operators along.

    def decode(coder: BoxCoder, rel_codes: torch.Tensor, boxes: list[torch.Tensor]) -> torch.Tensor:
        # Without the question whether there are any boxes: no boxes make an empty result here too.
        together = torch.cat(boxes, dim=0)
        codes = rel_codes.reshape(together.shape[0], -1) if rel_codes.dim() != 2 else rel_codes
        decoded = coder.decode_single(codes, together)
        return decoded.reshape(decoded.shape[0], decoded.shape[1] // 4, 4)

    functions = {
        batched_nms: torch.ops.zooport.batched_nms.default,
        heatmaps_to_keypoints: torch.ops.zooport.keypoints.default,
        paste_masks_in_image: paste_masks,
    }
    places: dict[str, Callable[..., Any]] = {
        "torchvision.models.detection._utils.BoxCoder.decode": decode,
        "torch.nn.functional.batch_norm": _batch_norm(torch.nn.functional.batch_norm),
        # Python wants a number of len(); a tensor's first size need not be one while it is exported.
        "torchvision.ops.poolers.len": lambda item: item.shape[0] if isinstance(item, torch.Tensor) else len(item),
    }
    return functions, places


def _batch_norm(own: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``batch_norm`` that does not ask, as torch's does, whether there are any elements of an open number."""
    import torch
    from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

    def normalize(
        x: torch.Tensor, mean: Any, variance: Any, weight: Any = None, bias: Any = None, training: bool = False,
        momentum: float = 0.1, eps: float = 1e-5,
    ) -> Any:  # fmt: skip
        if training or not free_unbacked_symbols(x.shape):
            return own(x, mean, variance, weight, bias, training, momentum, eps)
        parts = torch.ops.aten._native_batch_norm_legit_no_training(x, weight, bias, mean, variance, momentum, eps)
        return parts[0]

    return normalize


def paste_masks(masks: torch.Tensor, boxes: torch.Tensor, img_shape: tuple[int, int], padding: int = 1) -> torch.Tensor:
    """Do what torchvision's ``paste_masks_in_image`` does, for all masks at once instead of one by one.

    Each mask (K, 1, M, M) is resized bilinearly to its box and put into an empty image: a pixel of the image takes
    from the mask what stands at its place.
    """
    import torch
    from torchvision.models.detection.roi_heads import expand_boxes, expand_masks

    padded, scale = expand_masks(masks, padding)
    corners = expand_boxes(boxes, scale).to(torch.int64)
    low_y, high_y, share_y, in_y = _along(corners[:, 1], corners[:, 3], int(img_shape[0]), padded)
    low_x, high_x, share_x, in_x = _along(corners[:, 0], corners[:, 2], int(img_shape[1]), padded)
    whole = padded[:, 0]
    extent = whole.shape[-1]
    rows = [whole.gather(1, place[:, :, None].expand(-1, -1, extent)) for place in (low_y, high_y)]
    height = low_y.shape[1]
    mixed = [
        (1 - share_x)[:, None] * row.gather(2, low_x[:, None].expand(-1, height, -1))
        + share_x[:, None] * row.gather(2, high_x[:, None].expand(-1, height, -1))
        for row in rows
    ]
    pasted = (1 - share_y)[:, :, None] * mixed[0] + share_y[:, :, None] * mixed[1]
    return (pasted * (in_y[:, :, None] & in_x[:, None, :]).to(pasted.dtype))[:, None]


def _along(
    low: torch.Tensor, high: torch.Tensor, size: int, like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return for each pixel (K, size): both neighbours in the mask, the upper one's share, whether the box has it."""
    import torch

    extent = like.shape[-1]
    at = torch.arange(size)[None, :] - low[:, None]
    length = (high - low + 1).clamp(min=1)
    source = ((at.to(like.dtype) + 0.5) * (extent / length.to(like.dtype))[:, None] - 0.5).clamp(min=0, max=extent - 1)
    below = source.floor()
    lower = below.to(torch.int64)
    return lower, (lower + 1).clamp(max=extent - 1), source - below, (at >= 0) & (at < length[:, None])


_LIBRARIES: list[Any] = []


def _fake_batched_nms(
    boxes: torch.Tensor, scores: torch.Tensor, idxs: torch.Tensor, iou_threshold: float
) -> torch.Tensor:
    import torch

    kept = torch.library.get_ctx().new_dynamic_size()
    return boxes.new_empty(kept, dtype=torch.int64)


def _fake_keypoints(maps: torch.Tensor, rois: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    count, kinds = maps.shape[:2]
    return maps.new_empty(count, kinds, 3), maps.new_empty(count, kinds)
