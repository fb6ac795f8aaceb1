"""Quantised operations that TensorFlow has with oneDNN only: samples of a process in which it is on."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.coverage.tf_samples.sample import B, Draw, Quantised, op, q

RANDOM = np.random.default_rng(3)


def weights(*shape: int) -> Quantised:
    """Return a constant kernel: oneDNN takes no other.

    Its numbers are small: without VNNI oneDNN adds two products in 16 bits, where larger ones do not fit.
    """
    return Quantised(RANDOM.integers(-63, 64, shape).astype(np.int8), "qint8")


def floats(*shape: int) -> np.ndarray:
    """Return a constant bias."""
    return RANDOM.standard_normal(shape).astype(np.float32)


# Numbers of no simple ratio, so that no sum lies halfway between two integers, where the last bit of a scale decides.
LIMITS = {"min_input": -0.5, "max_input": 3.9137, "min_filter": -1.0729, "max_filter": 0.8}
FROZEN = {"min_freezed_output": 0.0, "max_freezed_output": 41.31}
BOTH = {"min_freezed_output": -51.77, "max_freezed_output": 40.0}
KINDS: dict[str, dict[str, Any]] = {"": {}, "AndRelu": {}, "AndRequantize": BOTH, "AndReluAndRequantize": FROZEN}
LOWEST, HIGHEST = np.array([-1.13, -2.07, -0.5, -3.119], np.float32), np.array([1, 1, 0.71, 2], np.float32)
IMAGES: Draw = q("quint8", B, 7, 8, 3)
for _padding, _stride in (("SAME", 1), ("VALID", 2)):
    _window = {"strides": [1, _stride, _stride, 1], "padding": _padding}
    for _kind, _ends in KINDS.items():
        _by = {"filter": weights(3, 2, 3, 4), **_window, **LIMITS, **_ends}
        if _kind:
            op(f"QuantizedConv2D{_kind}", input=IMAGES, **_by)
        op(f"QuantizedConv2DWithBias{_kind}", input=IMAGES, bias=floats(4), **_by)
        if _kind != "AndRequantize":
            _by["filter"] = weights(3, 2, 3, 1)
            op(f"QuantizedDepthwiseConv2DWithBias{_kind}", input=IMAGES, bias=floats(3), **_by)
    op("QuantizedDepthwiseConv2D", input=IMAGES, filter=weights(3, 2, 3, 1), **_window, **LIMITS)
    op("QuantizedConv2DPerChannel", input=IMAGES, filter=weights(3, 2, 3, 4), **_window, min_input=-0.5,
       max_input=4.0, min_filter=LOWEST, max_filter=HIGHEST)  # fmt: skip
RANGES = {"min_a": 0.0, "max_a": 3.9137, "min_b": -1.0729, "max_b": 0.8}
for _mode in ("MIN_FIRST", "SCALED"):
    for _kind, _ends in KINDS.items():
        _more = {"Toutput": "quint8"} if _kind == "AndRequantize" else {}
        _ends = FROZEN if _ends else {}
        op(f"QuantizedMatMulWithBias{_kind}", a=q("quint8", B, 6), b=weights(6, 5), bias=floats(5), **RANGES, **_ends,
           **_more, input_quant_mode=_mode)  # fmt: skip
    op("QuantizedMatMulWithBiasAndDequantize", a=q("quint8", B, 6), b=weights(6, 5), bias=floats(5), **RANGES, **FROZEN,
       Toutput="float32", input_quant_mode=_mode)  # fmt: skip
