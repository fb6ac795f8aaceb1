"""Normalisation read off its effect: which colour goes where, and what is taken away and divided by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

# Pixels that a normalisation is read off.
PIXELS = 8192
# A tensor that is not explained by a normalisation to this, in its own units, was made otherwise.
RESIDUAL = 1e-3
# Most that one parameter of the normalisation may move the tensor, in its own units.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Normalisation:
    """``(pixel[order] - mean) / std`` for each channel of the tensor, in pixel values of 0 to 255; [3] each."""

    order: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Normalise pixels [n, 3]."""
        result: np.ndarray = (pixels[:, self.order] - self.mean) / self.std
        return result


def fitted(pixels: Sequence[np.ndarray], tensors: Sequence[np.ndarray]) -> Normalisation | None:
    """Return the normalisation that makes the tensors [1, 3, height, width] of the pixels [height, width, 3].

    ``None`` where there is none, or the images (grey, or of one colour) do not tell.
    """
    inputs = flat(pixels)
    if any(array.shape[2:] != image.shape[:2] for array, image in zip(tensors, pixels, strict=True)):
        return None
    outputs = _thinned(np.concatenate([array[0].reshape(3, -1).T for array in tensors]).astype(np.float64))
    design = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    weights, _, rank, _ = np.linalg.lstsq(design, outputs, rcond=None)
    if rank < 4 or np.abs(design @ weights - outputs).max() > RESIDUAL * max(1.0, float(np.abs(outputs).max())):
        return None
    order = np.abs(weights[:3]).argmax(axis=0)
    gains = weights[order, np.arange(3)]
    return Normalisation(order, -weights[3] / gains, 1 / gains) if gains.all() else None


def flat(pixels: Sequence[np.ndarray]) -> np.ndarray:
    """Return pixels of several images as float64 [n, 3], thinned evenly."""
    return _thinned(np.concatenate([image.reshape(-1, 3) for image in pixels]).astype(np.float64))


def _thinned(rows: np.ndarray) -> np.ndarray:
    return rows[:: max(1, len(rows) // PIXELS)]


def normalisation(
    card: Normalisation, original: Normalisation, images: Sequence[np.ndarray]
) -> Iterator[tuple[str, float, str, str, str]]:
    """Yield (step, max_abs, verdict, card, original) for colour order, scale, mean and std.

    A difference is that of the original's tensor from itself with this one parameter as in the card.
    """
    pixels = flat(images)
    right = original(pixels)
    factor = _common_factor(card, original)
    scaled = replace(original, mean=original.mean * factor, std=original.std * factor)
    # Means and deviations belong to colours: they are compared with the card's order undone.
    turned = np.argsort(card.order)[original.order] if sorted(card.order) == [0, 1, 2] else np.arange(3)
    mean, std = card.mean[turned] / factor, card.std[turned] / factor
    one_by_one = (
        ("colour order", replace(original, order=card.order), _colours(card.order), _colours(original.order)),
        ("scale", scaled, f"{1 / factor:.6g} times the original's", "1"),
        ("mean", replace(original, mean=mean), _shown(mean), _shown(original.mean)),
        ("std", replace(original, std=std), _shown(std), _shown(original.std)),
    )
    for step, changed, ours, theirs in one_by_one:
        largest = float(np.abs(changed(pixels) - right).max())
        yield (step, largest, "pass", "", "") if largest <= TOLERANCE else (step, largest, "fail", ours, theirs)


def _common_factor(card: Normalisation, original: Normalisation) -> float:
    """Return the factor that explains all means and deviations at once: that of another scale; 1 where none does."""
    ratios = card.std[np.argsort(card.order)] / original.std[np.argsort(original.order)]
    factor = float(ratios.mean())
    means = card.mean[np.argsort(card.order)] - factor * original.mean[np.argsort(original.order)]
    alike = np.allclose(ratios, factor, rtol=1e-3)
    explained = np.abs(means).max() <= 1e-3 * np.abs(card.std).max()
    return factor if alike and explained and abs(factor - 1) > 1e-3 else 1.0


def _colours(order: np.ndarray) -> str:
    return "".join("RGB"[index] for index in order)


def _shown(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "] of 255"
