"""What translators share: values with known sizes, numbers as values, and dtypes that runtimes do not compute in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.registry import Context, Size

# ONNX's spelling of "to the end".
END = (1 << 63) - 1
# Integers that runtimes store but hardly compute in. INT32 gives the same bits after the cast back: both wrap around.
SMALL_INTEGERS = frozenset({ir.DataType.INT8, ir.DataType.INT16, ir.DataType.UINT8})


def known(c: Context, value: ir.Value, sizes: Sequence[Size]) -> ir.Value:
    """Return ``value`` with its sizes remembered; intermediate values have none otherwise."""
    if not c.g.is_parameter(value):
        c.symbols.remember(value, sizes)
    return value


def alike(c: Context, op_type: str, x: ir.Value, *operands: Any, **attributes: Any) -> ir.Value:
    """Emit an operator whose result has the shape of ``x``, its first operand."""
    return known(c, c.op(op_type, x, *operands, **attributes), c.sizes_of(x))


def cast(c: Context, x: ir.Value, dtype: ir.DataType) -> ir.Value:
    """Cast, keeping what is known of the shape."""
    if x.dtype == dtype:
        return x
    result = c.cast(x, dtype)
    return result if x.shape is None else known(c, result, c.sizes_of(x))


def number(c: Context, item: Any, dtype: ir.DataType) -> ir.Value:
    """Return a value, size or number as a value of ``dtype``."""
    return cast(c, item, dtype) if isinstance(item, ir.Value) else c.scalar(item, dtype)


def operands(c: Context, *items: Any) -> tuple[ir.Value, ...]:
    """Return all operands in the dtype of the result, which torch has worked out."""
    return tuple(number(c, item, c.dtype) for item in items)


def is_number(item: Any, wanted: float) -> bool:
    """Say whether ``item`` is a plain number equal to ``wanted``."""
    return isinstance(item, (int, float)) and not isinstance(item, bool) and item == wanted


def is_float(x: ir.Value) -> bool:
    """Say whether ``x`` holds floating-point numbers."""
    return x.dtype in dtypes.FLOATS


def computable(c: Context, x: ir.Value, *also: ir.DataType) -> ir.Value:
    """Return ``x`` as INT32 where its dtype is one that runtimes do not compute in (``also``: more such dtypes)."""
    return cast(c, x, ir.DataType.INT32) if x.dtype in SMALL_INTEGERS or x.dtype in also else x


def chosen(c: Context, condition: ir.Value, yes: ir.Value, no: ir.Value) -> ir.Value:
    """Return Where, in a dtype that runtimes have it for."""
    if c.dtype == ir.DataType.BOOL:
        return c.op("Or", c.op("And", condition, yes), c.op("And", c.op("Not", condition), no))
    if c.dtype in (ir.DataType.INT8, ir.DataType.INT16):
        return c.cast(c.op("Where", condition, computable(c, yes), computable(c, no)), c.dtype)
    return c.op("Where", condition, yes, no)


def require_float(x: ir.Value, what: str) -> None:
    """Refuse numbers that ONNX's operator is not defined for.

    Raises:
        NotImplementedError: Naming ``what`` would need it.
    """
    if not is_float(x):
        raise NotImplementedError(f"{what} of integers")


def at_least_vector(c: Context, x: ir.Value) -> ir.Value:
    """Return a scalar as a vector of one element, anything else as it is."""
    return x if c.rank(x) else known(c, c.op("Reshape", x, [1]), [1])


def flat(c: Context, x: ir.Value) -> ir.Value:
    """Return ``x`` as a vector."""
    if c.rank(x) == 1:
        return x
    sizes = c.sizes_of(x)
    length: Any = 1
    for size in sizes:
        length = length * (size if isinstance(size, int) else size.expression)
    return known(c, c.op("Reshape", x, [-1]), [length if isinstance(length, int) else c.symbols.size(length)])


def permuted(c: Context, x: ir.Value, order: Sequence[int]) -> ir.Value:
    """Transpose, where ``order`` changes anything."""
    if list(order) == list(range(len(order))):
        return x
    return known(c, c.op("Transpose", x, perm=list(order)), [c.sizes_of(x)[axis] for axis in order])


def static(size: Size, what: str) -> int:
    """Return a size that must be known.

    Raises:
        NotImplementedError: Naming ``what`` would need it.
    """
    if not isinstance(size, int):
        raise NotImplementedError(f"{what} of a symbolic extent")
    return size


def static_sizes(sizes: Sequence[Size], what: str) -> list[int]:
    """Return sizes that must all be known; see :func:`static`."""
    return [static(size, what) for size in sizes]
