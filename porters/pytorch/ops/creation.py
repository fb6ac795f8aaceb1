"""Operators that create tensors: constants where the size is known, Expand and Range where it is not."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.registry import Context, Dim, Size, translates

# A constant larger than this is expanded in the graph instead of being stored.
STORED_ELEMENTS = 1 << 22


def filled(c: Context, number: Any) -> Any:
    """Return the result filled with ``number``: a torch constant (folded on) where the shape is static."""
    import torch

    if isinstance(number, ir.Value):
        return c.op("Expand", c.cast(number, c.dtype), c.vector(c.shape))
    static = [size for size in c.shape if isinstance(size, int)]
    if len(static) == len(c.shape) and torch.Size(static).numel() <= STORED_ELEMENTS and not isinstance(number, Dim):
        return torch.full(static, number, dtype=dtypes.to_torch(c.dtype))
    return c.op("Expand", c.scalar(number, c.dtype), c.vector(c.shape))


@translates("aten.zeros", "aten.zeros_like", "aten.new_zeros", "aten.empty", "aten.empty_like", "aten.new_empty",
            "aten.empty_permuted", "aten.zero", "aten.empty_strided")  # fmt: skip
def zeros(c: Context, *_: Any, **__: Any) -> Any:
    """Zeros; uninitialised memory is zeros too."""
    return filled(c, 0)


@translates("aten.ones", "aten.ones_like", "aten.new_ones")
def ones(c: Context, *_: Any, **__: Any) -> Any:
    """Ones."""
    return filled(c, 1)


@translates("aten.full", "aten.full_like", "aten.new_full")
def full(c: Context, _: Any, *rest: Any, **__: Any) -> Any:
    """A constant; the size is taken from the result."""
    return filled(c, rest[-1])


@translates("aten.arange.default")
def arange(c: Context, end: Size, **_: Any) -> ir.Value:
    """Range from zero."""
    return arange_start(c, 0, end)


@translates("aten.arange.start", "aten.arange.start_step")
def arange_start(c: Context, start: Size, end: Size, step: Size = 1, **_: Any) -> ir.Value:
    """Range; computed in INT64 where the bounds are sizes."""
    whole = all(isinstance(bound, (int, Dim)) for bound in (start, end, step))
    dtype = ir.DataType.INT64 if whole else c.dtype
    return c.op("Range", *[c.scalar(bound, dtype) for bound in (start, end, step)])


@translates("aten.linspace")
def linspace(c: Context, start: Any, end: Any, steps: Size, **_: Any) -> ir.Value:
    """Start + range * (end - start) / (steps - 1)."""
    integer = ir.DataType.INT64
    count = c.cast(c.op("Range", *[c.scalar(bound, integer) for bound in (0, steps, 1)]), c.dtype)
    if isinstance(steps, Dim):
        last = c.op("Max", c.op("Sub", c.scalar(steps, c.dtype), 1), 1)
    else:
        last = c.scalar(max(steps - 1, 1), c.dtype)
    first = c.scalar(start, c.dtype)
    return c.op("Add", first, c.op("Mul", count, c.op("Div", c.op("Sub", c.scalar(end, c.dtype), first), last)))


@translates("aten.eye")
def eye(c: Context, *_: Any, **__: Any) -> ir.Value:
    """EyeLike on zeros of the result's shape."""
    return c.op("EyeLike", c.op("Expand", c.scalar(0, c.dtype), c.vector(c.shape)))
