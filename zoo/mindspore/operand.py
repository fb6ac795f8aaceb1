"""A node's operand as the translators see it: a variable, an expression, a constant, a weight or a size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from zoo.graph import is_parameter
from zoo.mindspore.code import Code, expression, literal
from zoo.mindspore.prepare import is_constant
from zoo.mindspore.registry import dtype_name
from zoo.store import read_tensor

if TYPE_CHECKING:
    from zoo.mindspore.builder import BodyBuilder

# Constants of up to this many elements are written out.
_WRITTEN_OUT = 16


class Argument:
    """See ``zoo.mindspore.registry.Operand``."""

    def __init__(self, builder: BodyBuilder, node: ir.Node, value: ir.Value) -> None:
        self.builder, self.node, self.value = builder, node, value
        # How often the text was taken: an expression that is taken twice needs a variable.
        self.taken = 0

    def __str__(self) -> str:
        return str(self.tensor)

    @property
    def dtype(self) -> ir.DataType:
        """The element type."""
        if self.value.dtype is None:
            raise NotImplementedError("the dtype of an operand is not known")
        return self.value.dtype

    @property
    def shape(self) -> list[int | None]:
        """The sizes; those that are not fixed are None."""
        return self.builder.shape(self.value)

    @property
    def is_weight(self) -> bool:
        """Whether it can become a parameter of a Cell."""
        return is_constant(self.value)

    @property
    def constant(self) -> np.ndarray | None:
        """The elements, where they are known."""
        if is_constant(self.value):
            assert self.value.const_value is not None
            return read_tensor(self.value.const_value)
        contents = self.builder.sizes.contents(self.value)
        return None if contents is None else contents.known

    def size(self, axis: int) -> Code:
        """The size of an axis."""
        return self.builder.size(self.value, axis)

    def elements(self) -> list[Code]:
        """The elements of a constant or of sizes."""
        if self.is_weight:
            array = self.constant
            assert array is not None
            return [Code(literal(item)) for item in array.reshape(-1).tolist()]
        contents = self.builder.sizes.contents(self.value)
        if contents is None:
            raise NotImplementedError(f"{self.value.name} is computed from data")
        return [expression(item, self.builder.symbol) for item in contents.vector]

    @property
    def code(self) -> Code:
        """The expression; a number where it has one element and brings no axis."""
        if not self._is_number():
            return self.tensor
        if self.is_weight:
            array = self.constant
            assert array is not None
            return self.builder.number(array.reshape(-1)[0], "value")
        return self.elements()[0]

    def _is_number(self) -> bool:
        if self.builder.is_bound(self.value) or is_parameter(self.value):
            return False
        shape = self.shape
        others = [len(self.builder.shape(v)) for v in self.node.inputs if v is not None and v is not self.value]
        return all(size == 1 for size in shape) and len(shape) <= max(others, default=0)

    @property
    def tensor(self) -> Code:
        """The expression as a tensor."""
        if self.builder.is_bound(self.value):
            self.taken += 1
            return self.builder.bound(self.value)
        if is_constant(self.value):
            return self._constant_tensor()
        elements = self.elements()
        dtype = dtype_name(self.dtype)
        rank = len(self.shape)
        if rank == 0:
            return Code(f"Tensor({elements[0]}, {dtype})")
        if rank > 1:
            raise NotImplementedError("a table of sizes as a tensor")
        return Code(f"Tensor([{', '.join(map(str, elements))}], {dtype})")

    def _constant_tensor(self) -> Code:
        if is_parameter(self.value):
            return self.builder.parameter(self.value)
        array, dtype = self.constant, dtype_name(self.dtype)
        assert array is not None
        if array.size == 0:
            raise NotImplementedError("a constant without elements")
        flat = array.reshape(-1)
        if array.size > 1 and np.array_equal(flat, np.arange(array.size)) and array.dtype.kind == "i":
            shaped = "" if array.ndim == 1 else f".reshape({', '.join(map(str, array.shape))})"
            return Code(f"ops.arange({array.size}, dtype={dtype}){shaped}")
        if array.size > 1 and (flat == flat[0]).all() and array.dtype.kind in "fiub":
            return Code(f"ops.full({literal(array.shape)}, {literal(_plain(flat[0]))}, dtype={dtype})")
        if array.size <= _WRITTEN_OUT and self.dtype != ir.DataType.BFLOAT16:
            items = _nested(array)
            return Code(f"Tensor({items}, {dtype})")
        return self.builder.parameter(self.value)


def _plain(item: np.generic) -> object:
    return item if item.dtype.kind == "f" else item.item()


def _nested(array: np.ndarray) -> str:
    if array.ndim == 0:
        return literal(_plain(array.reshape(-1)[0]))
    return f"[{', '.join(_nested(part) for part in array)}]"
