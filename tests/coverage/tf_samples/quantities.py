"""Quantisation there and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.coverage.tf_samples.sample import INTEGERS, B, f, fixed, op

X = f(B, 6, 5, std=2.0)
for _narrow in (False, True):
    for _bits in (8, 4):
        op("FakeQuantWithMinMaxArgs", inputs=X, min=-3.0, max=2.5, num_bits=_bits, narrow_range=_narrow)
        op("FakeQuantWithMinMaxVars", inputs=X, min=fixed(-1.3), max=fixed(2.5), num_bits=_bits, narrow_range=_narrow)
        op("FakeQuantWithMinMaxVarsPerChannel", inputs=X, min=fixed([-1.3, -2, 0, -1, -0.1]),
           max=fixed([2.5, 1, 3, 1, 0.4]), num_bits=_bits, narrow_range=_narrow)  # fmt: skip
op("FakeQuantWithMinMaxVars", inputs=X, min=fixed(0.0), max=fixed(0.0))
for _signed in (True, False):
    for _given in (True, False):
        for _mode in ("HALF_TO_EVEN", "HALF_UP"):
            for _narrow in (False, True):
                op("QuantizeAndDequantizeV2", input=X, input_min=-1.5, input_max=2.3, signed_input=_signed,
                   range_given=_given, round_mode=_mode, narrow_range=_narrow)  # fmt: skip
        op("QuantizeAndDequantizeV3", input=X, input_min=-1.5, input_max=2.3, num_bits=np.int32(6),
           signed_input=_signed, range_given=_given)  # fmt: skip
        op("QuantizeAndDequantizeV4", input=X, input_min=-1.5, input_max=2.3, signed_input=_signed, range_given=_given)
op("QuantizeAndDequantizeV3", input=X, input_min=fixed([-1.5, -1, -2, -3, -0.5]), input_max=fixed([2.5, 1, 3, 1, 0.4]),
   num_bits=np.int32(8), range_given=True, axis=2)  # fmt: skip


def plain(values: Any, low: Any, high: Any) -> list[Any]:
    """Return a quantised result as integers, and its range."""
    import tensorflow as tf

    return [tf.cast(tf.bitcast(values, INTEGERS[values.dtype.name]), "int32"), low, high]


def restored(**options: Any) -> Callable[[Any, Any, Any], list[Any]]:
    """Return what turns a quantised result into floats again, in another range."""

    def run(values: Any, low: Any, high: Any) -> list[Any]:
        import tensorflow as tf

        return [tf.raw_ops.Dequantize(input=values, min_range=low, max_range=high, **options)]

    return run


for _kind in ("quint8", "qint8"):
    for _style in ("MIN_COMBINED", "SCALED", "MIN_FIRST"):
        _low = 0.0 if _kind == "quint8" and _style == "SCALED" else -1.5
        op("QuantizeV2", plain, input=X, min_range=_low, max_range=2.3, T=_kind, mode=_style)
        op("Dequantize", restored(mode=_style), input=X, min_range=_low, max_range=2.3, T=_kind, mode=_style)
