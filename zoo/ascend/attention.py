"""The definition of attention on an Ascend chip: two products on the cube, the softmax on the vector unit."""

from __future__ import annotations

import dataclasses
from typing import Literal

from zoo.ascend.functions import FROM_HELD
from zoo.ascend.rounding import FORMATS

_FLOAT32_MAX = 3.4028234663852886e38
_LAST_HEAD_FIRST = "Transpose<perm = [0, 2, 1, 3]>"


@dataclasses.dataclass(frozen=True)
class AttentionForm:
    """One way the ONNX operator ``Attention`` (opset 23) is called; each form is a function of its own.

    ONNX functions cannot branch on an attribute or on an absent input, so what changes the body is in the name
    and what is only a number (scale, softcap, head counts) stays an attribute.

    Numerics, with Q ``(B, Hq, S, D)``, K ``(B, Hk, L, D)``, V ``(B, Hk, L, Dv)``, all float32::

        S = fp16(fp16(Q) fp16(K)^T)               cube, float32 accumulator, unscaled
        S = softcap * tanh(scale * S / softcap)   vector, float32; without softcap: scale * S
        P = softmax(S + mask)                     vector, float32; a row with nothing allowed is 0
        Y = fp16(fp16(P) fp16(V))                 cube, float32 accumulator

    This is the unfused chain BatchMatMul, SoftMax, BatchMatMul that ATC builds, and what the fused kernels do in
    their high-performance mode; a fused kernel in high-precision mode would keep S in float32. The order of
    scale, softcap, mask and softmax, and the zero row, are those of the ONNX operator. Where the vector unit computes
    in a narrower format, scale, softcap, mask and softmax are operators of their own, each result rounded.

    Attributes:
        rank: 4 for ``(B, H, S, D)``; 3 for ``(B, S, H * D)`` with head counts in the attributes.
        grouped: Whether several query heads share a key head (or that is not known before the run).
        scaled: Whether the attribute ``scale`` is given; otherwise 1 / sqrt(D).
        capped: Whether the attribute ``softcap`` is above 0.
        causal: Whether query i sees the keys 0 to i only.
        mask: The type of the input ``attn_mask``, or "" without one.
        cube: The suffix of the products' functions: what the cube computes in.
        vector: The format of the vector unit, "" for float32.
        softmax: The function that is the softmax, "" for the standard operator in float32.
    """

    rank: Literal[3, 4]
    grouped: bool
    scaled: bool
    capped: bool
    causal: bool
    mask: Literal["", "bool", "float"]
    cube: str = ""
    vector: Literal["", "fp16", "bf16"] = ""
    softmax: str = ""

    @property
    def name(self) -> str:
        """The function's name, for example ``FlashAttention_3d_causal``."""
        parts = {
            "3d": self.rank == 3,
            "grouped": self.grouped,
            "scaled": self.scaled,
            "capped": self.capped,
            "causal": self.causal,
            f"{self.mask}mask": bool(self.mask),
            f"vector_{self.vector}": bool(self.vector),
            self.softmax: bool(self.softmax),
        }
        return "_".join(["FlashAttention", *(part for part, present in parts.items() if present)]) + self.cube

    def _step(self, name: str, expression: str) -> list[str]:
        """Lines of one step of the vector unit: rounded where it computes in a narrower format."""
        if not self.vector:
            return [f"{name} = {expression}"]
        rounding = f"ai.ascend.Round{FORMATS[self.vector].label}"
        return [f"{name}_exact = {expression}", f"{name} = {rounding}({name}_exact)"]

    def definition(self) -> str:
        """Return attributes, inputs, outputs and body in ONNX's textual syntax."""
        body = [
            *self._heads(),
            *(_GROUPED if self.grouped else ("key = Identity(k)", "value = Identity(v)")),
            "key_t = Transpose<perm = [0, 1, 3, 2]>(key)",
            f"product = ai.ascend.MatMul{self.cube}(q, key_t)",
            *self._scale(),
            *self._softmax(),
            f"context = ai.ascend.MatMul{self.cube}{FROM_HELD if self.vector else ''}(weights, value)",
            *self._output(),
        ]
        attributes = "is_causal, kv_num_heads, q_num_heads, qk_matmul_output_mode, scale, softcap, softmax_precision"
        inputs = "Q, K, V, M" if self.mask else "Q, K, V"
        return f"<{attributes}> ({inputs}) => (Y) {{\n    " + "\n    ".join(body) + "\n}"

    def _heads(self) -> list[str]:
        """Lines that bring Q, K and V to ``(B, H, S, D)``: q, k, v."""
        if self.rank == 4:
            return ["q = Identity(Q)", "k = Identity(K)", "v = Identity(V)"]
        lines = [
            "keep = Constant<value_ints = [0, 0]>()",
            "rest = Constant<value_ints = [-1]>()",
            "first = Constant<value_ints = [0]>()",
            "q_scalar = Constant<value_int: int = @q_num_heads>()",
            "kv_scalar = Constant<value_int: int = @kv_num_heads>()",
            "q_count = Unsqueeze(q_scalar, first)",
            "kv_count = Unsqueeze(kv_scalar, first)",
            "q_split = Concat<axis = 0>(keep, q_count, rest)",
            "kv_split = Concat<axis = 0>(keep, kv_count, rest)",
        ]
        for name, split in (("q", "q_split"), ("k", "kv_split"), ("v", "kv_split")):
            lines += [f"{name}_rows = Reshape({name.upper()}, {split})", f"{name} = {_LAST_HEAD_FIRST}({name}_rows)"]
        return lines

    def _scale(self) -> list[str]:
        """Lines from the product to the scaled and capped scores ``(B, Hq, S, L)``: scores."""
        lines = (
            ["scale = Constant<value_float: float = @scale>()"]
            if self.scaled
            else [
                "size = Shape<start = 3, end = 4>(q)",
                "size_f = Cast<to = 1>(size)",
                "root = Sqrt(size_f)",
                "scale = Reciprocal(root)",
            ]
        )
        lines += self._step("factor", "Identity(scale)")
        if not self.capped:
            return [*lines, *self._step("scores", "Mul(product, factor)")]
        return [
            *lines,
            *self._step("scaled", "Mul(product, factor)"),
            "softcap = Constant<value_float: float = @softcap>()",
            *self._step("cap", "Identity(softcap)"),
            *self._step("relative", "Div(scaled, cap)"),
            *self._step("bent", "Tanh(relative)"),
            *self._step("scores", "Mul(bent, cap)"),
        ]

    def _softmax(self) -> list[str]:
        """Lines from the scores to the attention weights: weights."""
        lines, allowed, scores = [], [], "scores"
        if self.mask == "float":
            lines += [*self._step("bias", "Identity(M)"), *self._step("masked", "Add(scores, bias)")]
            lines += ["never = IsInf<detect_positive = 0>(M)", "open = Not(never)"]
            allowed, scores = ["open"], "masked"
        elif self.mask == "bool":
            allowed = ["M"]
        if self.causal:
            lines += _CAUSAL
            allowed.append("past")
        if not allowed:
            return [*lines, *self._probabilities("weights", scores)]
        lines.append(f"allowed = {'And' if len(allowed) == 2 else 'Identity'}({', '.join(allowed)})")
        # The format's minimum instead of -Inf: a row with nothing allowed would be NaN, and NaN could not be told
        # from a genuine one. The second Where makes such a row 0, as the operator asks.
        return [
            *lines,
            f"lowest = Constant<value_float = -{self._largest()}>()",
            f"kept = Where(allowed, {scores}, lowest)",
            *self._probabilities("soft", "kept"),
            "zero = Constant<value_float = 0.0>()",
            "weights = Where(allowed, soft, zero)",
        ]

    def _probabilities(self, name: str, scores: str) -> list[str]:
        """Lines of the softmax."""
        if self.softmax:
            return [f"{name} = ai.ascend.{self.softmax}<axis = -1>({scores})"]
        return self._step(name, f"Softmax<axis = -1>({scores})")

    def _largest(self) -> float:
        return FORMATS[self.vector].largest if self.vector else _FLOAT32_MAX

    def _output(self) -> list[str]:
        """Lines that bring the result ``(B, Hq, S, Dv)`` to the rank of the inputs: Y."""
        if self.rank == 4:
            return ["Y = Identity(context)"]
        return [
            "joined = Constant<value_ints = [0, 0, -1]>()",
            f"context_rows = {_LAST_HEAD_FIRST}(context)",
            "Y = Reshape(context_rows, joined)",
        ]


