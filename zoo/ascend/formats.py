"""How the chip lays tensors out: storage shapes, and packing and unpacking of real tensors."""

from __future__ import annotations

import enum
import math
from typing import Final

import numpy as np

# Key in a value's metadata: its format.
FORMAT: Final = "ascend.format"
# Channels of a block for 2-byte elements, and rows of a fractal (ATC overview; conflict for fp32, see the chip facts).
C0: Final = 16


class Format(enum.StrEnum):
    """A layout, by the name that GE gives it."""

    ND = "ND"
    NC1HWC0 = "NC1HWC0"
    NC1HWC0_C04 = "NC1HWC0_C04"
    FRACTAL_Z = "FRACTAL_Z"
    FRACTAL_NZ = "FRACTAL_NZ"


def storage_shape(shape: tuple[int, ...], layout: Format, c0: int = C0) -> tuple[int, ...]:
    """Return the shape in which a tensor of ``shape`` is stored.

    ``NC1HWC0`` of (N, C, *spatial) is (N, ceil(C / C0), *spatial, C0); ``FRACTAL_Z`` of a weight (N, C, *window) is
    (ceil(C / C0) * window, ceil(N / 16), 16, C0); ``FRACTAL_NZ`` of (..., M, N) is (..., ceil(N / C0), ceil(M / 16),
    16, C0). Sources: ATC overview and GE's ``transfer_shape_utils.cc``.
    """
    if layout is Format.ND or len(shape) < 2:
        return shape
    if layout is Format.NC1HWC0_C04:
        c0 = 4
    if layout in (Format.NC1HWC0, Format.NC1HWC0_C04):
        return (shape[0], -(-shape[1] // c0), *shape[2:], c0)
    if layout is Format.FRACTAL_Z:
        return (-(-shape[1] // c0) * math.prod(shape[2:]), -(-shape[0] // 16), 16, c0)
    return (*shape[:-2], -(-shape[-1] // c0), -(-shape[-2] // 16), 16, c0)


def storage_elements(shape: tuple[int, ...], layout: Format, c0: int = C0) -> int:
    """Return how many elements a tensor of ``shape`` takes in ``layout``, padding included."""
    return math.prod(storage_shape(shape, layout, c0))


def pack(tensor: np.ndarray, layout: Format, c0: int = C0) -> np.ndarray:
    """Return ``tensor`` as ``layout`` stores it, padded with zeros."""
    if layout is Format.ND or tensor.ndim < 2:
        return tensor
    if layout is Format.NC1HWC0_C04:
        c0 = 4
    if layout is Format.FRACTAL_NZ:
        rows, columns = tensor.shape[-2:]
        wide = _pad(_pad(tensor, -1, c0), -2, 16)
        cut = wide.reshape(*tensor.shape[:-2], -(-rows // 16), 16, -(-columns // c0), c0)
        return np.ascontiguousarray(np.moveaxis(cut, -2, -4))
    wide = _pad(tensor, 1, c0)
    cut = np.moveaxis(wide.reshape(tensor.shape[0], -1, c0, *tensor.shape[2:]), 2, -1)
    if layout is not Format.FRACTAL_Z:
        return np.ascontiguousarray(cut)
    # (N, C1, *window, C0) -> (C1 * window, N1, 16, C0)
    rows = np.moveaxis(_pad(cut, 0, 16), 0, -2)
    return np.ascontiguousarray(rows.reshape(math.prod(rows.shape[:-2]), -1, 16, c0))


def unpack(stored: np.ndarray, shape: tuple[int, ...], layout: Format, c0: int = C0) -> np.ndarray:
    """Return the tensor of ``shape`` that ``pack`` stored."""
    if layout is Format.ND or len(shape) < 2:
        return stored
    if layout is Format.NC1HWC0_C04:
        c0 = 4
    whole = tuple(slice(0, size) for size in shape)
    if layout is Format.FRACTAL_NZ:
        joined = np.moveaxis(stored, -4, -2)
        rows, columns = joined.shape[-4] * 16, joined.shape[-2] * c0
        return np.ascontiguousarray(joined.reshape(*shape[:-2], rows, columns)[whole])
    if layout is Format.FRACTAL_Z:
        window = shape[2:]
        stored = np.moveaxis(stored.reshape(-(-shape[1] // c0), *window, -1, c0), -2, 0)
    joined = np.moveaxis(stored, -1, 2)
    return np.ascontiguousarray(joined.reshape(joined.shape[0], -1, *shape[2:])[whole])


def _pad(tensor: np.ndarray, axis: int, block: int) -> np.ndarray:
    widths = [(0, 0)] * tensor.ndim
    widths[axis] = (0, -tensor.shape[axis] % block)
    return np.pad(tensor, widths)
