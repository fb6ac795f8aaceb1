"""The cube's int8 operators, each an ONNX function: int8 operands, an int32 sum, one scale for each column.

``Y = fp16(float32(sum + bias) * scale)`` with the sum over ``(X - x_zero)(W - w_zero)`` in int32, exact. It stands for
mmad s322s8s8 and the fixpipe's dequantisation to fp16 (chip facts; AscendDequant). The int32 sum is first a float32, as
the fixpipe has it, which is exact up to 2^24. ``_fp32`` leaves the last rounding out.
"""

from __future__ import annotations

from collections.abc import Mapping

_TEMPLATE = """{attributes} (X, W, x_zero, w_zero, scale{bias_input}) => (Y) {{
    {operands}
    sum = {operator}
    {bias}
    wide = Cast<to = 1>(total)
    scaled = Mul(wide, scale)
    Y = {rounding}(scaled)
}}"""
_CONV = "auto_pad, dilations, group, kernel_shape, pads, strides"
_CONV_REFERENCES = (
    "auto_pad: string = @auto_pad, dilations: ints = @dilations, group: int = @group, "
    "kernel_shape: ints = @kernel_shape, pads: ints = @pads, strides: ints = @strides"
)
# Name -> attributes, lines before, operator. Gemm's right operand may be transposed: two functions.
_OPERATORS = {
    "Conv": (f"<{_CONV}>", "", f"ConvInteger<{_CONV_REFERENCES}>(X, W, x_zero, w_zero)"),
    "MatMul": ("", "", "MatMulInteger(X, W, x_zero, w_zero)"),
    "Gemm": ("", "", "MatMulInteger(X, W, x_zero, w_zero)"),
    "GemmT": ("", "right = Transpose<perm = [1, 0]>(W)", "MatMulInteger(X, right, x_zero, w_zero)"),
}


def definitions() -> Mapping[str, str]:
    """Return the ONNX text of every function by name."""
    texts = {}
    for name, (attributes, operands, operator) in _OPERATORS.items():
        for suffix, bias_input, bias in (
            ("", "", "total = Identity(sum)"),
            ("Bias", ", B", "total = Add(sum, B)"),
        ):
            for end, rounding in (("", "ai.ascend.RoundFiniteFp16"), ("_fp32", "Identity")):
                texts[f"{name}Int8{suffix}{end}"] = _TEMPLATE.format(
                    attributes=attributes,
                    bias_input=bias_input,
                    operands=operands,
                    operator=operator,
                    bias=bias,
                    rounding=rounding,
                )
    return texts
