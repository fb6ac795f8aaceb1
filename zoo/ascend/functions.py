"""The operators of the cube unit, each defined as an ONNX function whose body is standard operators.

A compiled program calls these functions, so the program is its own emulator: any ONNX runtime that runs it
computes what the cube computes. Only three primitives differ between chips (``RoundFp16``, ``RoundFiniteFp16``
and ``NanToZero``); every other definition is the same text for all of them.

Values stay float32 between operators; "rounded to fp16" means a float32 that fp16 can hold.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping

import onnx.parser
import onnx_ir as ir

DOMAIN = "ai.ascend"
VERSION = 1
FP16_MAX = 65504.0

# Saturation mode (hiascend aclcppdevg_03_1389): Inf becomes the largest finite value, NaN becomes 0.
# Clipping before the cast is exact: whatever lies beyond 65504 would round to 65504 or to Inf.
_SATURATING = {
    "RoundFp16": """(X) => (Y) {
        number = ai.ascend.NanToZero(X)
        Y = ai.ascend.RoundFiniteFp16(number)
    }""",
    # For values that cannot be NaN; Clip leaves open what it does with one. Spares two passes over the tensor.
    "RoundFiniteFp16": """(X) => (Y) {
        lowest = Constant<value_float = -65504.0>()
        highest = Constant<value_float = 65504.0>()
        clipped = Clip(X, lowest, highest)
        half = Cast<to = 10>(clipped)
        Y = Cast<to = 1>(half)
    }""",
    "NanToZero": """(X) => (Y) {
        nan = IsNaN(X)
        zero = Constant<value_float = 0.0>()
        Y = Where(nan, zero, X)
    }""",
}

# Inf/NaN mode: IEEE 754, as the cast itself.
_IEEE = {
    "RoundFp16": """(X) => (Y) {
        half = Cast<to = 10>(X)
        Y = Cast<to = 1>(half)
    }""",
    "RoundFiniteFp16": "(X) => (Y) { Y = ai.ascend.RoundFp16(X) }",
    "NanToZero": "(X) => (Y) { Y = Identity(X) }",
}

# Operands are rounded to fp16 (a constant weight is rounded when the model is loaded, the file keeps the float32),
# products are summed in float32 in L0C, the sum is rounded once on its way out (chip facts: mmad f32f16f16).
# A sum of products of finite fp16 is never NaN: 65504**2 times any real K is far below the float32 maximum.
# The bias is not rounded: it waits in the bias table as float32 and initialises the float32 accumulator.
_TEMPLATE = """{attributes} ({inputs}) => (Y) {{
    {left} = {round_left}({LEFT})
    {right} = ai.ascend.RoundFp16({RIGHT})
    {clean_bias}
    sum = {op}({operands})
    Y = ai.ascend.{round_sum}(sum)
}}"""

# Twins of a definition, for a left operand of which something is known; both give the bits of the plain one.
FROM_FP16 = "_from_fp16"
FROM_FINITE = "_from_finite"
_ROUND_LEFT = {"": "ai.ascend.RoundFp16", FROM_FP16: "Identity", FROM_FINITE: "ai.ascend.RoundFiniteFp16"}


@dataclasses.dataclass(frozen=True)
class _Product:
    """What the definitions of the cube's operators differ in; shapes are those of the ONNX operator ``op``.

    Attributes:
        op: The standard operator that multiplies, on float32.
        operands: Its two operands; a bias, if any, follows as B or C.
        attributes: Its attributes with their types, as the textual syntax wants them.
        finite: Whether the sum of finite fp16 operands can never be NaN.
    """

    op: str
    operands: tuple[str, str]
    attributes: str = ""
    finite: bool = True

    def definition(self, bias: str, twin: str) -> str:
        """Return the function's text.

        Args:
            bias: The name of the bias input, "" without one.
            twin: ``FROM_FP16``, ``FROM_FINITE`` or "".
        """
        given = [part.strip() for part in self.attributes.split(",") if part]
        references = ", ".join(f"{part} = @{part.split(':')[0]}" for part in given)
        left, right = (operand.lower() for operand in self.operands)
        return _TEMPLATE.format(
            attributes=f"<{', '.join(part.split(':')[0] for part in given)}>" if given else "",
            inputs=", ".join((*self.operands, bias) if bias else self.operands),
            left=left,
            right=right,
            LEFT=self.operands[0],
            RIGHT=self.operands[1],
            round_left=_ROUND_LEFT[twin],
            clean_bias=f"bias = ai.ascend.NanToZero({bias})" if bias else "",
            op=f"{self.op}<{references}>" if given else self.op,
            operands=f"{left}, {right}, bias" if bias else f"{left}, {right}",
            round_sum="RoundFiniteFp16" if self.finite else "RoundFp16",
        )


_CONV = "auto_pad: string, dilations: ints, group: int, kernel_shape: ints, pads: ints, strides: ints"
_PRODUCTS = (
    (_Product("Conv", ("X", "W"), _CONV), "B"),
    (_Product("ConvTranspose", ("X", "W"), f"{_CONV}, output_padding: ints, output_shape: ints"), "B"),
    # Y = alpha A' B' + beta C. alpha and beta scale the accumulator, so they may overflow float32 and Inf - Inf may
    # arise: its sum takes the rounding that knows NaN.
    (_Product("Gemm", ("A", "B"), "alpha: float, beta: float, transA: int, transB: int", finite=False), "C"),
    (_Product("MatMul", ("A", "B")), ""),
    (_Product("Einsum", ("A", "B"), "equation: string"), ""),
)


@functools.cache
def definitions(saturates: bool) -> Mapping[str, str]:
    """Return the ONNX text of every function with a fixed name, for a chip that saturates or one that does not.

    An operator with an optional bias has two names (``Conv``, ``ConvBias``), since ONNX cannot hand an absent
    input on to a nested call.
    """
    texts = dict(_SATURATING if saturates else _IEEE)
    for product, bias in _PRODUCTS:
        for twin in _ROUND_LEFT:
            texts[f"{product.op}{twin}"] = product.definition("", twin)
            if bias:
                texts[f"{product.op}Bias{twin}"] = product.definition(bias, twin)
    return texts


def parse(name: str, text: str, opset: int) -> ir.Function:
    """Return the function ``name`` of the domain ``ai.ascend``.

    Args:
        name: The function's name.
        text: Attributes, inputs, outputs and body in ONNX's textual syntax.
        opset: The standard opset of the body: the model's own, since ONNX wants one opset for both.
    """
    header = f'<domain: "{DOMAIN}", opset_import: ["": {opset}, "{DOMAIN}": {VERSION}]>'
    function = ir.serde.deserialize_function(onnx.parser.parse_function(f"{header} {name} {text}"))
    for value in (*function.inputs, *function.outputs):
        value.type = ir.TensorType(ir.DataType.FLOAT)
    return function


def add_functions(
    model: ir.Model, names: Iterable[str], saturates: bool, extra: Mapping[str, str] | None = None
) -> None:
    """Add the functions ``names``, and those they call in turn, to ``model``; those already there stay.

    Args:
        model: The model that calls them; its opset imports are extended.
        names: Names from ``definitions`` or ``extra``.
        saturates: The chip's overflow mode.
        extra: Further definitions by name, in the form of ``definitions``.
    """
    texts = {**definitions(saturates), **(extra or {})}
    waiting = list(names)
    if waiting:
        model.graph.opset_imports[DOMAIN] = VERSION
    while waiting:
        name = waiting.pop()
        if (DOMAIN, name, "") in model.functions:
            continue
        function = parse(name, texts[name], model.graph.opset_imports[""])
        model.functions[function.identifier()] = function
        waiting.extend(node.op_type for node in function if node.domain == DOMAIN)
