"""QR: Householder reflections with LAPACK's signs."""

from __future__ import annotations

import onnx_ir as ir

from porters.pytorch.ops import factorizations as fx
from porters.pytorch.ops import matrices as mx
from porters.pytorch.ops.shared import cast
from porters.pytorch.registry import Context, translates


@translates("aten.geqrf")
def geqrf(c: Context, a: ir.Value) -> tuple[ir.Value, ...]:
    """R above the Householder vectors, and their factors."""
    return tuple(c.cast(item, c.dtype) for item in fx.reflectors(c, a))


@translates("aten.linalg_qr")
def qr(c: Context, a: ir.Value, mode: str = "reduced") -> tuple[ir.Value, ...]:
    """Q out of its reflections, and R."""
    batch, rows, columns = mx.shape_of(c, a)
    packed, taus = fx.reflectors(c, a)
    count = rows if mode == "complete" else min(rows, columns)
    upper = mx.triangle(c, mx.part(c, packed, rows=count), upper=True)
    if mode == "r":
        return cast(c, mx.zeros(c, [0]), c.dtype), c.cast(upper, c.dtype)
    factor = fx.reflected(c, packed, taus, mx.identity(c, batch, rows, count))
    return c.cast(factor, c.dtype), c.cast(upper, c.dtype)


@translates("aten.linalg_householder_product", "aten.orgqr")
def householder_product(c: Context, packed: ir.Value, taus: ir.Value) -> ir.Value:
    """The leading columns of the product of the reflections."""
    batch, rows, columns = mx.shape_of(c, packed)
    eye = mx.identity(c, batch, rows, columns)
    return c.cast(fx.reflected(c, mx.wide(c, packed), mx.wide(c, taus), eye), c.dtype)


@translates("aten.ormqr")
def ormqr(
    c: Context, packed: ir.Value, taus: ir.Value, other: ir.Value, left: bool = True, transpose: bool = False
) -> ir.Value:
    """Q times a matrix: from the right it is the transposed Q times the transposed matrix."""
    x = mx.wide(c, other if left else mx.turned(c, other))
    result = fx.reflected(c, mx.wide(c, packed), mx.wide(c, taus), x, transposed=transpose == left)
    return c.cast(result if left else mx.turned(c, result), c.dtype)
