"""Linear algebra: linear layers, matrix products, distances, determinants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.arithmetic import arithmetic
from porters.pytorch.ops.reduction import p_norm
from porters.pytorch.ops.shared import SMALL_INTEGERS, alike, computable, is_float, known, operands, static
from porters.pytorch.registry import Context, translates


@translates("aten.linear")
def linear(c: Context, x: ir.Value, weight: ir.Value, bias: ir.Value | None = None) -> ir.Value:
    """Gemm on matrices; MatMul with the weight transposed on more axes (the weight itself stays as upstream has it)."""
    if c.rank(x) == 2 and c.rank(weight) == 2 and is_float(x):
        return c.op("Gemm", x, weight, bias, transB=1)
    turned = c.op("Transpose", weight, perm=[1, 0]) if c.rank(weight) == 2 else weight
    result = product(c, x, turned)
    return result if bias is None else c.op("Add", result, bias)


@translates("aten.addmm")
def addmm(c: Context, bias: ir.Value, a: ir.Value, b: ir.Value, *, beta: float = 1, alpha: float = 1) -> ir.Value:
    """Gemm; of integers, which runtimes do not take there, a product and a sum."""
    if not is_float(a):
        return _weighted(c, bias, product(c, a, b), beta, alpha)
    return c.op("Gemm", a, b, bias if beta else None, alpha=float(alpha), beta=float(beta))


@translates("aten.matmul", "aten.mm", "aten.bmm", "aten.mv", "aten.dot",  "aten.linalg_matmul",
            )  # fmt: skip
def matmul(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """MatMul, NumPy's rules."""
    return product(c, a, b)


