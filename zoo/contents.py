"""What small tensors of counts hold, as expressions in the symbolic sizes of the inputs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
import sympy

# Larger tensors are no shapes; of floats, no scales of a Resize.
_ELEMENTS, _FLOATS = 64, 8
Expression = Any  # sympy is untyped: an integer or rational expression, or a truth value
_TRUTHS = (sympy.true, sympy.false)


@dataclass(frozen=True)
class Contents:
    """The elements of a tensor.

    Attributes:
        elements: One expression for each, in an array of objects of the tensor's shape.
        dtype: The element type, which decides how it divides.
    """

    elements: np.ndarray
    dtype: ir.DataType

    @property
    def known(self) -> np.ndarray | None:
        """The tensor itself, where every element is a number."""
        flat = self.elements.reshape(-1).tolist()
        if not all(item in _TRUTHS or getattr(item, "is_number", False) for item in flat):
            return None
        kind = self.dtype.numpy()
        convert = bool if kind == np.bool_ else float if kind.kind == "f" else int
        return np.array([convert(item) for item in flat], kind).reshape(self.elements.shape)

    @property
    def vector(self) -> list[Expression]:
        """The elements in order."""
        found: list[Expression] = self.elements.reshape(-1).tolist()
        return found


def of_list(items: Sequence[Expression], dtype: ir.DataType = ir.DataType.INT64) -> Contents:
    """Return the contents of a vector."""
    array = np.empty(len(items), object)
    array[:] = items
    return Contents(array, dtype)


def of_constant(value: ir.Value) -> Contents | None:
    """Return the contents of a small constant, or None."""
    if value.is_graph_input():
        return None
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None or tensor.size > _ELEMENTS or isinstance(tensor, ir.ExternalTensor):
        return None
    array = tensor.numpy()
    if array.dtype.kind not in "iubf" or (array.dtype.kind == "f" and array.size > _FLOATS):
        return None
    if not np.isfinite(array.astype(np.float64)).all():
        return None
    elements = of_list([_number(item) for item in array.reshape(-1).tolist()]).elements
    return Contents(elements.reshape(array.shape), tensor.dtype)


def of_shape(dims: Sequence[Expression], node: ir.Node) -> Contents | None:
    """Return the contents of ``Shape`` of a value with ``dims``, of which ``None`` is unknown."""
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", len(dims))
    part = list(dims)[start:end]
    return None if any(item is None for item in part) else of_list(part)


def computed(node: ir.Node, operands: Sequence[Contents | None]) -> Contents | None:
    """Return what ``node`` makes of ``operands``, or None where that is not known."""
    rule = _RULES.get(node.op_type)
    if rule is None or not operands or operands[0] is None:
        return None
    try:
        found: Contents | None = rule(node, list(operands))
    except (IndexError, ValueError):  # operands that do not fit together: the runtime will say so
        return None
    return found if found is None or found.elements.size <= _ELEMENTS else None


def _number(item: float) -> Expression:
    if isinstance(item, bool):
        return sympy.true if item else sympy.false
    return sympy.Integer(item) if isinstance(item, int) else sympy.Rational(item)


def _integers(contents: Contents | None) -> np.ndarray | None:
    """Return an operand that says places, axes or sizes, where it is known."""
    return None if contents is None else contents.known


def _gather(node: ir.Node, operands: list[Any]) -> Contents | None:
    places = _integers(operands[1])
    if places is None:
        return None
    taken = np.asarray(np.take(operands[0].elements, places, axis=node.attributes.get_int("axis", 0)), object)
    return Contents(taken, operands[0].dtype)


def _slice(node: ir.Node, operands: list[Any]) -> Contents | None:
    data = operands[0]
    rest = [_integers(item) for item in operands[1:]]
    if len(rest) < 2 or any(item is None for item in rest):
        return None
    first, last = (np.asarray(item).tolist() for item in rest[:2])
    axes = np.asarray(rest[2]).tolist() if len(rest) > 2 else list(range(len(first)))
    steps = np.asarray(rest[3]).tolist() if len(rest) > 3 else [1] * len(first)
    cut = [slice(None)] * data.elements.ndim
    for axis, begin, end, step in zip(axes, first, last, steps, strict=True):
        size = data.elements.shape[axis]
        # Behind the beginning of an axis lies nothing: NumPy would take a negative end for a place from behind.
        cut[axis] = slice(begin, None if step < 0 and end < -size else end, step)
    return Contents(data.elements[tuple(cut)], data.dtype)


def _concat(node: ir.Node, operands: list[Any]) -> Contents | None:
    if any(item is None for item in operands):
        return None
    axis = node.attributes.get_int("axis", 0)
    return Contents(np.concatenate([item.elements for item in operands], axis), operands[0].dtype)


def _unsqueeze(node: ir.Node, operands: list[Any]) -> Contents | None:
    axes = _integers(operands[1])
    if axes is None:
        return None
    return Contents(np.expand_dims(operands[0].elements, tuple(axes.reshape(-1).tolist())), operands[0].dtype)


def _squeeze(node: ir.Node, operands: list[Any]) -> Contents | None:
    axes = _integers(operands[1]) if len(operands) > 1 else None
    if len(operands) > 1 and axes is None:
        return None
    chosen = None if axes is None else tuple(axes.reshape(-1).tolist())
    return Contents(np.squeeze(operands[0].elements, chosen), operands[0].dtype)


def _reshape(node: ir.Node, operands: list[Any]) -> Contents | None:
    target, data = _integers(operands[1]), operands[0]
    if target is None or (target == 0).any():
        return None
    return Contents(data.elements.reshape(target.tolist()), data.dtype)


def _transpose(node: ir.Node, operands: list[Any]) -> Contents | None:
    order = node.attributes.get_ints("perm", list(range(operands[0].elements.ndim))[::-1])
    return Contents(operands[0].elements.transpose(order), operands[0].dtype)


def _cast(node: ir.Node, operands: list[Any]) -> Contents | None:
    to, data = ir.DataType(node.attributes.get_int("to", 0)), operands[0]
    if to.numpy().kind not in "iuf" or data.dtype == ir.DataType.BOOL:
        return None
    if to.numpy().kind in "iu" and data.dtype.numpy().kind == "f":
        whole = [sympy.floor(item) for item in data.vector]  # towards zero, where nothing is below it
        if not all(item.is_nonnegative for item in whole):
            return None
        return Contents(of_list(whole).elements.reshape(data.elements.shape), to)
    return Contents(data.elements, to)


def _constant_of_shape(node: ir.Node, operands: list[Any]) -> Contents | None:
    sizes = _integers(operands[0])
    if sizes is None or np.prod(sizes) > _ELEMENTS:
        return None
    tensor = node.attributes.get_tensor("value", None)
    value = 0.0 if tensor is None else tensor.numpy().reshape(-1).tolist()[0]
    dtype = ir.DataType.FLOAT if tensor is None else tensor.dtype
    return Contents(np.full(sizes.tolist(), _number(value), object), dtype)


def _product(node: ir.Node, operands: list[Any]) -> Contents | None:
    if operands[0].elements.ndim != 1:
        return None
    product = np.array([sympy.prod(operands[0].vector)], object)
    return Contents(product if node.attributes.get_int("keepdims", 1) else product.reshape(()), operands[0].dtype)


def _elementwise(formula: Callable[..., Expression | None], dtype: ir.DataType | None = None) -> Callable[..., Any]:
    """Return a rule that applies ``formula`` element by element; it gets the operands' dtype last."""

    def rule(node: ir.Node, operands: list[Any]) -> Contents | None:
        if any(item is None for item in operands):
            return None
        arrays = np.broadcast_arrays(*(item.elements for item in operands))
        last: ir.DataType = operands[-1].dtype
        rows = zip(*(array.reshape(-1).tolist() for array in arrays), strict=True)
        elements = [formula(*row, last) for row in rows]
        if any(item is None for item in elements):
            return None
        return Contents(of_list(elements).elements.reshape(arrays[0].shape), dtype or last)

    return rule


