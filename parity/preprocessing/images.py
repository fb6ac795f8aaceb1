"""An image file to a tensor, one function for each step that a card declares under ``preprocessing``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError, missing_extra

FILTERS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")

Steps = Mapping[str, Any]


def preprocess(file: Path, steps: Steps) -> np.ndarray:
    """Return an image as a float32 batch of one.

    Args:
        file: The image.
        steps: ``resize`` (shorter side; ``[height, width]``; or ``{shorter, longer}``, the longer at most),
            ``filter`` (one of :data:`FILTERS`), ``antialias`` (false: nearest and bilinear only), ``crop`` (side, or
            ``[height, width]``), ``colour`` (RGB, BGR), ``scale`` (values of 0 to 255 are divided by it), ``mean``,
            ``std``, ``pad`` (``[height, width]``: zeros below and to the right), ``layout`` (NCHW, NHWC).
    """
    return arranged(normalised(cropped(resized(decode(file), steps), steps), steps), steps)


def decode(file: Path) -> np.ndarray:
    """Return the pixels, uint8 [height, width, 3] in the order red, green, blue.

    Raises:
        UserError: If the file is no image.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise missing_extra("pillow", "vision", "reading images") from error
    try:
        with Image.open(file) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise UserError("the image cannot be read", place=str(file), got=str(error)) from error


def resized(pixels: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the pixels in the size that ``resize`` asks for, uint8."""
    height, width = target_size(pixels.shape[0], pixels.shape[1], steps.get("resize"))
    return resample(pixels, (height, width), steps.get("filter", "bilinear"), bool(steps.get("antialias", True)))


def target_size(height: int, width: int, resize: Any) -> tuple[int, int]:
    """Return (height, width) after ``resize``: an integer, a pair, ``{shorter, longer}`` or nothing."""
    if not resize:
        return height, width
    if isinstance(resize, (list, tuple)):
        return int(resize[0]), int(resize[1])
    short, long = min(height, width), max(height, width)
    shorter: float
    if isinstance(resize, Mapping):
        shorter = resize["shorter"]
        most = resize.get("longer")
        if most and long / short * shorter > most:
            shorter = most * short / long
    else:
        shorter = int(resize)
    # torchvision's rule and transformers': the longer side is truncated, not rounded.
    sides = round(shorter), int(shorter * long / short)
    return sides if height <= width else (sides[1], sides[0])


def resample(pixels: np.ndarray, size: tuple[int, int], kind: str, antialias: bool = True) -> np.ndarray:
    """Return uint8 pixels resampled to ``size`` (height, width).

    Raises:
        UserError: If the filter is unknown, or not known without antialiasing.
    """
    from PIL import Image

    known = FILTERS if antialias else FILTERS[:2]
    if kind not in known:
        raise UserError(
            "the resize filter is unknown" + ("" if antialias else " without antialiasing"),
            place="card.yaml: preprocessing.filter",
            expected=", ".join(known),
            got=kind,
        )
    if size == pixels.shape[:2]:
        return pixels
    if antialias:
        image = Image.fromarray(pixels).resize(size[::-1], Image.Resampling[kind.upper()])
        return np.asarray(image)
    return _sampled(pixels, size, kind)


def _sampled(pixels: np.ndarray, size: tuple[int, int], kind: str) -> np.ndarray:
    """Resample without antialiasing, pixel centres at one half, as OpenCV and TensorFlow do."""
    values = pixels.astype(np.float32)
    for axis, (before, after) in enumerate(zip(pixels.shape[:2], size, strict=True)):
        places = (np.arange(after) + 0.5) * (before / after) - 0.5
        if kind == "nearest":
            values = values.take(np.clip(np.floor(places + 0.5), 0, before - 1).astype(np.int64), axis)
            continue
        places = np.clip(places, 0, before - 1)
        low = np.floor(places).astype(np.int64)
        share = (places - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
        values = values.take(low, axis) * (1 - share) + values.take(np.minimum(low + 1, before - 1), axis) * share
    return np.rint(values).astype(np.uint8)


def cropped(pixels: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the middle that ``crop`` asks for; what lies outside of a smaller image is zero."""
    crop = steps.get("crop")
    if not crop:
        return pixels
    size = (int(crop[0]), int(crop[1])) if isinstance(crop, (list, tuple)) else (int(crop), int(crop))
    for axis, side in enumerate(size):
        have = pixels.shape[axis]
        before = max(0, (side - have) // 2)
        border = [(before, max(0, side - have) - before) if i == axis else (0, 0) for i in range(3)]
        start = max(0, round((have - side) / 2))
        pixels = np.pad(pixels, border).take(range(start, start + side), axis)
    return pixels


def normalised(pixels: np.ndarray, steps: Steps) -> np.ndarray:
    """Return float32 [height, width, 3] in the colour order that the model reads, scaled and normalised."""
    ordered = pixels[..., ::-1] if steps.get("colour", "RGB") == "BGR" else pixels
    values = ordered.astype(np.float32) / np.float32(steps.get("scale", 1.0))
    mean, std = (np.asarray(steps.get(name, default), np.float32) for name, default in (("mean", 0), ("std", 1)))
    result: np.ndarray = (values - mean) / std
    return result


def arranged(values: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the batch of one in the model's layout, padded where the card says so."""
    if steps.get("pad"):
        height, width = steps["pad"]
        if height < values.shape[0] or width < values.shape[1]:
            raise UserError(
                "the image is larger than what it is to be padded to",
                place="card.yaml: preprocessing.pad",
                expected=f"at least {list(values.shape[:2])}",
                got=f"{height}, {width}",
            )
        values = np.pad(values, ((0, height - values.shape[0]), (0, width - values.shape[1]), (0, 0)))
    batch = values[None]
    return batch if steps.get("layout", "NCHW") == "NHWC" else batch.transpose(0, 3, 1, 2)


def covered(file: Path, steps: Steps) -> tuple[int, int]:
    """Return (height, width) of the part of the tensor that shows the image; the rest is padding."""
    pixels = cropped(resized(decode(file), steps), steps)
    return pixels.shape[0], pixels.shape[1]
