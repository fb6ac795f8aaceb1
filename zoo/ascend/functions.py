"""The operators of the cube unit, each defined as an ONNX function whose body is standard operators.

A compiled program calls these functions, so the program is its own emulator: any ONNX runtime that runs it
computes what the cube computes. Only the primitives of ``zoo.ascend.rounding`` differ between chips; every other
definition is the same text for all of them.

Values stay float32 between operators; "rounded to fp16" means a float32 that fp16 can hold.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping

import onnx.parser
import onnx_ir as ir

from zoo.ascend import integer, rounding, vector

DOMAIN = "ai.ascend"
VERSION = 1
# Operands are rounded (a constant weight is rounded when the model is loaded, the file keeps the float32), products are
# summed in float32 in L0C, the sum is rounded once on its way out (chip facts: mmad f32f16f16).
# A sum of products of finite fp16 is never NaN: 65504**2 times any real K is far below the float32 maximum.
# The bias is not rounded: it waits in the bias table as float32 and initialises the float32 accumulator.
_TEMPLATE = """{attributes} ({inputs}) => (Y) {{
    {left} = {round_left}({LEFT})
    {right} = {round_right}({RIGHT})
    {clean_bias}
    sum = {op}({operands})
    Y = {round_sum}(sum)
}}"""


@dataclasses.dataclass(frozen=True)
class _Variant:
    """In what a cube operator computes.

    Attributes:
        suffix: Of the function's name; fp16, which every chip has, has none.
        operand: The primitive that rounds an operand.
        finite: The one for an operand that cannot be NaN, "" where that is no cheaper.
        held: The format that holds its rounded operands, "" where there is none.
        result: The primitive that rounds the sum.
        never_nan: The one for a sum that can never be NaN.
    """

    suffix: str
    operand: str
    finite: str
    held: str
    result: str
    never_nan: str


_VARIANTS = (
    _Variant("", "RoundFp16", "RoundFiniteFp16", "fp16", "RoundFp16", "RoundFiniteFp16"),
    _Variant("_fp16_fp32", "RoundFp16", "RoundFiniteFp16", "fp16", "", ""),
    # bfloat16 reaches as far as float32, so its products can overflow the sum: NaN can arise.
    _Variant("_bf16", "RoundBf16", "RoundFiniteBf16", "bf16", "RoundBf16", "RoundBf16"),
    _Variant("_hf32", "RoundHf32", "", "", "", ""),
)
SUFFIXES: Mapping[str, str] = {"fp16": "", "fp16_fp32": "_fp16_fp32", "bf16": "_bf16", "hf32": "_hf32"}

# Twins of a definition, for operands of which something is known; all give the bits of the plain one.
FROM_HELD = "_from_held"  # the left operand holds values of the format already
BOTH_HELD = "_both_held"  # so does the right one
FROM_FINITE = "_from_finite"  # the left operand cannot be NaN
TWINS = ("", FROM_HELD, BOTH_HELD, FROM_FINITE)


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

    def definition(self, bias: str, variant: _Variant, twin: str) -> str:
        """Return the function's text.

        Args:
            bias: The name of the bias input, "" without one.
            variant: In what it computes.
            twin: One of ``TWINS``.
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
            round_left=_rounding(variant, twin),
            round_right=_rounding(variant, BOTH_HELD if twin == BOTH_HELD else ""),
            clean_bias=f"bias = ai.ascend.NanToZero({bias})" if bias else "",
            op=f"{self.op}<{references}>" if given else self.op,
            operands=f"{left}, {right}, bias" if bias else f"{left}, {right}",
            round_sum=_call(variant.never_nan if self.finite else variant.result),
        )


def _call(primitive: str) -> str:
    return f"ai.ascend.{primitive}" if primitive else "Identity"


def _rounding(variant: _Variant, twin: str) -> str:
    """Return the operator that rounds an operand of which ``twin`` says what is known."""
    if twin in (FROM_HELD, BOTH_HELD):
        return "Identity"
    return _call(variant.finite if twin == FROM_FINITE else variant.operand)


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
    input on to a nested call. The name goes on with what it computes in (``_bf16``) and with its twin.
    """
    texts = {**rounding.definitions(saturates), **vector.definitions(), **integer.definitions()}
    for (product, bias), variant in itertools.product(_PRODUCTS, _VARIANTS):
        for twin in twins(variant.suffix):
            texts[f"{product.op}{variant.suffix}{twin}"] = product.definition("", variant, twin)
            if bias:
                texts[f"{product.op}Bias{variant.suffix}{twin}"] = product.definition(bias, variant, twin)
    return texts


def twins(suffix: str) -> tuple[str, ...]:
    """Return the twins that the cube operators with a suffix have."""
    variant = next(item for item in _VARIANTS if item.suffix == suffix)
    return tuple(
        twin
        for twin in TWINS
        if (variant.held or twin not in (FROM_HELD, BOTH_HELD)) and (variant.finite or twin != FROM_FINITE)
    )


def held_format(name: str) -> tuple[str, str]:
    """Return the suffix of a cube function's name, and the format that holds its rounded operands ("": none)."""
    for variant in _VARIANTS[1:]:
        if name.endswith(variant.suffix):
            return variant.suffix, variant.held
    return "", "fp16"


def parse(name: str, text: str, opset: int) -> ir.Function:
    """Return the function ``name`` of the domain ``ai.ascend``.

    Args:
        name: The function's name.
        text: Attributes, inputs, outputs and body in ONNX's textual syntax.
        opset: The standard opset of the body: the model's own, since ONNX wants one opset for both.
    """
    header = f'<domain: "{DOMAIN}", opset_import: ["": {opset}, "{DOMAIN}": {VERSION}]>'
    function = ir.serde.deserialize_function(onnx.parser.parse_function(f"{header} {name} {text}"))
    # The operands of the int8 functions are int8 or uint8, their bias is int32: these stay untyped.
    values = function.outputs if "Int8" in name else (*function.inputs, *function.outputs)
    for value in values:
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