def product(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """Emit a MatMul; of narrow integers as INT32, which wraps around to the same bits."""
    if a.dtype in SMALL_INTEGERS:
        return c.cast(c.op("MatMul", computable(c, a), computable(c, b)), a.dtype)
    return c.op("MatMul", a, b)


@translates("aten.baddbmm", "aten.addmv")
def baddbmm(c: Context, x: ir.Value, a: ir.Value, b: ir.Value, *, beta: float = 1, alpha: float = 1) -> ir.Value:
    """Beta * x + alpha * (a @ b)."""
    return _weighted(c, x, product(c, a, b), beta, alpha)


@translates("aten.addbmm")
def addbmm(c: Context, x: ir.Value, a: ir.Value, b: ir.Value, *, beta: float = 1, alpha: float = 1) -> ir.Value:
    """Beta * x + alpha * (the sum over the batch of a @ b)."""
    return _weighted(c, x, c.op("ReduceSum", c.op("MatMul", a, b), [0], keepdims=0), beta, alpha)


def _weighted(c: Context, x: ir.Value, result: ir.Value, beta: float, alpha: float) -> ir.Value:
    if alpha != 1:
        result = arithmetic(c, "Mul", result, c.scalar(alpha, c.dtype))
    if beta == 0:  # torch does not look at x then: it may hold NaN
        return result if c.sizes_of(x) == c.shape else c.op("Expand", result, c.vector(c.shape))
    return arithmetic(c, "Add", x if beta == 1 else arithmetic(c, "Mul", x, c.scalar(beta, c.dtype)), result)


@translates("aten.outer", "aten.ger")
def outer(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """Every product of two vectors' elements."""
    left, right = operands(c, a, b)
    return c.op("And" if c.dtype == ir.DataType.BOOL else "Mul", c.op("Unsqueeze", left, [1]), right)


@translates("aten.bilinear")
def bilinear(c: Context, a: ir.Value, b: ir.Value, weight: ir.Value, bias: ir.Value | None = None) -> ir.Value:
    """A' W b for each output."""
    rows = "abcdefgh"[: c.rank(a) - 1]
    product = c.op("Einsum", a, weight, b, equation=f"{rows}i,oij,{rows}j->{rows}o")
    return product if bias is None else c.op("Add", product, bias)


@translates("aten.einsum")
def einsum(c: Context, equation: str, tensors: Sequence[ir.Value], **_: Any) -> ir.Value:
    """Einsum, with its ellipses spelled out: runtimes want them to stand for the same axes everywhere."""
    return c.op("Einsum", *operands(c, *tensors), equation=_explicit(c, equation, tensors))


def _explicit(c: Context, equation: str, tensors: Sequence[ir.Value]) -> str:
    terms, _, result = equation.replace(" ", "").partition("->")
    inputs = terms.split(",")
    free = [letter for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation]
    hidden = [c.rank(x) - len(term.replace("...", "")) for term, x in zip(inputs, tensors, strict=True)]
    dots = free[: max([count for count, term in zip(hidden, inputs, strict=True) if "..." in term], default=0)]
    spelled = [
        term.replace("...", "".join(dots[len(dots) - count :])) for term, count in zip(inputs, hidden, strict=True)
    ]
    if "->" not in equation:
        letters = sorted(set(terms) - set(",."))
        once = [letter for letter in letters if terms.count(letter) == 1]
        result = ("..." if dots else "") + "".join(once)
    _refuse_broadcast(c, spelled, tensors)
    return ",".join(spelled) + "->" + result.replace("...", "".join(dots))


def _refuse_broadcast(c: Context, terms: Sequence[str], tensors: Sequence[ir.Value]) -> None:
    sizes: dict[str, Any] = {}
    for term, x in zip(terms, tensors, strict=True):
        for letter, size in zip(term, c.sizes_of(x), strict=True):
            if sizes.setdefault(letter, size) != size:
                raise NotImplementedError("einsum that broadcasts an axis of size one")


@translates("aten.cdist", "aten._cdist_forward")
def cdist(c: Context, a: ir.Value, b: ir.Value, order: float = 2.0, *_: Any) -> ir.Value:
    """The norm of every difference between the rows of two matrices."""
    gaps = c.op("Sub", c.op("Unsqueeze", a, [-2]), c.op("Unsqueeze", b, [-3]))
    return p_norm(c, known(c, gaps, [*c.shape, c.sizes_of(a)[-1]]), order, [-1], keep=False)


@translates("aten.pdist", "aten._pdist_forward")
def pdist(c: Context, x: ir.Value, order: float = 2.0) -> ir.Value:
    """The norm of the difference of every pair of rows."""
    rows, columns = np.triu_indices(static(c.sizes_of(x)[0], "pdist"), 1)
    first, second = (c.op("Gather", x, c.const(i, ir.DataType.INT64), axis=0) for i in (rows, columns))
    gaps = known(c, c.op("Sub", first, second), [len(rows), c.sizes_of(x)[1]])
    return p_norm(c, gaps, order, [1], keep=False)


@translates("aten.dist")
def dist(c: Context, a: ir.Value, b: ir.Value, order: float = 2.0) -> ir.Value:
    """The norm of the difference."""
    gap = c.op("Sub", *operands(c, a, b))
    rank = max(c.rank(a), c.rank(b))
    return p_norm(c, known(c, gap, [-1] * rank), order, None, keep=False)


@translates("aten._linalg_det")
def det(c: Context, x: ir.Value) -> tuple[ir.Value]:
    """Det; the factors are not translated."""
    return (c.op("Det", x),)


@translates("aten.linalg_det", "aten.det")
def linalg_det(c: Context, x: ir.Value) -> ir.Value:
    """Det."""
    return c.op("Det", x)


@translates("aten.linalg_cross")
def cross(c: Context, a: ir.Value, b: ir.Value, *, dim: int = -1) -> ir.Value:
    """The products of the two axes that follow, minus those of the two that precede."""
    left, right = operands(c, a, b)
    axis = dim if dim < 0 else dim - c.rank(a)

    def turned(x: ir.Value, order: list[int]) -> ir.Value:
        return c.op("Gather", x, c.const(order, ir.DataType.INT64), axis=axis)

    first = c.op("Mul", turned(left, [1, 2, 0]), turned(right, [2, 0, 1]))
    return c.op("Sub", first, c.op("Mul", turned(left, [2, 0, 1]), turned(right, [1, 2, 0])))


@translates("aten.renorm")
def renorm(c: Context, x: ir.Value, order: float, axis: int, limit: float) -> ir.Value:
    """Each slice scaled down to ``limit`` where its norm is larger, by torch's divisor norm + 1e-7."""
    others = [i for i in range(c.rank(x)) if i != c.axis(x, axis)]
    length = p_norm(c, x, order, others, keep=True)
    scale = c.op("Div", c.const(limit, c.dtype), c.op("Add", length, 1e-7))
    return alike(c, "Mul", x, c.op("Where", c.op("Greater", length, float(limit)), scale, c.const(1, c.dtype)))
