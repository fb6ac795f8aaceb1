"""Matrix products and Einstein sums."""

from __future__ import annotations

import string

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Dim, Shape, broadcast, product
from porters.tensorflow.node import Node
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Order, Reshaped, Tensor, follow_units, logical


@translates("MatMul", "SparseMatMul")
def matmul(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate a product of matrices; rows that were flattened for it keep their axes."""
    swap_a, swap_b = bool(node.attr("transpose_a")), bool(node.attr("transpose_b"))
    right = ctx.value(b, (1, 0) if swap_b else (0, 1))
    columns = b.shape[0] if swap_b else b.shape[1]
    rows = _rows(a) if not swap_a else None
    if rows is not None:
        wide = ctx.op("MatMul", ctx.value(rows), right, shape=(*rows.shape[:-1], columns))
        return ctx.reshape(wide, (a.shape[0], columns))
    left = ctx.value(a, (1, 0) if swap_a else (0, 1))
    return ctx.op("MatMul", left, right, shape=(a.shape[1] if swap_a else a.shape[0], columns))


def _rows(a: Tensor) -> Tensor | None:
    # x of [.., C] seen as [rows, C]: the product over the last axis needs no flattening, unless that is free.
    if not isinstance(a, Reshaped) or follow_units(a.base, a.shape) is not None:
        return None
    return a.base if a.base.rank > 1 and a.base.shape[-1] == a.shape[-1] else None


@translates("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def batch_matmul(ctx: Context, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Translate products of matrices in a batch."""
    first, second = _swapped(a.rank, bool(node.attr("adj_x"))), _swapped(b.rank, bool(node.attr("adj_y")))
    left, right = tuple(a.shape[axis] for axis in first), tuple(b.shape[axis] for axis in second)
    shape = (*broadcast(left[:-2], right[:-2]), left[-2], right[-1])
    return ctx.op("MatMul", ctx.value(a, first), ctx.value(b, second), shape=shape)


def _swapped(rank: int, swap: bool) -> Order:
    order = logical(rank)
    return (*order[:-2], order[-1], order[-2]) if swap else order


@translates("Einsum")
def einsum(ctx: Context, node: Node, *tensors: Tensor) -> Tensor:
    """Translate an Einstein sum of two operands as a matrix product, any other as ONNX's Einsum."""
    text = node.attr("equation")
    equation = (text.decode() if isinstance(text, bytes) else str(text)).replace(" ", "")
    equation = _spelled_out(equation, tensors) if "." in equation else equation
    terms, result = equation.split("->")
    inputs = terms.split(",")
    plain = all(len(set(term)) == len(term) for term in inputs)
    if len(tensors) == 2 and plain and _agree(inputs, tensors):
        found = _as_product(ctx, inputs[0], inputs[1], result, *tensors)
        if found is not None:
            return found
    sizes: dict[str, Dim] = {}
    for term, tensor in zip(inputs, tensors, strict=True):
        for letter, dim in zip(term, tensor.shape, strict=True):
            sizes[letter] = dim if sizes.get(letter, 1) == 1 else sizes[letter]
    shape = tuple(sizes[letter] for letter in result)
    return ctx.op("Einsum", *(ctx.value(tensor) for tensor in tensors), equation=equation, shape=shape)


def _spelled_out(equation: str, tensors: tuple[Tensor, ...]) -> str:
    """Return an equation with letters instead of its ellipses, counted from the end as they broadcast."""
    terms, result = equation.split("->")
    spare = [letter for letter in string.ascii_letters if letter not in equation]
    counts = [
        tensor.rank - len(term.replace("...", "")) if "..." in term else 0
        for term, tensor in zip(terms.split(","), tensors, strict=True)
    ]
    letters = spare[: max(counts)]
    inputs = [
        term.replace("...", "".join(letters[len(letters) - count :]))
        for term, count in zip(terms.split(","), counts, strict=True)
    ]
    return ",".join(inputs) + "->" + result.replace("...", "".join(letters))


def _agree(inputs: list[str], tensors: tuple[Tensor, ...]) -> bool:
    """Say whether every letter has one size: none is a one that broadcasts."""
    left, right = (dict(zip(term, tensor.shape, strict=True)) for term, tensor in zip(inputs, tensors, strict=True))
    return all(left[letter] == right[letter] for letter in left if letter in right)


def _as_product(ctx: Context, left: str, right: str, result: str, a: Tensor, b: Tensor) -> Tensor | None:
    batch = [letter for letter in result if letter in left and letter in right]
    summed = [letter for letter in left if letter in right and letter not in result]
    rows = [letter for letter in result if letter in left and letter not in right]
    columns = [letter for letter in result if letter in right and letter not in left]
    if set(left) - {*batch, *summed, *rows} or set(right) - {*batch, *summed, *columns}:
        return None  # a letter that is summed within one operand
    sizes = {**dict(zip(left, a.shape, strict=True)), **dict(zip(right, b.shape, strict=True))}

    def of(letters: list[str]) -> Shape:
        return tuple(sizes[letter] for letter in letters)

    # A weight without batch and rows in their own axes multiplies as it is; everything else becomes 3-D or more.
    first = _arranged(ctx, a, left, batch, rows, summed, keep_rows=not batch)
    second = _arranged(ctx, b, right, batch, summed, columns, keep_rows=False)
    middle = of(rows) if not batch else (product(of(rows)),)
    shape = (*of(batch), *middle, product(of(columns)))
    value = ctx.op("MatMul", ctx.value(first), ctx.value(second), shape=shape)
    full = ctx.reshape(value, (*of(batch), *of(rows), *of(columns)))
    return _transposed(ctx, full, [*batch, *rows, *columns], list(result))


def _arranged(
    ctx: Context, tensor: Tensor, term: str, batch: list[str], rows: list[str], columns: list[str], keep_rows: bool
) -> Tensor:
    order = [*batch, *rows, *columns]
    moved = _transposed(ctx, tensor, list(term), order)
    sizes = dict(zip(term, tensor.shape, strict=True))
    middle = [sizes[letter] for letter in rows] if keep_rows else [product(sizes[letter] for letter in rows)]
    return ctx.reshape(
        moved, (*(sizes[letter] for letter in batch), *middle, product(sizes[letter] for letter in columns))
    )


def _transposed(ctx: Context, tensor: Tensor, before: list[str], after: list[str]) -> Tensor:
    from porters.tensorflow.ops.shape import transposed

    return transposed(ctx, tensor, tuple(before.index(letter) for letter in after))
