"""Operators that change memory, device or dtype only: casts, copies, fills, numbers out of tensors."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.ops.shared import number
from porters.pytorch.registry import Context, Dim, translates


@translates("aten._to_copy", "aten.to", "aten.type_as", "aten.contiguous", "aten.clone", "aten.detach", "aten.alias",
            "aten.lift_fresh_copy", "aten.lift", "aten.positive", "aten.detach_copy", "aten.lift_fresh",
            "aten.resolve_conj", "aten.resolve_neg", "aten.pin_memory", "aten.cpu", "aten.alias_copy",
            "aten.conj", "aten.conj_physical", "aten._conj", "aten.real", "aten.requires_grad",
            "prims.convert_element_type", "prims.device_put")  # fmt: skip
def identity(c: Context, x: ir.Value, *_: Any, **__: Any) -> ir.Value:
    """A Cast, or nothing."""
    return c.cast(x, c.dtype)


@translates("aten.dropout", "aten.alpha_dropout", "aten.feature_dropout", "aten.feature_alpha_dropout")
def dropout(c: Context, x: ir.Value, probability: float = 0.5, train: Any = False) -> ir.Value:
    """Nothing in inference; random in training, which no static graph is."""
    if train and probability > 0:
        raise NotImplementedError("dropout in training mode: call .eval() on the model, or pass training=False")
    return x


@translates("aten.native_dropout")
def native_dropout(c: Context, x: ir.Value, probability: float, train: Any) -> tuple[ir.Value]:
    """Nothing in inference; the mask is not translated."""
    return (dropout(c, x, probability, train),)


@translates("aten.copy", "aten.copy_")
def copy(c: Context, x: ir.Value, source: ir.Value, *_: Any) -> ir.Value:
    """The source, broadcast to the shape of ``x``."""
    value = c.cast(source, c.dtype)
    if c.sizes_of(source) == c.shape:
        return value
    return c.op("Expand", value, c.vector(c.shape))


@translates("aten.fill", "aten.fill_")
def fill(c: Context, x: ir.Value, value: Any) -> ir.Value:
    """A constant of the shape of ``x``."""
    return c.op("Expand", number(c, value, c.dtype), c.vector(c.shape))


@translates("aten.item", "aten._local_scalar_dense")
def item(c: Context, x: ir.Value) -> ir.Value:
    """The one element as a scalar; integers as INT64, as sizes are."""
    scalar = c.op("Reshape", x, c.const([], ir.DataType.INT64), shape=[])
    return scalar if x.dtype in dtypes.FLOATS else c.cast(scalar, ir.DataType.INT64)


@translates("aten.scalar_tensor")
def scalar_tensor(c: Context, number: Any, **_: Any) -> ir.Value:
    """A number or size as a tensor."""
    if isinstance(number, ir.Value):
        return c.cast(number, c.dtype)
    return c.scalar(number, c.dtype) if not isinstance(number, Dim) else c.cast(number.value, c.dtype)
