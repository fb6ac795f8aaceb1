"""Arithmetic on TensorFlow's quantised types."""

from __future__ import annotations

from tests.coverage.tf_samples.sample import B, fixed, op, q, u

SMALL = {"min_x": -1.5, "max_x": 2.0, "min_y": -0.3, "max_y": 4.0}
LOOSE = {"min_x": u(low=-3, high=0), "max_x": u(low=0.5, high=2), "min_y": u(low=-3, high=0), "max_y": 1.0}
for _name in ("QuantizedAdd", "QuantizedMul"):
    op(_name, x=q("quint8", B, 9), y=q("quint8", 9), **SMALL)
    op(_name, x=q("quint8", B, 9), y=q("quint8"), **SMALL)
    op(_name, x=q("quint8", B, 4, 3), y=q("quint8", B, 4, 3), **LOOSE)
for _kind in ("quint8", "qint8"):
    op("QuantizedBiasAdd", input=q(_kind, B, 9), bias=q(_kind, 9), min_input=-1.5, max_input=2.0, min_bias=-0.3,
       max_bias=4.0, out_type="qint32")  # fmt: skip
    op("QuantizedBiasAdd", input=q(_kind, B, 4, 3), bias=q(_kind, 3), min_input=u(low=-3, high=0),
       max_input=u(low=1, high=2), min_bias=-3.3, max_bias=1.0, out_type="qint32")  # fmt: skip
WIDE = q("qint32", B, 5, 4, 3)
for _kind in ("quint8", "qint8"):
    op("Requantize", input=WIDE, input_min=-9.0, input_max=9.0, requested_output_min=-2.0, requested_output_max=3.0,
       out_type=_kind)  # fmt: skip
    op("Requantize", input=q("qint32", B, 7, low=-90000, high=90000), input_min=-1e4, input_max=1e4,
       requested_output_min=u(low=-0.5, high=-0.1), requested_output_max=u(low=0.1, high=0.4),
       out_type=_kind)  # fmt: skip
    op("RequantizePerChannel", input=WIDE, input_min=fixed([-9.0, -8, -2]), input_max=fixed([3.0, 10, 2]),
       requested_output_min=-2.0, requested_output_max=3.0, out_type=_kind)  # fmt: skip
for _reach in (2**31 - 1, 90000):
    _x = q("qint32", B, 5, 4, 3, low=-_reach, high=_reach)
    op("RequantizationRange", input=_x, input_min=-9.0, input_max=9.0)
    op("QuantizeDownAndShrinkRange", input=_x, input_min=-9.0, input_max=9.0, out_type="quint8")
    for _most in (5.0, 100.0):
        op("RequantizationRangePerChannel", input=_x, input_min=fixed([-9.0, -8, -2]), input_max=fixed([3.0, 10, 2]),
           clip_value_max=_most)  # fmt: skip
op("RequantizationRange", input=q("qint32", B, 6, low=0), input_min=-9.0, input_max=9.0)
op("RequantizationRangePerChannel", input=q("qint32", B, 2, 2, 3, low=0), input_min=fixed([-9.0, -8, -2]),
   input_max=fixed([3.0, 10, 2]), clip_value_max=3.0)  # fmt: skip
_parts: dict[str, object] = {}
for _place, _part in enumerate(("m", "v", "beta", "gamma")):
    _parts |= {_part: q("quint8", 3), f"{_part}_min": -0.5 * (_part != "v"), f"{_part}_max": 2.0 + _place}
for _scaled in (True, False):
    op("QuantizedBatchNormWithGlobalNormalization", t=q("quint8", B, 5, 4, 3), t_min=-1.0, t_max=4.0, out_type="qint32",
       variance_epsilon=0.01, scale_after_normalization=_scaled, **_parts)  # fmt: skip
op("QuantizedInstanceNorm", x=q("quint8", B, 5, 4, 3), x_min=-1.0, x_max=4.0)
op("QuantizedInstanceNorm", x=q("quint8", B, 5, 4, 3), x_min=-1.0, x_max=4.0, output_range_given=True, given_y_min=-2.0,
   given_y_max=1.5, variance_epsilon=0.1)  # fmt: skip
op("QuantizedInstanceNorm", x=q("quint8", B, 3, 3, 2), x_min=-1.0, x_max=4.0, min_separation=9.0)
for _kind in ("quint8", "qint32"):
    _x = q(_kind, B, 4, 3)
    op("QuantizedRelu", features=_x, min_features=-1.5, max_features=u(low=1, high=9), out_type=_kind)
    op("QuantizedRelu6", features=_x, min_features=u(low=-3, high=0), max_features=9.0, out_type=_kind)
    op("QuantizedReshape", tensor=_x, shape=[-1, 6], input_min=-1.5, input_max=2.0)
    op("QuantizedConcat", concat_dim=1, values=[_x, q(_kind, B, 2, 3), _x], input_mins=[-1.5, -2.0, -2.0],
       input_maxes=[2.0, 1.0, 2.0])  # fmt: skip
    op("QuantizedConcat", concat_dim=1, values=[_x, _x], input_mins=[u(low=-3, high=0), -1.0], input_maxes=[2.0, 1.0])
    for _align, _half in ((False, False), (True, False), (False, True)):
        for _size in ([9, 4], [2, 13], [5, 6]):
            op("QuantizedResizeBilinear", images=q(_kind, B, 5, 6, 3), size=_size, min=-1.0, max=2.0,
               align_corners=_align, half_pixel_centers=_half)  # fmt: skip
op("QuantizedResizeBilinear", images=u(B, 5, 6, 3), size=[9, 4], min=-1.0, max=2.0)
for _kind in ("quint8", "qint8"):
    for _padding in ("SAME", "VALID"):
        for _name in ("QuantizedMaxPool", "QuantizedAvgPool"):
            op(_name, input=q(_kind, B, 9, 8, 3), min_input=-1.0, max_input=2.0, ksize=[1, 3, 2, 1],
               strides=[1, 2, 2, 1], padding=_padding)  # fmt: skip
RANGES = {"min_a": -1.5, "max_a": 2.0, "min_b": -0.3, "max_b": 4.0}
DRAWN = {"min_a": u(low=-3, high=0), "max_a": u(low=0.5, high=2), "min_b": u(low=-3, high=0), "max_b": 1.0}
for _ta in (False, True):
    for _tb in (False, True):
        op("QuantizedMatMul", a=q("quint8", *((6, B) if _ta else (B, 6))), b=q("quint8", *((5, 6) if _tb else (6, 5))),
           transpose_a=_ta, transpose_b=_tb, **RANGES)  # fmt: skip
op("QuantizedMatMul", a=q("quint8", B, 6), b=q("quint8", 6, 5), **DRAWN)
op("QuantizedMatMul", a=q("quint8", B, 6), b=q("quint8", 6, 5), min_a=1.0, max_a=2.0, min_b=-3.0, max_b=-1.0)
for _padding in ("SAME", "VALID"):
    for _stride in (1, 2):
        op("QuantizedConv2D", input=q("quint8", B, 7, 8, 3), filter=q("quint8", 3, 2, 3, 4), padding=_padding,
           strides=[1, _stride, _stride, 1], min_input=-1.5, max_input=2.0, min_filter=-0.3,
           max_filter=4.0)  # fmt: skip
    op("QuantizedConv2D", input=q("quint8", B, 7, 8, 3), filter=q("quint8", 3, 2, 3, 4), padding=_padding,
       strides=[1, 1, 1, 1], min_input=u(low=-3, high=0), max_input=2.0, min_filter=u(low=-3, high=0),
       max_filter=4.0)  # fmt: skip
