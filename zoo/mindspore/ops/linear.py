"""Linear layers, embeddings and products of matrices."""

from __future__ import annotations

from zoo.mindspore.code import Code, literal
from zoo.mindspore.registry import Call, Default, Operand, translates


@translates("Dense")
def dense(c: Call, x: Operand, weight: Operand, bias: Operand | None = None) -> Code:
    """``nn.Dense``, whose weight is (out, in)."""
    turned = bool(c.attribute("transposed", 0))
    outputs, inputs = weight.shape[::-1] if turned else weight.shape
    weights = {"weight": (weight, "transpose") if turned else weight}
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
def einsum(c: Call, *operands: Operand) -> Code:
    """A product of matrices between transposes: ``ops.einsum`` has no kernel on the CPU."""
    said = c.attribute("equation").replace(" ", "")
    inputs, arrow, out = said.partition("->")
    terms = inputs.split(",")
    if "." in said or not arrow or len(terms) != 2 or any(len(set(term)) < len(term) for term in (*terms, out)):
        raise NotImplementedError(f"the equation {said}")
    left, right = terms
    batch = [letter for letter in out if letter in left and letter in right]
    summed = [letter for letter in left if letter in right and letter not in out]
    if any(letter not in out and letter not in summed for letter in left + right):
        raise NotImplementedError(f"the equation {said}")
    sizes = {letter: operand.size(at) for term, operand in zip(terms, operands, strict=True)
             for at, letter in enumerate(term)}  # fmt: skip
    own = [[letter for letter in term if letter not in batch and letter not in summed] for term in terms]
    a = _grouped(operands[0], left, [batch, own[0], summed], sizes)
    b = _grouped(operands[1], right, [batch, summed, own[1]], sizes)
    made = [*batch, *own[0], *own[1]]
    shape = ", ".join(str(sizes[letter]) for letter in made)
    result = f"ops.matmul({a}, {b})"
    if any(len(part) != 1 for part in own):
        result = f"{result}.reshape({shape})" if made else f"{result}.reshape(())"
    order = [made.index(letter) for letter in out]
    return Code(result if order == sorted(order) else f"{result}.transpose({', '.join(map(str, order))})")


def _grouped(operand: Operand, term: str, groups: list[list[str]], sizes: dict[str, Code]) -> str:
    """Return an operand with its axes in the order of ``groups``, all of the last two groups as one axis each."""
    wanted = [letter for group in groups for letter in group]
    order = [term.index(letter) for letter in wanted]
    text = operand.tensor.atom
    if order != sorted(order):
        text = f"{text}.transpose({', '.join(map(str, order))})"
    if all(len(group) == 1 for group in groups[1:]):
        return text
    shape = [str(sizes[letter]) for letter in groups[0]]
    shape += [" * ".join(sizes[letter].atom for letter in group) or "1" for group in groups[1:]]
    return f"{text}.reshape({', '.join(shape)})"
