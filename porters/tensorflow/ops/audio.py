"""Spectrograms and cepstral coefficients of sound, in double precision as TensorFlow's kernels compute them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Dim
from porters.tensorflow.formula import formula, number, sizes
from porters.tensorflow.moves import static
from porters.tensorflow.node import Node
from porters.tensorflow.ops.shape import known
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor

DOUBLE, FLOAT, LONG = ir.DataType.DOUBLE, ir.DataType.FLOAT, ir.DataType.INT64
# Below this a filter's answer counts as this (mfcc.cc).
_FLOOR = 1e-12


@translates("AudioSpectrogram")
def spectrogram(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the magnitudes of the frequencies in windows of a sound (spectrogram.cc).

    A window is weighted by a periodic Hann function, and zeros follow up to the next power of two.
    """
    width, step = int(node.attr("window_size")), int(node.attr("stride"))
    length = 1 << (width - 1).bit_length()
    samples, channels = x.shape
    count: Dim = (samples - width) // step + 1
    if isinstance(count, int):
        count = max(count, 0)
    starts = number(ctx, 0, LONG).of("Range", sizes(ctx, [count]).maximum(0).squeeze(0), number(ctx, 1, LONG)) * step
    index = starts.unsqueeze(1) + number(ctx, np.arange(width))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)
    frames = formula(ctx, x, (1, 0), DOUBLE).of("Gather", index, axis=1) * number(ctx, hann)
    waves = frames.unsqueeze(3).of("DFT", number(ctx, length, LONG), number(ctx, 2, LONG), onesided=1)
    power = (waves * waves).reduce("ReduceSum", [3]).cast(FLOAT)
    found = power if node.attr("magnitude_squared") else power.fn("Sqrt")
    return found.held((channels, count, length // 2 + 1))


@translates("Mfcc")
def cepstrum(ctx: Context, node: Node, x: Tensor, rate: Tensor) -> Tensor:
    """Translate the cosine transform of the logarithm of what mel filters let through (mfcc.cc)."""
    (width,) = static(x.shape[-1:], "a spectrum")
    bands, count = int(node.attr("filterbank_channel_count")), int(node.attr("dct_coefficient_count"))
    limits = float(node.attr("lower_frequency_limit")), float(node.attr("upper_frequency_limit"))
    filters = _mel_filters(width, float(known(rate, "a sample rate").reshape(())), bands, *limits)
    angles = np.arange(count)[None, :] * (np.pi / bands) * (np.arange(bands)[:, None] + 0.5)
    cosines = np.sqrt(2.0 / bands) * np.cos(angles)
    energy = formula(ctx, x, dtype=DOUBLE).fn("Sqrt").of("MatMul", number(ctx, filters))
    found = energy.maximum(_FLOOR).fn("Log").of("MatMul", number(ctx, cosines))
    return found.cast(FLOAT).held((*x.shape[:-1], count))


def _mel_filters(width: int, rate: float, bands: int, low: float, high: float) -> np.ndarray:
    """Return [frequencies, bands] triangles whose corners are equally far apart in mels (mfcc_mel_filterbank.cc)."""

    def mel(frequency: np.ndarray | float) -> np.ndarray:
        return 1127.0 * np.log1p(np.asarray(frequency) / 700.0)

    spacing = (mel(high) - mel(low)) / (bands + 1)
    centres = mel(low) + spacing * np.arange(1, bands + 2)
    step = 0.5 * rate / (width - 1)
    found = np.zeros((width, bands))
    for place in range(int(1.5 + low / step), min(int(high / step), width - 1) + 1):
        here = mel(place * step)
        # The last centre that is below, -1 for none, and the one after it.
        band = min(int(np.searchsorted(centres[:bands], here, side="left")), bands) - 1
        left = centres[band] if band >= 0 else mel(low)
        weight = (centres[band + 1] - here) / (centres[band + 1] - left)
        if band >= 0:
            found[place, band] += weight
        if band + 1 < bands:
            found[place, band + 1] += 1.0 - weight
    return found
