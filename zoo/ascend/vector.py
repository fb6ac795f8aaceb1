"""Operators of the vector unit on float16, where an implementation is more than one rounding of the float32 result.

Every other operator computes in float32 on float16 operands and rounds once. For ``+ - * /`` and the square root that
is what arithmetic in float16 gives, bit for bit (float32 has more than twice the digits, so the second rounding is
harmless); for the rest it is what CANN's kernels do on chips whose vector unit has a float32 exponential (they cast to
float32, compute and cast back). The instruction ``vexp`` itself is taken to be correctly rounded: what it really does
is not published.

Where the two implementation modes of ATC (``--op_select_implmode``) differ, and on what that rests:

* Softmax: maximum and difference in float16, exponential, sum and product in float32 (CANN's softmax_v2 kernel). The
  sum's reciprocal is the instruction ``vrec``, which high precision improves by a step of Newton's. Model: ``vrec``
  gives 11 bits, as float16 has; its table is not published. On the 310, whose exponential is float16, the exponential
  is rounded and the quotient is a division.
* LayerNormalization: all in float32; the inverse deviation is ``exp(-log(v + eps) / 2)`` in high performance and
  ``1 / sqrt(v + eps)`` in high precision (CANN's layer_norm kernel).
* Sigmoid: float16 step by step with ``vrec`` in high performance, float32 in high precision (CANN's sigmoid kernel).
* Div: the quotient rounded once in high precision; the dividend times ``vrec`` of the divisor in high performance.
  Model: the kernel leaves it to the instruction ``vdiv``, whose result is not published.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from zoo.ascend.hardware import Chip
from zoo.ascend.precision import HIGH_PERFORMANCE, Implementation

FAST, PRECISE, LITE = "_fp16_fast", "_fp16_precise", "_fp16_lite"
# From this opset on every reduction takes its axes as an input.
_AXES_ARE_INPUTS = 18
# The first Da Vinci chips (310) have no float32 exponential (CANN's softmax_v2 kernel).
_FLOAT16_EXPONENTIAL = "dav-m100"

# Operands are float16 values, which on a chip that saturates are finite: differences and exponentials of theirs are no
# NaN, and what lies within [0, 65505] cannot overflow. There the cheaper roundings give the same bits.
_VREC = """(X) => (Y) {
    inverse = Reciprocal(X)
    Y = ai.ascend.RoundFp16(inverse)
}"""

# x1 = x0 (2 - d x0): the relative error is squared, 2^-11 becomes 2^-22.
_VREC_NEWTON = """(X) => (Y) {
    first = ai.ascend.VRec(X)
    two = Constant<value_float = 2.0>()
    product = Mul(X, first)
    rest = Sub(two, product)
    Y = Mul(first, rest)
}"""

_SOFTMAX = """<axis> (X) => (Y) {{
    axis = Constant<value_int: int = @axis>()
    first = Constant<value_ints = [0]>()
    axes = Unsqueeze(axis, first)
    top = ReduceMax(X, axes)
    difference = Sub(X, top)
    shifted = ai.ascend.RoundFiniteFp16(difference)
    {exponential}
    total = ReduceSum(powers, axes)
    {quotient}
    Y = ai.ascend.RoundSmallFp16(quotient)
}}"""
_EXPONENTIAL = "powers = Exp(shifted)"
_EXPONENTIAL_LITE = "wide = Exp(shifted)\n    powers = ai.ascend.RoundSmallFp16(wide)"

_LAYER_NORM = """<axis, epsilon> ({inputs}) => (Y) {{
    axes = Constant<value_ints = [-1]>()
    half = Constant<value_float = -0.5>()
    epsilon = Constant<value_float: float = @epsilon>()
    mean = ReduceMean(X, axes)
    centred = Sub(X, mean)
    square = Mul(centred, centred)
    variance = ReduceMean(square, axes)
    moved = Add(variance, epsilon)
    {inverse}
    normal = Mul(centred, inverse)
    scaled = Mul(normal, Scale)
    {shift}
    Y = ai.ascend.RoundFiniteFp16(shifted)
}}"""
_BY_LOGARITHM = "logarithm = Log(moved)\n    power = Mul(logarithm, half)\n    inverse = Exp(power)"
_BY_ROOT = "deviation = Sqrt(moved)\n    inverse = Reciprocal(deviation)"

_SIGMOID_FAST = """(X) => (Y) {
    one = Constant<value_float = 1.0>()
    negative = Neg(X)
    wide = Exp(negative)
    power = ai.ascend.RoundFiniteFp16(wide)
    more = Add(power, one)
    total = ai.ascend.RoundSmallFp16(more)
    inverse = Reciprocal(total)
    Y = ai.ascend.RoundSmallFp16(inverse)
}"""

_DIV_FAST = """(A, B) => (Y) {
    inverse = ai.ascend.VRec(B)
    product = Mul(A, inverse)
    Y = ai.ascend.RoundFp16(product)
}"""


def definitions() -> Mapping[str, str]:
    """Return the ONNX text of every function by name; all take float16 operands and return float16 values.

    ``VRec`` and ``VRecNewton`` are the reciprocal instruction; the second returns float32.
    """
    texts = {"VRec": _VREC, "VRecNewton": _VREC_NEWTON, f"Sigmoid{FAST}": _SIGMOID_FAST, f"Div{FAST}": _DIV_FAST}
    by_product = "inverse = ai.ascend.{}(total)\n    quotient = Mul(powers, inverse)"
    for suffix, exponential, quotient in (
        (FAST, _EXPONENTIAL, by_product.format("VRec")),
        (PRECISE, _EXPONENTIAL, by_product.format("VRecNewton")),
        (LITE, _EXPONENTIAL_LITE, "quotient = Div(powers, total)"),
    ):
        texts[f"Softmax{suffix}"] = _SOFTMAX.format(exponential=exponential, quotient=quotient)
    for suffix, inverse in ((FAST, _BY_LOGARITHM), (PRECISE, _BY_ROOT)):
        for name, inputs, shift in (
            ("LayerNormalization", "X, Scale", "shifted = Identity(scaled)"),
            ("LayerNormalizationBias", "X, Scale, B", "shifted = Add(scaled, B)"),
        ):
            texts[f"{name}{suffix}"] = _LAYER_NORM.format(inputs=inputs, inverse=inverse, shift=shift)
    return texts


def softmax_name(chip: Chip, implementation: Implementation) -> str:
    """Return the function that is the softmax on a chip."""
    if chip.arch == _FLOAT16_EXPONENTIAL:
        return f"Softmax{LITE}"
    return f"Softmax{FAST if implementation == HIGH_PERFORMANCE else PRECISE}"


def vector_function(node: ir.Node, chip: Chip, implementation: Implementation, opset: int) -> str | None:
    """Return the function that replaces a float16 operator of the vector unit, or None: float32 and one rounding."""
    fast = implementation == HIGH_PERFORMANCE
    if node.op_type in ("Div", "Sigmoid"):
        return f"{node.op_type}{FAST}" if fast else None
    if opset < _AXES_ARE_INPUTS:
        return None
    if node.op_type == "Softmax":
        return softmax_name(chip, implementation)
    if node.op_type == "LayerNormalization" and _normalises_last_axis(node):
        bias = "Bias" if len(node.inputs) > 2 and node.inputs[2] is not None else ""
        return f"LayerNormalization{bias}{FAST if fast else PRECISE}"
    return None


def _normalises_last_axis(node: ir.Node) -> bool:
    axis = node.attributes.get_int("axis", -1)
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    outputs = [value for value in node.outputs[1:] if value.uses() or value.is_graph_output()]
    return not outputs and (axis == -1 or (shape is not None and axis == shape.rank() - 1))


# The functions of this module, and those that give values within [-1, 1].
NAMES = frozenset(definitions())
WITHIN_ONE = frozenset(name for name in NAMES if name.startswith(("Softmax", "Sigmoid")))
