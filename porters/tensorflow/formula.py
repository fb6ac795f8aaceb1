"""Formulas over values of the graph: Python's operators for ONNX's, so that a formula reads as in its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape, onnx_shape
from porters.tensorflow.tensor import Order, Tensor, logical, permuted


class Formula:
    """A value of the graph in an expression; numbers beside it take its dtype.

    Attributes:
        ctx: Emits the nodes.
        value: The value.
    """

    def __init__(self, ctx: Context, value: ir.Value) -> None:
        self.ctx = ctx
        self.value = value

    @property
    def dtype(self) -> ir.DataType:
        """The element type."""
        assert self.value.dtype is not None
        return self.value.dtype

    def of(self, op_type: str, *operands: Any, dtype: ir.DataType | None = None, **attributes: Any) -> Formula:
        """Apply an ONNX operator to this value and others."""
        values = [item.value if isinstance(item, Formula) else item for item in operands]
        return Formula(self.ctx, self.ctx.step(op_type, self.value, *values, dtype=dtype, **attributes))

    def _number(self, item: Any) -> Formula:
        return item if isinstance(item, Formula) else Formula(self.ctx, self.ctx.builder.const(item, self.dtype))

    def __add__(self, other: Any) -> Formula:
        return self.of("Add", other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Formula:
        return self.of("Sub", other)

    def __rsub__(self, other: Any) -> Formula:
        return self._number(other).of("Sub", self)

    def __mul__(self, other: Any) -> Formula:
        return self.of("Mul", other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Formula:
        return self.of("Div", other)

    def __rtruediv__(self, other: Any) -> Formula:
        return self._number(other).of("Div", self)

    def __neg__(self) -> Formula:
        return self.of("Neg")

    def __pow__(self, other: Any) -> Formula:
        return self.of("Pow", other)

    def __lt__(self, other: Any) -> Formula:
        return self.of("Less", other)

    def __le__(self, other: Any) -> Formula:
        return self.of("LessOrEqual", other)

    def __gt__(self, other: Any) -> Formula:
        return self.of("Greater", other)

    def __ge__(self, other: Any) -> Formula:
        return self.of("GreaterOrEqual", other)

    def __and__(self, other: Formula) -> Formula:
        return self.of("And", other)

    def __or__(self, other: Formula) -> Formula:
        return self.of("Or", other)

    def __invert__(self) -> Formula:
        return self.of("Not")

    def equals(self, other: Any) -> Formula:
        """Compare."""
        return self.of("Equal", other)

    def fn(self, op_type: str, **attributes: Any) -> Formula:
        """Apply an ONNX operator of one operand."""
        return self.of(op_type, **attributes)

    def maximum(self, other: Any) -> Formula:
        """The larger one."""
        return self.of("Max", other)

    def minimum(self, other: Any) -> Formula:
        """The smaller one."""
        return self.of("Min", other)

    def where(self, yes: Any, no: Any) -> Formula:
        """Choose by this condition; one of the two is a value."""
        leader = yes if isinstance(yes, Formula) else no
        return self.of("Where", leader._number(yes), leader._number(no), dtype=leader.dtype)

    def cast(self, dtype: ir.DataType) -> Formula:
        """Return it in another dtype."""
        return self if self.dtype == dtype else self.of("Cast", to=dtype.value, dtype=dtype)

    def reduce(self, op_type: str, axes: Sequence[int], keep: bool = False) -> Formula:
        """Reduce along axes."""
        if op_type in ("ArgMax", "ArgMin"):
            return self.of(op_type, axis=axes[0], keepdims=int(keep), dtype=ir.DataType.INT64)
        return self.of(op_type, list(axes), keepdims=int(keep))

    def unsqueeze(self, *axes: int) -> Formula:
        """Return it with axes of size one put in."""
        return self.of("Unsqueeze", list(axes))

    def squeeze(self, *axes: int) -> Formula:
        """Return it without axes of size one."""
        return self.of("Squeeze", list(axes))

    def reshape(self, sizes: Sequence[int] | Formula) -> Formula:
        """Return it in another shape."""
        return self.of("Reshape", sizes if isinstance(sizes, Formula) else list(sizes))

    def transpose(self, *perm: int) -> Formula:
        """Return it with its axes permuted."""
        return self.of("Transpose", perm=list(perm))

    def take(self, indices: Any, axis: int) -> Formula:
        """Return entries along an axis; a single index drops the axis."""
        return self.of(
            "Gather", np.asarray(indices, np.int64) if not isinstance(indices, Formula) else indices, axis=axis
        )

    def slice(self, start: int, end: int, axis: int) -> Formula:
        """Return a part along an axis."""
        return self.of("Slice", [start], [end], [axis])

    def polynomial(self, coefficients: Sequence[float]) -> Formula:
        """Horner's rule, the highest coefficient first."""
        result = self * coefficients[0] + coefficients[1]
        for coefficient in coefficients[2:]:
            result = result * self + coefficient
        return result

    def held(self, shape: Shape, order: Order | None = None) -> Tensor:
        """Return it as the tensor of logical ``shape`` that it is, its axes in ``order``."""
        self.value.shape = ir.Shape(onnx_shape(permuted(shape, logical(len(shape)) if order is None else order)))
        return self.ctx.held(self.value, shape, order)


def formula(ctx: Context, tensor: Tensor, order: Order | None = None, dtype: ir.DataType | None = None) -> Formula:
    """Return a tensor as a formula's operand, in ``order`` and ``dtype`` where they are given."""
    found = Formula(ctx, ctx.value(tensor, order))
    return found if dtype is None else found.cast(dtype)


def number(ctx: Context, array: Any, dtype: ir.DataType | None = None) -> Formula:
    """Return numbers known now as a formula's operand."""
    return Formula(ctx, ctx.builder.const(np.asarray(array), dtype))


def sizes(ctx: Context, dims: Shape | Sequence[Any]) -> Formula:
    """Return sizes, some of them symbolic perhaps, as an INT64 vector."""
    return Formula(ctx, ctx.sizes(list(dims)))


def elementwise(ctx: Context, *tensors: Tensor, dtype: ir.DataType | None = None) -> tuple[Shape, Order, list[Formula]]:
    """Return what an elementwise formula needs: the result's shape, its order, and its operands."""
    shape, order, values = ctx.operands(*tensors)
    found = [Formula(ctx, value) for value in values]
    return shape, order, [item.cast(dtype) for item in found] if dtype is not None else found
