"""Preprocessing as a stage of parity: raw sample to tensor, step by step, beside the original's own transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parity.preprocessing import images
from parity.preprocessing.affine import fitted, normalisation
from parity.preprocessing.tokens import compare_texts
from parity.preprocessing.upstream import Watch, Watched, image_transform, text_tokenizer

# Pixel values, of 0 to 255, that two implementations of one resize may differ by: both round to whole values after the
# columns and after the rows, and the second pass enlarges the first one's rounding by up to 1.3 (bicubic), so that each
# is off by 1.15 at most. Measured between Pillow and the tensors of transformers: 2. Another filter differs by tens.
ROUNDING = 2.0


@dataclass(frozen=True)
class StepResult:
    """One step of preprocessing, the card's and the original's on the same input: the original's after the step before.

    Attributes:
        step: ``decode, resize size, resize filter, crop, layout, colour order, scale, mean, std, tensor`` for images,
            of which the last is all steps together from the file on; ``normalise, split, tokens, special tokens,
            truncation, segments`` for texts.
        max_abs: Largest difference: pixel values of 0 to 255 up to the crop, the model's units after it, token ids for
            texts; infinite where shapes or lengths differ.
        verdict: ``pass`` or ``fail``.
        card: What the card's step does, where it fails and can be named.
        original: What the original's does.
    """

    step: str
    max_abs: float
    verdict: str
    card: str = ""
    original: str = ""


def compare_steps(card: Mapping[str, Any], starts: Sequence[Any]) -> tuple[list[StepResult], list[str]]:
    """Compare the card's preprocessing with the original's own on some samples.

    Args:
        card: The card, its ``preprocessing`` complete.
        starts: What preprocessing begins with: paths of images, or tuples of one or two texts.

    Returns:
        One result for each step, the worst over the samples; and notes, such as why nothing could be compared.
    """
    files = [start for start in starts if isinstance(start, Path)]
    texts = [start for start in starts if isinstance(start, tuple)]
    if files:
        watch = image_transform(card)
        if watch is not None:
            return compare_images(card["preprocessing"], watch, files), []
    if texts:
        tokenizer = text_tokenizer(card)
        if tokenizer is not None:
            found = compare_texts(card, tokenizer, texts)
            return [StepResult(*one) for one in found], []
    return [], ["preprocessing is compared with nothing: the source has no transform of its own"]


def compare_images(steps: Mapping[str, Any], watch: Watch, files: Sequence[Path]) -> list[StepResult]:
    """Compare each step on the image that the original's own step before it made; the worst over the images."""
    watched = [watch(file) for file in files]
    pairs = list(zip(files, watched, strict=True))
    return [
        _worst("decode", [(images.decode(file), seen.decoded) for file, seen in pairs], 0.0),
        *_resizing(steps, watched),
        _worst("crop", [(images.cropped(seen.resized, steps), seen.cropped) for seen in watched], 0.0, shapes=True),
        *_normalisation(steps, watched),
        _whole(steps, pairs),
    ]


def _resizing(steps: Mapping[str, Any], watched: Sequence[Watched]) -> list[StepResult]:
    wanted = [images.target_size(seen.decoded.shape[0], seen.decoded.shape[1], steps.get("resize")) for seen in watched]
    other = [(want, seen.resized.shape[:2]) for want, seen in zip(wanted, watched, strict=True)]
    wrong = next(((str(want), str(have)) for want, have in other if want != have), None)
    size = StepResult("resize size", float("inf"), "fail", *wrong) if wrong else StepResult("resize size", 0.0, "pass")
    # The filter is compared in the original's size, so that a wrong size does not hide it.
    kind, antialias = steps.get("filter", "bilinear"), bool(steps.get("antialias", True))

    def by(kind: str, antialias: bool) -> StepResult:
        made = [images.resample(seen.decoded, seen.resized.shape[:2], kind, antialias) for seen in watched]
        pairs = [(mine, seen.resized) for mine, seen in zip(made, watched, strict=True)]
        return _worst("resize filter", pairs, ROUNDING)

    found = by(kind, antialias)
    if found.verdict == "pass":
        return [size, found]
    tried = [(other, True) for other in images.FILTERS] + [(other, False) for other in images.FILTERS[:2]]
    theirs = next((_called(*one) for one in tried if by(*one).verdict == "pass"), "none of the known filters")
    return [size, StepResult("resize filter", found.max_abs, "fail", _called(kind, antialias), theirs)]


def _called(kind: str, antialias: bool) -> str:
    return kind if antialias else f"{kind} without antialiasing"


def _normalisation(steps: Mapping[str, Any], watched: Sequence[Watched]) -> list[StepResult]:
    """Compare layout, colour order, scale, mean and std on the pixels that the original normalises."""
    ours = [images.arranged(images.normalised(seen.cropped, steps), {**steps, "pad": None}) for seen in watched]
    layout = _layout(ours[0], watched[0].tensor)
    if layout.verdict == "fail":
        # Whatever the layout, the rest is compared colour by colour.
        ours = [images.arranged(images.normalised(seen.cropped, steps), {"layout": "NCHW"}) for seen in watched]
    theirs = [seen.tensor if seen.tensor.shape[1] == 3 else seen.tensor.transpose(0, 3, 1, 2) for seen in watched]
    if steps.get("layout", "NCHW") == "NHWC" and layout.verdict == "pass":
        ours = [array.transpose(0, 3, 1, 2) for array in ours]
    pixels = [seen.cropped for seen in watched]
    mine, original = fitted(pixels, ours), fitted(pixels, theirs)
    if mine is None or original is None:
        return [layout, _worst("normalisation", list(zip(ours, theirs, strict=True)), 1e-4)]
    return [layout, *(StepResult(*one) for one in normalisation(mine, original, pixels))]


def _layout(mine: np.ndarray, theirs: np.ndarray) -> StepResult:
    if mine.ndim == theirs.ndim and (mine.shape[1] == 3) == (theirs.shape[1] == 3):
        return StepResult("layout", 0.0, "pass")
    names = ["NCHW" if array.shape[1] == 3 else "NHWC" for array in (mine, theirs)]
    return StepResult("layout", float("inf"), "fail", *names)


def _whole(steps: Mapping[str, Any], pairs: Sequence[tuple[Path, Watched]]) -> StepResult:
    """Compare the tensors from the file on: a difference that the steps do not explain shows here."""
    # One pixel value of rounding in the resize, in the model's units.
    unit = ROUNDING / float(np.min(np.abs(np.asarray(steps.get("std", 1.0)) * steps.get("scale", 1.0))))
    return _worst("tensor", [(images.preprocess(file, steps), seen.tensor) for file, seen in pairs], unit + 1e-4)


def _worst(
    step: str, pairs: Sequence[tuple[np.ndarray, np.ndarray]], tolerance: float, *, shapes: bool = False
) -> StepResult:
    largest = max(_difference(*pair) for pair in pairs)
    if largest <= tolerance:
        return StepResult(step, largest, "pass")
    said = next(((str(a.shape), str(b.shape)) for a, b in pairs if a.shape != b.shape), ("", ""))
    return StepResult(step, largest, "fail", *(said if shapes else ("", "")))


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0.0))
