"""Operators that stand for several: each by its definition in the ONNX standard, in operators of any opset."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from zoo.opset.rewriter import Rewriter, rank_of, sizes_of

_LOWEST = {"FLOAT": -3.4028235e38, "FLOAT16": -65504.0, "DOUBLE": -1.7976931348623157e308, "BFLOAT16": -3.38e38}


def _dtype(value: ir.Value | None) -> ir.DataType:
    if value is None or value.dtype is None:
        raise NotImplementedError("the element type is not known")
    return value.dtype


def gelu(node: ir.Node, w: Rewriter) -> None:
    """X * Phi(x), or its approximation by tanh; https://onnx.ai/onnx/operators/onnx__Gelu.html."""
    x = node.inputs[0]
    kind = _dtype(x)
    half, one = w.constant(0.5, kind), w.constant(1.0, kind)
    if node.attributes.get_string("approximate", "none") == "tanh":
        cube = w.op("Mul", w.op("Mul", x, x), x)
        inner = w.op("Add", x, w.op("Mul", cube, w.constant(0.044715, kind)))
        bent = w.op("Tanh", w.op("Mul", inner, w.constant(math.sqrt(2 / math.pi), kind)))
    else:
        bent = w.op("Erf", w.op("Div", x, w.constant(math.sqrt(2.0), kind)))
    w.replace(w.op("Mul", w.op("Mul", x, w.op("Add", bent, one)), half))


def swish(node: ir.Node, w: Rewriter) -> None:
    """X * sigmoid(alpha * x)."""
    x, alpha = node.inputs[0], node.attributes.get_float("alpha", 1.0)
    inner = x if alpha == 1.0 else w.op("Mul", x, w.constant(alpha, _dtype(x)))
    w.replace(w.op("Mul", x, w.op("Sigmoid", inner)))


def hard_swish(node: ir.Node, w: Rewriter) -> None:
    """X * max(0, min(1, x / 6 + 0.5))."""
    x = node.inputs[0]
    w.replace(w.op("Mul", x, w.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)))


def mish(node: ir.Node, w: Rewriter) -> None:
    """X * tanh(softplus(x))."""
    x = node.inputs[0]
    w.replace(w.op("Mul", x, w.op("Tanh", w.op("Softplus", x))))


def _axes(node: ir.Node) -> list[int]:
    rank = rank_of(node.inputs[0])
    return list(range(node.attributes.get_int("axis", -1) % rank, rank))


def _mean(w: Rewriter, x: Any, axes: list[int]) -> Any:
    return w.op("ReduceMean", x, w.integers(*axes), keepdims=1)


