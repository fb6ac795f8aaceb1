"""The rounding primitives of the emulator, each an ONNX function: float32 in, a float32 that the format can hold out.

These are all in which chips differ: a chip that saturates turns Inf into the largest finite value and NaN into 0
(hiascend aclcppdevg_03_1389), the others follow IEEE 754. The cube and the vector unit round alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final


@dataclasses.dataclass(frozen=True)
class Format:
    """A floating-point format narrower than float32.

    Attributes:
        name: ``fp16`` or ``bf16``.
        onnx: Its number in ``onnx.TensorProto.DataType``.
        largest: Its largest finite value.
        gap: Its gap at 1.
    """

    name: str
    onnx: int
    largest: float
    gap: float

    @property
    def label(self) -> str:
        """How function names call it: ``Fp16``."""
        return self.name.capitalize()


FP16: Final = Format("fp16", 10, 65504.0, 2.0**-10)
BF16: Final = Format("bf16", 16, 3.3895313892515355e38, 2.0**-7)
FORMATS: Final = {item.name: item for item in (FP16, BF16)}

# Clipping before the cast is exact: whatever lies beyond the largest value would round to it or to Inf.
_SATURATING = {
    "Round{label}": """(X) => (Y) {{
        number = ai.ascend.NanToZero(X)
        Y = ai.ascend.RoundFinite{label}(number)
    }}""",
    # For values that cannot be NaN; Clip leaves open what it does with one. Spares two passes over the tensor.
    "RoundFinite{label}": """(X) => (Y) {{
        lowest = Constant<value_float = -{largest}>()
        highest = Constant<value_float = {largest}>()
        clipped = Clip(X, lowest, highest)
        narrow = Cast<to = {onnx}>(clipped)
        Y = Cast<to = 1>(narrow)
    }}""",
}

# Inf/NaN mode: IEEE 754, as the cast itself.
_IEEE = {
    "Round{label}": """(X) => (Y) {{
        narrow = Cast<to = {onnx}>(X)
        Y = Cast<to = 1>(narrow)
    }}""",
    "RoundFinite{label}": "(X) => (Y) {{ Y = ai.ascend.Round{label}(X) }}",
}

# For values whose magnitude is no larger than the format's largest: nothing can overflow on any chip.
_SMALL = {
    "RoundSmall{label}": """(X) => (Y) {{
        narrow = Cast<to = {onnx}>(X)
        Y = Cast<to = 1>(narrow)
    }}""",
}

# HF32 keeps float32's exponent and 11 bits of mantissa, rounded to nearest (hiascend ATC --allow_hf32, CANN 9.1).
# Veltkamp's splitting (Dekker 1971): with C = 2^12 + 1 the high part of x has 24 - 12 = 12 significant bits, nearest to
# x; which neighbour a tie goes to is left open, as the documentation leaves it. C x overflows beyond 2^115: from 2^114
# on, and for Inf and NaN, the value stays as it is.
_HF32 = """(X) => (Y) {
    splitter = Constant<value_float = 4097.0>()
    limit = Constant<value_float = 2.0769187434139311e34>()
    product = Mul(X, splitter)
    rest = Sub(product, X)
    high = Sub(product, rest)
    size = Abs(X)
    ordinary = Less(size, limit)
    Y = Where(ordinary, high, X)
}"""

_NAN_TO_ZERO = """(X) => (Y) {
    nan = IsNaN(X)
    zero = Constant<value_float = 0.0>()
    Y = Where(nan, zero, X)
}"""


def definitions(saturates: bool) -> Mapping[str, str]:
    """Return the text of every primitive for a chip that saturates or one that does not."""
    texts = {"NanToZero": _NAN_TO_ZERO if saturates else "(X) => (Y) { Y = Identity(X) }", "RoundHf32": _HF32}
    for form in FORMATS.values():
        for name, text in {**(_SATURATING if saturates else _IEEE), **_SMALL}.items():
            filled = text.format(label=form.label, largest=form.largest, onnx=form.onnx)
            texts[name.format(label=form.label)] = filled
    return texts


# Every primitive: none of them is a kernel of its own.
PRIMITIVES: Final = frozenset(definitions(saturates=True))
