"""Operators that create tensors: constants where the size is known, Expand and Range where it is not."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.ops.shared import number
from porters.pytorch.registry import Context, Dim, Size, translates

# A constant larger than this is expanded in the graph instead of being stored.
STORED_ELEMENTS = 1 << 22


def filled(c: Context, filler: Any) -> Any:
    """Return the result filled with ``filler``: a torch constant (folded on) where the shape is static."""
    import torch

    static = [size for size in c.shape if isinstance(size, int)]
    plain = not isinstance(filler, (ir.Value, Dim))
    if plain and len(static) == len(c.shape) and torch.Size(static).numel() <= STORED_ELEMENTS:
        return torch.full(static, filler, dtype=dtypes.to_torch(c.dtype))
    return c.op("Expand", number(c, filler, c.dtype), c.vector(c.shape))


@translates("aten.zeros", "aten.zeros_like", "aten.new_zeros", "aten.empty", "aten.empty_like", "aten.new_empty",
            "aten.empty_permuted", "aten.zero", "aten.empty_strided", "aten.new_empty_strided")  # fmt: skip
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
    return _range(c, 0, end, 1)


@translates("aten.arange.start", "aten.arange.start_step")
def arange_start(c: Context, start: Size, end: Size, step: Size = 1, **_: Any) -> ir.Value:
    """Range."""
    return _range(c, start, end, step)


def _range(c: Context, start: Any, end: Any, step: Any) -> ir.Value:
    """Emit a Range, in INT64 where the bounds are sizes; of floats as steps from the start, whose errors stay apart."""
    integer = ir.DataType.INT64
    if all(isinstance(bound, (int, Dim)) for bound in (start, end, step)):
        return c.op("Range", *[c.scalar(bound, integer) for bound in (start, end, step)])
    count = c.cast(c.op("Range", *[c.scalar(bound, integer) for bound in (0, c.shape[0], 1)]), c.dtype)
    return c.op("Add", c.op("Mul", count, number(c, step, c.dtype)), number(c, start, c.dtype))


@translates("aten.linspace")
def linspace(c: Context, start: Any, end: Any, steps: Size, **_: Any) -> ir.Value:
    """Start + range * (end - start) / (steps - 1)."""
    return _linspace(c, start, end, steps)


def _linspace(c: Context, start: Any, end: Any, steps: Size) -> ir.Value:
    if c.dtype not in dtypes.FLOATS:
        raise NotImplementedError("linspace of integers")
    integer = ir.DataType.INT64
    count = c.cast(c.op("Range", *[c.scalar(bound, integer) for bound in (0, steps, 1)]), c.dtype)
    if isinstance(steps, Dim):
        last = c.op("Max", c.op("Sub", c.scalar(steps, c.dtype), 1), 1)
    else:
        last = c.scalar(max(steps - 1, 1), c.dtype)
    first = number(c, start, c.dtype)
    return c.op("Add", first, c.op("Mul", count, c.op("Div", c.op("Sub", number(c, end, c.dtype), first), last)))


@translates("aten.logspace")
def logspace(c: Context, start: Any, end: Any, steps: Size, base: float = 10.0, **_: Any) -> ir.Value:
    """Base to the powers of a linspace."""
    return c.op("Pow", c.const(base, c.dtype), _linspace(c, start, end, steps))


@translates("aten.eye")
def eye(c: Context, *_: Any, **__: Any) -> ir.Value:
    """EyeLike on zeros of the result's shape."""
    return c.op("EyeLike", c.op("Expand", c.scalar(0, c.dtype), c.vector(c.shape)))
