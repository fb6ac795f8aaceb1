"""Numbers quantised by scales and zero points."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.coverage.tf_samples.sample import B, f, op, q

EIGHT = {"quantization_min_val": -128, "quantization_max_val": 127}
WORD = {"quantization_min_val": -(2**31), "quantization_max_val": 2**31 - 1}
LIMITS = {"qint8": EIGHT, "quint8": {"quantization_min_val": 0, "quantization_max_val": 255}, "qint32": WORD}
SCALES = np.array([0.25, 0.031, 1.7], np.float32)
ZEROS = np.array([0, 3, -20], np.int32)


def limits(name: str, of: dict[str, int]) -> dict[str, int]:
    """Return limits under the name of an operand."""
    return {f"{name}_{key}": value for key, value in of.items()}


for _kind, _limits in LIMITS.items():
    op("UniformQuantize", input=f(B, 4, 3, std=9.0), scales=0.07, zero_points=5, Tout=_kind, **_limits)
    op("UniformQuantize", input=f(B, 4, 3, std=9.0), scales=SCALES, zero_points=ZEROS, Tout=_kind, quantization_axis=2,
       **_limits)  # fmt: skip
    op("UniformDequantize", input=q(_kind, B, 4, 3), scales=0.07, zero_points=5, Tout="float32", **_limits)
    op("UniformDequantize", input=q(_kind, B, 3, 4), scales=SCALES, zero_points=ZEROS, Tout="float32",
       quantization_axis=1, **_limits)  # fmt: skip
    if _kind != "quint8":
        for _axes in ((-1, -1), (2, -1), (-1, 2), (2, 2)):
            _in, _out = ((SCALES, ZEROS) if axis >= 0 else (np.float32(0.07), np.int32(5)) for axis in _axes)
            op("UniformRequantize", input=q(_kind, B, 4, 3), input_scales=_in[0], input_zero_points=_in[1],
               output_scales=_out[0] * np.float32(1.9), output_zero_points=_out[1], input_quantization_axis=_axes[0],
               output_quantization_axis=_axes[1], Tout="qint8", **limits("input", _limits),
               **limits("output", EIGHT))  # fmt: skip
op("UniformQuantizedClipByValue", operand=q("qint32", B, 4, 3), min=q("qint32"), max=q("qint32"), scales=0.1,
   zero_points=0, **WORD)  # fmt: skip
op("UniformQuantizedClipByValue", operand=q("qint32", B, 4, 3), min=q("qint32", 3, high=0), max=q("qint32", 3, low=0),
   scales=SCALES, zero_points=ZEROS, quantization_axis=2, **WORD)  # fmt: skip
for _axes in ((-1, -1, -1), (2, 0, 2), (2, -1, -1)):
    _lhs, _rhs, _out = ((SCALES, ZEROS) if axis >= 0 else (np.float32(0.07), np.int32(5)) for axis in _axes)
    op("UniformQuantizedAdd", lhs=q("qint32", B, 4, 3), rhs=q("qint32", 3, low=-90000, high=90000), lhs_scales=_lhs[0],
       lhs_zero_points=_lhs[1], rhs_scales=_rhs[0], rhs_zero_points=_rhs[1], output_scales=_out[0] * np.float32(9.0),
       output_zero_points=_out[1], lhs_quantization_axis=_axes[0], rhs_quantization_axis=_axes[1],
       output_quantization_axis=_axes[2], **limits("lhs", WORD), **limits("rhs", WORD),
       **limits("output", WORD))  # fmt: skip
for _axis in (-1, 1):
    _by: dict[str, Any] = {"rhs_scales": SCALES, "rhs_zero_points": ZEROS, "rhs_quantization_axis": 1}
    if _axis < 0:
        _by = {"rhs_scales": 0.07, "rhs_zero_points": 5}
    op("UniformQuantizedDotHybrid", lhs=f(B, 7), rhs=q("qint8", 7, 3), Tout="float32", **_by, **limits("rhs", EIGHT))
    for _out in (-1, _axis):
        op("UniformQuantizedDot", lhs=q("qint8", B, 7), rhs=q("qint8", 7, 3), Tout="qint32", lhs_scales=0.3,
           lhs_zero_points=-7, output_scales=SCALES if _out > 0 else 0.01, output_zero_points=ZEROS if _out > 0 else 9,
           output_quantization_axis=_out, **_by, **limits("lhs", EIGHT), **limits("rhs", EIGHT),
           **limits("output", WORD))  # fmt: skip


# Images and kernels with their channels last, as a serialised UniformQuantizedConvolutionDimensionNumbersAttr.
CHANNELS_LAST = b"\x10\x03\x1a\x02\x01\x02 \x02(\x032\x02\x00\x01@\x03J\x02\x01\x02"
LAST = {"dimension_numbers": CHANNELS_LAST, "padding": "SAME", "window_strides": [2, 1]}
FIRST = {"padding": "EXPLICIT", "explicit_padding": [1, 0, 2, 1], "rhs_dilation": [1, 2]}
for _place, (_image, _kernel, _how) in enumerate(
    (((B, 6, 7, 4), (3, 2, 4, 3), LAST), ((B, 4, 6, 7), (3, 4, 3, 2), FIRST), ((B, 4, 6, 7), (6, 2, 3, 3), {}))
):
    _more: dict[str, Any] = _how or {"padding": "VALID", "feature_group_count": 2}
    _feature = 3 if _place == 0 else 0
    for _each in (False, _place < 2):
        _by = {"rhs_scales": 0.07, "rhs_zero_points": 5}
        if _each:
            _by = {"rhs_scales": SCALES, "rhs_zero_points": ZEROS, "rhs_quantization_axis": _feature}
        op("UniformQuantizedConvolutionHybrid", lhs=f(*_image), rhs=q("qint8", *_kernel), Tout="float32",
           **_more, **_by, **limits("rhs", EIGHT))  # fmt: skip
        op("UniformQuantizedConvolution", lhs=q("qint8", *_image), rhs=q("qint8", *_kernel), Tout="qint32",
           lhs_scales=0.3, lhs_zero_points=-7, output_scales=SCALES if _each else 0.01,
           output_zero_points=ZEROS if _each else 9,
           output_quantization_axis=(3 if _place == 0 else 1) if _each else -1,
           **_more, **_by, **limits("lhs", EIGHT), **limits("rhs", EIGHT), **limits("output", WORD))  # fmt: skip