def _divided(left: Expression, right: Expression, dtype: ir.DataType) -> Expression | None:
    if not right.is_positive:
        return None
    if dtype.numpy().kind == "f":
        return left / right
    return sympy.floor(left / right) if left.is_nonnegative else None  # integers divide towards zero


def _remainder(left: Expression, right: Expression, dtype: ir.DataType) -> Expression | None:
    return sympy.Mod(left, right) if right.is_positive and dtype.numpy().kind in "iu" else None


def _compared(relation: Callable[[Any, Any], Any]) -> Callable[..., Expression | None]:
    """Return a comparison that answers where it always comes out the same."""

    def compare(left: Expression, right: Expression, dtype: ir.DataType) -> Expression | None:
        if left in _TRUTHS or right in _TRUTHS:
            return None
        answer = relation(left - right, 0)
        return answer if answer in _TRUTHS else None

    return compare


def _where(condition: Expression, yes: Expression, no: Expression, dtype: ir.DataType) -> Expression | None:
    return (yes if condition == sympy.true else no) if condition in _TRUTHS else None


def _arithmetic(apply: Callable[[Any, Any], Any]) -> Callable[..., Expression]:
    return lambda left, right, dtype: apply(left, right)


_BOOL = ir.DataType.BOOL
_RULES: Mapping[str, Callable[..., Contents | None]] = {
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Cast": _cast,
    "ConstantOfShape": _constant_of_shape,
    "ReduceProd": _product,
    "Identity": lambda node, operands: operands[0],
    "Add": _elementwise(_arithmetic(operator.add)),
    "Sub": _elementwise(_arithmetic(operator.sub)),
    "Mul": _elementwise(_arithmetic(operator.mul)),
    "Div": _elementwise(_divided),
    "Mod": _elementwise(_remainder),
    "Floor": _elementwise(lambda item, dtype: sympy.floor(item)),
    "Ceil": _elementwise(lambda item, dtype: sympy.ceiling(item)),
    "Min": _elementwise(lambda *items: sympy.Min(*items[:-1])),
    "Max": _elementwise(lambda *items: sympy.Max(*items[:-1])),
    "Equal": _elementwise(_compared(sympy.Eq), _BOOL),
    "Less": _elementwise(_compared(sympy.Lt), _BOOL),
    "LessOrEqual": _elementwise(_compared(sympy.Le), _BOOL),
    "Greater": _elementwise(_compared(sympy.Gt), _BOOL),
    "GreaterOrEqual": _elementwise(_compared(sympy.Ge), _BOOL),
    "Where": _elementwise(_where),
}