def layer_norm(node: ir.Node, w: Rewriter) -> None:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from ``axis`` on."""
    if len([value for value in node.outputs if value.uses()]) > 1:
        raise NotImplementedError("its mean and deviation are used")
    x, scale, bias = (*node.inputs, None)[:3]
    kind, axes = _dtype(x), _axes(node)
    centred = w.op("Sub", x, _mean(w, x, axes))
    variance = _mean(w, w.op("Mul", centred, centred), axes)
    safe = w.op("Add", variance, w.constant(node.attributes.get_float("epsilon", 1e-5), kind))
    y = w.op("Mul", w.op("Div", centred, w.op("Sqrt", safe)), scale)
    y = y if bias is None else w.op("Add", y, bias)
    while len(node.outputs) > 1:
        node.resize_outputs(1)
    w.replace(y)


def rms_norm(node: ir.Node, w: Rewriter) -> None:
    """X / sqrt(mean(x * x) + epsilon) * scale over the axes from ``axis`` on."""
    x, scale = node.inputs[:2]
    kind, axes = _dtype(x), _axes(node)
    squares = _mean(w, w.op("Mul", x, x), axes)
    safe = w.op("Add", squares, w.constant(node.attributes.get_float("epsilon", 1e-5), kind))
    w.replace(w.op("Mul", w.op("Div", x, w.op("Sqrt", safe)), scale))


def group_norm(node: ir.Node, w: Rewriter) -> None:
    """Normalise each group of channels (opset 21: scale and bias for each channel), by InstanceNormalization."""
    x, scale, bias = node.inputs[:3]
    kind, groups = _dtype(x), node.attributes.get_int("num_groups")
    rank = rank_of(x)
    channels = sizes_of(x, [1])[0]
    rows = w.op("Reshape", x, w.integers(0, groups, -1))
    ones, zeros = (w.constant(np.full(groups, item), kind) for item in (1.0, 0.0))
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    normal = w.op("InstanceNormalization", rows, ones, zeros, epsilon=epsilon)
    whole = w.op("Reshape", normal, w.op("Shape", x))
    shape = w.integers(1, channels, *[1] * (rank - 2))
    scaled = w.op("Mul", whole, w.op("Reshape", scale, shape))
    w.replace(w.op("Add", scaled, w.op("Reshape", bias, shape)))


def attention(node: ir.Node, w: Rewriter) -> None:
    """softmax(scale * Q K^T + mask) V; https://onnx.ai/onnx/operators/onnx__Attention.html.

    Raises:
        NotImplementedError: With a cache among its inputs or outputs, a cap, or a causal mask over open lengths.
    """
    q, k, v, mask, *cache = (*node.inputs, None, None, None)[:6]
    if any(item is not None for item in cache) or len([o for o in node.outputs if o.uses()]) > 1:
        raise NotImplementedError("attention with a cache, or whose scores are used")
    attributes = node.attributes
    if attributes.get_float("softcap", 0.0):
        raise NotImplementedError("attention with capped scores")
    kind, flat = _dtype(q), rank_of(q) == 3
    if flat:
        heads, shared = attributes.get_int("q_num_heads"), attributes.get_int("kv_num_heads")
        q, k, v = (_split_heads(w, item, count) for item, count in ((q, heads), (k, shared), (v, shared)))
        width = sizes_of(node.inputs[0], [2])[0] // heads
    else:
        heads, shared, width = (sizes_of(item, [axis])[0] for item, axis in ((q, 1), (k, 1), (q, 3)))
    if heads != shared:
        k, v = (_repeat(w, item, heads // shared) for item in (k, v))
    scale = attributes.get_float("scale", 1 / math.sqrt(width))
    scores = w.op("Mul", w.op("MatMul", q, w.op("Transpose", k, perm=[0, 1, 3, 2])), w.constant(scale, kind))
    scores = _masked(w, scores, mask, kind)
    allowed = mask if mask is not None and mask.dtype == ir.DataType.BOOL else None
    if attributes.get_int("is_causal", 0):
        rows, columns = (sizes_of(item, [1 if flat else 2])[0] for item in node.inputs[:2])
        above = np.triu(np.full((rows, columns), _LOWEST[kind.name]), 1)
        scores = w.op("Add", scores, w.constant(above, kind))
    weights = w.op("Softmax", scores, axis=-1)
    if allowed is not None:  # a row with nothing allowed is 0
        weights = w.op("Where", allowed, weights, w.constant(0.0, kind))
    y = w.op("MatMul", weights, v)
    if flat:
        y = w.op("Reshape", w.op("Transpose", y, perm=[0, 2, 1, 3]), w.integers(0, 0, -1))
    while len(node.outputs) > 1:
        node.resize_outputs(1)
    w.replace(y)


def _split_heads(w: Rewriter, value: Any, heads: int) -> Any:
    return w.op("Transpose", w.op("Reshape", value, w.integers(0, 0, heads, -1)), perm=[0, 2, 1, 3])


def _repeat(w: Rewriter, value: Any, times: int) -> Any:
    """Repeat each key head for the query heads that share it."""
    wide = w.op("Unsqueeze", value, w.integers(2))
    repeated = w.op("Concat", *[wide] * times, axis=2)
    # (B, heads, times, S, D) -> (B, heads * times, S, D): the middle two join, the rest keep their sizes.
    last = w.op("Transpose", repeated, perm=[0, 3, 4, 1, 2])
    joined = w.op("Reshape", last, w.integers(0, 0, 0, -1))
    return w.op("Transpose", joined, perm=[0, 3, 1, 2])


def _masked(w: Rewriter, scores: Any, mask: ir.Value | None, kind: ir.DataType) -> Any:
    if mask is None:
        return scores
    if mask.dtype == ir.DataType.BOOL:
        return w.op("Where", mask, scores, w.constant(_LOWEST[kind.name], kind))
    return w.op("Add", scores, mask)
