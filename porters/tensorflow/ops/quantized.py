"""Numbers of TensorFlow's quantised types, which are integers here, made of floats and turned back into them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.formula import Formula, formula
from porters.tensorflow.node import Node
from porters.tensorflow.ops.sorting import result_dtype
from porters.tensorflow.ranges import Integers, half_away
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor

FLOAT = ir.DataType.FLOAT
# The largest float32: the scale of a side that does not limit.
_NO_LIMIT = float(np.finfo(np.float32).max)


def _text(node: Node, name: str) -> str:
    value = node.attr(name)
    return value.decode() if isinstance(value, bytes) else str(value)


def _require_whole(node: Node) -> None:
    if int(node.attr("axis")) != -1:
        raise Untranslatable("quantisation by axis")


@translates("QuantizeV2")
def quantize(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor) -> list[Tensor]:
    """Translate floats to integers in each of the three modes (quantize_op.cc)."""
    _require_whole(node)
    dtype, first, last = result_dtype(node), formula(ctx, low), formula(ctx, high)
    kind, mode = Integers.of(dtype), _text(node, "mode")
    least = first.minimum(0.0)
    spread = first.fn("Abs").maximum(last.fn("Abs")).maximum(1.0) * float(node.attr("ensure_minimum_range"))
    most = last.maximum(least + spread).maximum(0.0)
    value = formula(ctx, x).maximum(least).minimum(most)
    if mode == "SCALED":
        bottom = kind.lowest + float(bool(node.attr("narrow_range")))
        sides = [_side(bottom, least), _side(kind.highest, most)]
        scale = sides[0].minimum(sides[1])
        least, most = bottom / scale, kind.highest / scale
        scaled = formula(ctx, x).maximum(least).minimum(most) * scale
        even = _text(node, "round_mode") == "HALF_TO_EVEN"
        found = scaled.fn("Round") if even else half_away(scaled)
    elif mode == "MIN_COMBINED":
        scale = (kind.highest - kind.lowest) / (most - least)
        found = half_away((value - least) * scale - kind.half)
    else:
        scale = 2.0**kind.bits / ((most - least) * (2.0**kind.bits / (2.0**kind.bits - 1.0)))
        found = half_away(value * scale) - half_away(least * scale) + kind.lowest
    found = found.maximum(kind.lowest).minimum(kind.highest)
    return [found.cast(dtype).held(x.shape), least.held(low.shape), most.held(high.shape)]


def _side(limit: float, bound: Formula) -> Formula:
    wanted = (bound * limit) > 0.0
    return wanted.where(limit / wanted.where(bound, 1.0), _NO_LIMIT)


@translates("Dequantize")
def dequantize(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Translate integers to floats in each of the three modes (dequantize_op.cc)."""
    _require_whole(node)
    kind, mode = Integers.of(x.dtype), _text(node, "mode")
    first, last, value = formula(ctx, low), formula(ctx, high), formula(ctx, x, dtype=FLOAT)
    if mode == "SCALED":
        bottom = kind.lowest + float(bool(node.attr("narrow_range")))
        scale = last / kind.highest
        scale = scale if bottom == 0.0 else scale.maximum(first / bottom)
        found = value * scale
    elif mode == "MIN_COMBINED":
        found = (value + kind.half) * ((last - first) / (kind.highest - kind.lowest)) + first
    else:
        scale = (last - first) / (2.0**kind.bits - 1.0)
        found = half_away(first / scale) * scale + (value - kind.lowest) * scale
    return found.cast(result_dtype(node)).held(x.shape)
