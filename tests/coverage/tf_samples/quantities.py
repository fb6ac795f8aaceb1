"""Quantisation there and back."""

from __future__ import annotations

import numpy as np

from tests.coverage.tf_samples.sample import B, f, fixed, op

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
        op("QuantizeAndDequantizeV4", input=X, input_min=0.0, input_max=0.0, signed_input=_signed,
           axis=2)  # fmt: skip
