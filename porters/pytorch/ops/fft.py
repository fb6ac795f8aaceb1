"""Fourier transforms: ONNX's DFT along one axis after the other, in float64.

ONNX Runtime's float32 DFT is off by 1e-6 at 17 points and by 1e-4 at 1,000 (torch: 1e-7), where the length is no power
of two; in float64 it is exact to float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.complex_numbers import ComplexValue, pair, split
from porters.pytorch.ops.shared import cast, known, static
from porters.pytorch.registry import Context, Size, translates_complex

_WIDE = ir.DataType.DOUBLE
# The power of its length that a transform is multiplied by: torch's 0, 1 and 2.
_POWERS = {0: 0.0, 1: -0.5, 2: -1.0}


@translates_complex("aten._fft_r2c")
def r2c(c: Context, x: ir.Value, axes: Sequence[int], norm: int, onesided: bool) -> ComplexValue:
    """The transform of real numbers; of the last axis only the half that says everything, where ``onesided``."""
    data = cast(c, x, _WIDE)
    zero = known(c, c.op("Sub", data, data), c.sizes_of(x))
    sizes = [c.sizes_of(x)[axis] for axis in axes]
    spectrum = _transformed(c, pair(c, ComplexValue(data, zero)), axes, inverse=False)
    if onesided:
        spectrum = _leading(c, spectrum, c.axis(x, axes[-1]), c.shape)
    return _scaled(c, spectrum, sizes, norm)


@translates_complex("aten._fft_c2c")
def c2c(c: Context, x: ComplexValue, axes: Sequence[int], norm: int, forward: bool) -> ComplexValue:
    """The transform of complex numbers."""
    sizes = [c.sizes_of(x.real)[axis] for axis in axes]
    return _scaled(c, _transformed(c, pair(c, _wide(c, x)), axes, inverse=not forward), sizes, norm)


@translates_complex("aten._fft_c2r")
def c2r(c: Context, x: ComplexValue, axes: Sequence[int], norm: int, length: Size) -> ir.Value:
    """The inverse of the transform of real numbers, its other half filled in."""
    count = static(length, "an inverse real transform")
    *others, last = axes
    sizes = [*(c.sizes_of(x.real)[axis] for axis in others), count]
    wide = split(c, _transformed(c, pair(c, _wide(c, x)), others, inverse=True)) if others else _wide(c, x)
    whole = _mirrored(c, wide, c.axis(x.real, last), count)
    return _scaled(c, _transformed(c, pair(c, whole), [last], inverse=True), sizes, norm).real


def _wide(c: Context, x: ComplexValue) -> ComplexValue:
    return ComplexValue(cast(c, x.real, _WIDE), cast(c, x.imag, _WIDE))


def _transformed(c: Context, x: ir.Value, axes: Sequence[int], *, inverse: bool) -> ir.Value:
    """Transform trailing pairs along axes of the numbers; not divided by anything, either way."""
    sizes = c.sizes_of(x)
    rank = len(sizes) - 1
    # Runtimes take axis 0 for the batch.
    result = c.op("Unsqueeze", x, [0])
    for axis in axes:
        place = c.const(axis % rank + 1, ir.DataType.INT64)
        result = c.op("DFT", result, None, place, inverse=int(inverse))
        if inverse:
            result = c.op("Mul", result, c.scalar(sizes[axis % rank], _WIDE))
    return known(c, c.op("Squeeze", result, [0]), sizes)


def _leading(c: Context, x: ir.Value, axis: int, sizes: Sequence[Size]) -> ir.Value:
    return known(c, c.op("Slice", x, [0], c.vector([sizes[axis]]), [axis]), [*sizes, 2])


def _mirrored(c: Context, x: ComplexValue, axis: int, count: int) -> ComplexValue:
    """Return all of a spectrum from its first half: the rest is its mirror image, conjugated."""
    half = count // 2 + 1
    sizes = list(c.sizes_of(x.real))
    if static(sizes[axis], "an inverse real transform") < half:
        raise NotImplementedError("an inverse real transform of too few frequencies")
    table = np.array([k if k < half else count - k for k in range(count)])
    signs = np.array([1.0 if k < half else -1.0 for k in range(count)])
    # What has no imaginary part in the transform of real numbers is taken to have none.
    signs[0] = 0.0
    if count % 2 == 0:
        signs[count // 2] = 0.0
    sizes[axis] = count
    index = c.const(table, ir.DataType.INT64)
    real, imag = (c.op("Gather", item, index, axis=axis) for item in (x.real, x.imag))
    turned = c.op("Mul", imag, c.const(signs.reshape([-1] + [1] * (len(sizes) - axis - 1))))
    return ComplexValue(known(c, real, sizes), known(c, turned, sizes))


def _scaled(c: Context, spectrum: ir.Value, sizes: Sequence[Size], norm: int) -> ComplexValue:
    power = _POWERS[norm]
    if power:
        length: Any = None
        for size in sizes:
            factor = c.scalar(size, _WIDE)
            length = factor if length is None else c.op("Mul", length, factor)
        spectrum = known(c, c.op("Mul", spectrum, c.op("Pow", length, c.const(power, _WIDE))), c.sizes_of(spectrum))
    parts = split(c, spectrum)
    return ComplexValue(cast(c, parts.real, c.dtype), cast(c, parts.imag, c.dtype))


@translates_complex("aten.stft.default")
def stft(
    c: Context, x: ir.Value, length: int, hop: int | None = None, window_length: int | None = None,
    window: ir.Value | None = None, normalized: bool = False, onesided: bool | None = None, *_: Any,
) -> ComplexValue:  # fmt: skip
    """Frames, windowed, transformed; torch has padded the signal before."""
    if isinstance(x, ComplexValue) or isinstance(window, ComplexValue):
        raise NotImplementedError("stft of complex numbers")
    size = static(c.sizes_of(x)[-1], "stft")
    step = length // 4 if hop is None else hop
    starts = np.arange(0, size - length + 1, step)
    frames = c.op("Gather", cast(c, x, _WIDE), c.const(starts[:, None] + np.arange(length), ir.DataType.INT64), axis=-1)
    count = length if window_length is None else window_length
    if window is not None:
        frames = c.op("Mul", frames, _padded(c, cast(c, window, _WIDE), length, count))
    elif count < length:
        left = (length - count) // 2
        frames = c.op("Mul", frames, c.const(np.pad(np.ones(count), (left, length - count - left))))
    sizes = [*c.sizes_of(x)[:-1], len(starts), length]
    known(c, frames, sizes)
    zero = known(c, c.op("Sub", frames, frames), sizes)
    spectrum = _transformed(c, pair(c, ComplexValue(frames, zero)), [-1], inverse=False)
    if onesided or onesided is None:
        spectrum = _leading(c, spectrum, len(sizes) - 1, [*sizes[:-1], length // 2 + 1])
    whole = _scaled(c, spectrum, [length], 1 if normalized else 0)
    order = [*range(len(sizes) - 2), len(sizes) - 1, len(sizes) - 2]
    return ComplexValue(*(known(c, c.op("Transpose", item, perm=order), c.shape) for item in (whole.real, whole.imag)))


def _padded(c: Context, window: ir.Value, length: int, count: int) -> ir.Value:
    left = (length - count) // 2
    return window if count == length else c.op("Pad", window, [left, length - count - left])
