"""Linear layers, embeddings and products of matrices."""

from __future__ import annotations

from zoo.mindspore.code import Code, literal
from zoo.mindspore.registry import Call, Default, Operand, translates


@translates("Dense")
def dense(c: Call, x: Operand, weight: Operand, bias: Operand | None = None) -> Code:
    """``nn.Dense``, whose weight is (out, in)."""
    turned = bool(c.attribute("transposed", 0))
    outputs, inputs = weight.shape[::-1] if turned else weight.shape
    weights = {"weight": (weight, "T") if turned else weight}
    if bias is not None:
        weights["bias"] = bias
    return c.cell(
        "nn.Dense",
        x,
        weights=weights,
        _in_channels=inputs,
        _out_channels=outputs,
        has_bias=Default(bias is not None, True),
    )


@translates("Embedding")
def embedding(c: Call, table: Operand, places: Operand) -> Code:
    """``nn.Embedding``."""
    count, size = table.shape
    return c.cell("nn.Embedding", places, weights={"embedding_table": table}, _vocab_size=count, _embedding_size=size)


@translates("MatMul")
def matmul(c: Call, left: Operand, right: Operand) -> str:
    """``ops.matmul``."""
    return f"ops.matmul({left.tensor}, {right.tensor})"


@translates("Gemm")
def gemm(c: Call, left: Operand, right: Operand, bias: Operand | None = None) -> str:
    """``alpha * A B + beta * C``, either turned first."""
    a = f"{left.tensor.atom}.T" if c.attribute("transA", 0) else str(left.tensor)
    b = f"{right.tensor.atom}.T" if c.attribute("transB", 0) else str(right.tensor)
    text = f"ops.matmul({a}, {b})"
    alpha, beta = c.attribute("alpha", 1.0), c.attribute("beta", 1.0)
    text = text if alpha == 1.0 else f"{literal(alpha)} * {text}"
    if bias is None:
        return text
    return f"{text} + {bias.tensor.atom}" if beta == 1.0 else f"{text} + {literal(beta)} * {bias.tensor.atom}"


@translates("Einsum")
def einsum(c: Call, *operands: Operand) -> str:
    """``ops.einsum``."""
    return f'ops.einsum("{c.attribute("equation").replace(" ", "")}", {", ".join(str(x.tensor) for x in operands)})'
