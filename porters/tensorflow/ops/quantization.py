"""Numbers rounded as if they were quantised, in the order of operations of TensorFlow's kernels so that ties agree."""

from __future__ import annotations

import numpy as np

from porters.tensorflow.context import Context
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.node import Node
from porters.tensorflow.ops.shape import known
from porters.tensorflow.ranges import half_away
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor


def _half_up(x: Formula) -> Formula:
    return (x + 0.5).fn("Floor")


@translates("FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
def fake_quant(ctx: Context, node: Node, x: Tensor, *limits: Tensor) -> Tensor:
    """Translate rounding to a grid whose limits are nudged until zero is on it (fake_quant_ops_functor.h)."""
    if limits:
        low, high = (formula(ctx, item) for item in limits)
    else:
        low, high = (number(ctx, float(node.attr(name)), x.dtype) for name in ("min", "max"))
    least = 1.0 if node.attr("narrow_range") else 0.0
    most = float((1 << int(node.attr("num_bits"))) - 1)
    scale = (high - low) / (most - least)
    zero = least - low / scale
    zero = (zero < least).where(least, (zero > most).where(most, half_away(zero)))
    bottom, top = (least - zero) * scale, (most - zero) * scale
    shifted = formula(ctx, x).maximum(bottom).minimum(top) - bottom
    # A range of zero width: there is nothing to divide by, and nothing but zero.
    value = _half_up(shifted * (1.0 / scale)) * scale + bottom
    return (low.equals(0.0) & high.equals(0.0)).where(0.0, value).held(x.shape)


@translates("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3", "QuantizeAndDequantizeV4")
def round_trip(ctx: Context, node: Node, x: Tensor, low: Tensor, high: Tensor, bits: Tensor | None = None) -> Tensor:
    """Translate quantisation there and back, by a given range or by that of the data (quantize_and_dequantize_op.h)."""
    width = int(known(bits, "the number of bits").reshape(())) if bits is not None else int(node.attr("num_bits"))
    axis = int(node.attr("axis")) if "axis" in {item.name for item in node.source.op_def.attr} else -1
    value, given = formula(ctx, x), bool(node.attr("range_given"))
    first, last = _range(ctx, x, value, axis, (low, high) if given else None)
    signed, narrow = bool(node.attr("signed_input")), bool(node.attr("narrow_range"))
    least = (-(1 << (width - 1)) + int(narrow)) if signed else 0
    most = (1 << (width - 1 if signed else width)) - 1
    sides = [_side(limit, bound) for limit, bound in ((float(least), first), (float(most), last))]
    below = sides[0] < sides[1]
    scale = below.where(sides[0], sides[1])
    inverse = below.where(first / float(least or 1), last / float(most))
    if given:
        bottom, top = below.where(first, inverse * float(least)), below.where(inverse * float(most), last)
        value = value.maximum(bottom).minimum(top)
    even = _mode(node) == "HALF_TO_EVEN"
    scaled = value * scale
    return ((scaled.fn("Round") if even else _half_up(scaled)) * inverse).held(x.shape)


def _mode(node: Node) -> str:
    names = {item.name for item in node.source.op_def.attr}
    mode = node.attr("round_mode") if "round_mode" in names else "HALF_TO_EVEN"
    return mode.decode() if isinstance(mode, bytes) else str(mode)


def _side(limit: float, bound: Formula) -> Formula:
    """Return the scale that one end of the range asks for, none where that end is on the other side of zero."""
    product = bound * limit
    wanted = product > 0.0
    return wanted.where(limit / wanted.where(bound, 1.0), float(np.finfo(np.float32).max))


def _range(
    ctx: Context, x: Tensor, value: Formula, axis: int, limits: tuple[Tensor, Tensor] | None
) -> tuple[Formula, Formula]:
    shape = [1 if item != axis else -1 for item in range(x.rank)]
    if limits is not None:
        low, high = (formula(ctx, item) for item in limits)
        return (low, high) if axis < 0 else (low.reshape(shape), high.reshape(shape))
    others = [item for item in range(x.rank) if item != axis]
    return value.reduce("ReduceMin", others, keep=True), value.reduce("ReduceMax", others, keep=True)