# Key head h serves the query heads h * G to h * G + G - 1 (ONNX: repeat_interleave). The chip reads a key head G
# times instead of copying it; the values are the same.
_GROUPED = (
    "one = Constant<value_ints = [1]>()",
    "axis = Constant<value_ints = [2]>()",
    "batch = Shape<start = 0, end = 1>(q)",
    "q_heads = Shape<start = 1, end = 2>(q)",
    "kv_heads = Shape<start = 1, end = 2>(k)",
    "group = Div(q_heads, kv_heads)",
    "repeats = Concat<axis = 0>(one, one, group, one, one)",
    "k_tail = Shape<start = 2>(k)",
    "k_shape = Concat<axis = 0>(batch, q_heads, k_tail)",
    "k_single = Unsqueeze(k, axis)",
    "k_repeated = Expand(k_single, repeats)",
    "key = Reshape(k_repeated, k_shape)",
    "v_tail = Shape<start = 2>(v)",
    "v_shape = Concat<axis = 0>(batch, q_heads, v_tail)",
    "v_single = Unsqueeze(v, axis)",
    "v_repeated = Expand(v_single, repeats)",
    "value = Reshape(v_repeated, v_shape)",
)

# past[i, j] = (j <= i)
_CAUSAL = (
    "start = Constant<value_int = 0>()",
    "step = Constant<value_int = 1>()",
    "last = Constant<value_ints = [-1]>()",
    "q_length = Shape<start = 2, end = 3>(q)",
    "k_length = Shape<start = 2, end = 3>(key)",
    "q_end = Squeeze(q_length)",
    "k_end = Squeeze(k_length)",
    "i = Range(start, q_end, step)",
    "j = Range(start, k_end, step)",
    "i_column = Unsqueeze(i, last)",
    "past = LessOrEqual(j, i_column)",
)
