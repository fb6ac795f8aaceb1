"""The matrix products of an operator, in the sizes in which the cube computes them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Final

import onnx_ir as ir

from zoo.ascend.operators import RECURRENT, operator_of

# Rows, columns and depth of one cube instruction on fp16, and channels of a block (C0): chip facts, every chip.
BLOCK: Final = 16
_GATES: Final = {"LSTM": 4, "GRU": 3, "RNN": 1}


@dataclasses.dataclass(frozen=True)
class Product:
    """``count`` independent products of an (m, k) by a (k, n) matrix.

    Attributes:
        count: How many.
        m: Rows: output positions of a convolution, tokens of a matrix product.
        k: Depth, padded as the cube holds it (channels to blocks of 16, times kernel taps).
        n: Columns, padded to blocks of 16.
        macs: Multiply-adds that the model asks for, over all ``count``, without padding.
        images: How often a convolution starts anew at a new image (its rows are padded for each).
        taps: Kernel positions of a convolution; 1 for a matrix product.
        shared: Whether all products share the right operand (a weight).
    """

    count: int
    m: int
    k: int
    n: int
    macs: int
    images: int = 1
    taps: int = 1
    shared: bool = False


def padded(size: int, block: int = BLOCK) -> int:
    """Return ``size`` rounded up to whole blocks."""
    return -(-size // block) * block


def products_of(node: ir.Node) -> list[Product]:
    """Return the products of ``node``; none where it is no operator of the cube or its shapes are not known."""
    operator = operator_of(node)
    shapes = [_shape(value) for value in node.inputs]
    made = _shape(node.outputs[0]) if node.outputs else None
    if operator in RECURRENT:
        return _recurrent(node, operator, shapes)
    if len(shapes) < 2 or shapes[0] is None or shapes[1] is None or made is None:
        return []
    left, right = shapes[0], shapes[1]
    if operator in ("Conv", "DeformConv", "ConvInteger"):
        return [_convolution(made, right, node.attributes.get_int("group", 1))]
    if operator == "QLinearConv" and len(shapes) > 3 and shapes[3] is not None:
        return [_convolution(made, shapes[3], node.attributes.get_int("group", 1))]
    if operator == "ConvTranspose":
        return [_transposed(left, right, node.attributes.get_int("group", 1))]
    if operator in ("MatMul", "MatMulInteger"):
        return _matmul(left, right)
    if operator == "Gemm":
        rows, depth = (left[1], left[0]) if node.attributes.get_int("transA", 0) else (left[0], left[1])
        return [_product(1, rows, depth, made[-1], shared=True)]
    if operator == "Einsum":
        return _einsum(node.attributes.get_string("equation", ""), left, right)
    if operator in ("Attention", "FlashAttention") and len(shapes) > 2 and shapes[2] is not None:
        return _attention(node, left, right, shapes[2])
    return []


def _product(count: int, m: int, k: int, n: int, *, shared: bool = False) -> Product:
    return Product(count, m, padded(k), padded(n), count * m * k * n, shared=shared)


def _convolution(made: tuple[int, ...], weight: tuple[int, ...], group: int) -> Product:
    """Return a convolution as the cube computes it: one product over the kernel window for each group of channels.

    Groups of few channels are put together until a group fills whole blocks, with zeros between them (CANN's
    ``calculate_group`` of conv2d): of a depthwise convolution one sixteenth of the multiplications counts.
    """
    batch, positions, taps = made[0], math.prod(made[2:]), math.prod(weight[2:])
    channels, filters = weight[1], weight[0] // group
    joined = min(group, math.lcm(_fill(channels), _fill(filters)))
    count = -(-group // joined)
    # A single group does not fill blocks by others: its channels are padded.
    return Product(
        count=count,
        m=positions,
        k=taps * padded(channels * joined),
        n=padded(filters * joined),
        macs=math.prod(made) * channels * taps,
        images=batch,
        taps=taps,
        shared=True,
    )


def _fill(channels: int) -> int:
    """Return how many groups of ``channels`` fill whole blocks."""
    return math.lcm(channels, BLOCK) // channels


def _transposed(given: tuple[int, ...], weight: tuple[int, ...], group: int) -> Product:
    """Return a transposed convolution: each input position makes one product with the whole kernel."""
    taps, filters, channels = math.prod(weight[2:]), weight[1], weight[0] // group
    return Product(
        count=group,
        m=math.prod(given[2:]),
        k=padded(channels),
        n=padded(filters) * taps,
        macs=math.prod(given) * filters * taps,
        images=given[0],
        taps=taps,
        shared=True,
    )


def _matmul(left: tuple[int, ...], right: tuple[int, ...]) -> list[Product]:
    left, right = ((1, *left) if len(left) == 1 else left), ((*right, 1) if len(right) == 1 else right)
    if math.prod(right[:-2]) == 1:
        return [_product(1, math.prod(left[:-1]), left[-1], right[-1], shared=True)]
    count = max(math.prod(left[:-2]), math.prod(right[:-2]))
    return [_product(count, left[-2], left[-1], right[-1])]


def _einsum(equation: str, left: tuple[int, ...], right: tuple[int, ...]) -> list[Product]:
    """Return the contraction of two operands: shared indices that stay count, those that go are the depth."""
    terms, _, result = equation.replace(" ", "").partition("->")
    first, _, second = terms.partition(",")
    if "." in equation or len(first) != len(left) or len(second) != len(right) or "," in second:
        return []
    sizes: Mapping[str, int] = {**dict(zip(first, left, strict=True)), **dict(zip(second, right, strict=True))}

    def volume(letters: set[str]) -> int:
        return math.prod(sizes[letter] for letter in letters)

    shared, kept = set(first) & set(second), set(result)
    depth, count = volume(shared - kept), volume(shared & kept)
    return [_product(count, volume(set(first) - shared), depth, volume(set(second) - shared))]


def _attention(node: ir.Node, query: tuple[int, ...], key: tuple[int, ...], value: tuple[int, ...]) -> list[Product]:
    """Return queries by keys and probabilities by values of every head."""
    heads = query[1] if len(query) == 4 else node.attributes.get_int("q_num_heads", 1)
    kv_heads = key[1] if len(key) == 4 else node.attributes.get_int("kv_num_heads", heads)
    width = query[-1] if len(query) == 4 else query[-1] // max(1, heads)
    value_width = value[-1] if len(value) == 4 else value[-1] // max(1, kv_heads)
    count, rows, columns = query[0] * heads, query[-2], key[-2]
    return [_product(count, rows, width, columns), _product(count, rows, columns, value_width)]


def _recurrent(node: ir.Node, operator: str, shapes: list[tuple[int, ...] | None]) -> list[Product]:
    """Return the input's product over the whole sequence and the state's, step by step."""
    given, hidden = shapes[0], node.attributes.get_int("hidden_size", 0)
    if given is None or not hidden:
        return []
    directions = 2 if node.attributes.get_string("direction", "forward") == "bidirectional" else 1
    width = _GATES[operator] * hidden
    return [
        _product(directions, given[0] * given[1], given[2], width),
        _product(directions * given[0], given[1], hidden, width),
    ]


def _shape(value: ir.Value | None) -> tuple[int, ...] | None:
    if value is None or value.shape is None or not value.shape.is_static():
        return None
    return tuple(int(dim) for dim in value.shape.numpy())
