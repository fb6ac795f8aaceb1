"""Gives every value its shape in the sizes of the inputs, and writes down what shape arithmetic comes to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import sympy

from zoo.contents import Contents, Expression, computed, of_constant, of_list, of_shape
from zoo.graph import OPSET

Dims = list[Expression]  # None is an unknown size


def settle_sizes(model: ir.Model) -> Sizes:
    """Infer the shapes of ``model`` node by node and replace computed sizes by constants, in place.

    A target of Reshape or Expand becomes a constant where at most one of its sizes is not that of the operand. What
    computed it is then without use. Sizes are positive in this reasoning: an empty tensor is no input of a model.

    Returns:
        What is known of every value.
    """
    sizes = Sizes(model.graph)
    sizes.settle()
    return sizes


def infer_node(node: ir.Node, opset: int, known: Mapping[ir.Value, np.ndarray] | None = None) -> None:
    """Give the results of a standard node the types and shapes that follow from its operands.

    Args:
        node: A node of the standard's domain; where the standard infers nothing its results stay as they are.
        opset: The version of the standard that it is of.
        known: What operands hold, where that is known.
    """
    if node.domain or any(value is not None and value.dtype is None for value in node.inputs):
        return
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, "")
        types = {str(v.name): _type_proto(v) for v in node.inputs if v is not None}
        data = {str(value.name): onnx.numpy_helper.from_array(array) for value, array in (known or {}).items()}
        proto = ir.to_proto(node)
        assert isinstance(proto, onnx.NodeProto)
        opsets = [onnx.helper.make_opsetid("", opset)]
        found = onnx.shape_inference.infer_node_outputs(schema, proto, types, data, opset_imports=opsets)
    except Exception:  # a node that the standard cannot infer keeps what the file says of it
        return
    for value in node.outputs:
        if value.name in found:
            _take(value, found[value.name])


def _take(value: ir.Value, found: onnx.TypeProto) -> None:
    if not found.HasField("tensor_type"):
        return
    tensor = found.tensor_type
    if tensor.elem_type:
        value.type = ir.TensorType(ir.DataType(tensor.elem_type))
    if tensor.HasField("shape"):
        sizes = [d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in tensor.shape.dim]
        if value.shape is not None and len(value.shape) == len(sizes):  # what the file says, where nothing follows
            sizes = [said if size is None else size for size, said in zip(sizes, value.shape, strict=True)]
        value.shape = ir.Shape(sizes)


class Sizes:
    """What is known of the sizes and contents of a graph's values."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._dims: dict[ir.Value, Dims] = {}
        self._contents: dict[ir.Value, Contents] = {}
        self._named: dict[str, Expression] = {}

    def dims(self, value: ir.Value) -> Dims | None:
        """Return the sizes of a value, None where its rank is not known."""
        if value not in self._dims:
            self._know_shape(value)
        return self._dims.get(value)

    def contents(self, value: ir.Value) -> Contents | None:
        """Return what a value holds, None where it is no small tensor of sizes or constants."""
        return self._content(value)

    def settle(self) -> None:
        """Go through the graph once, and change it as :func:`settle_sizes` says."""
        for value in (*self._graph.inputs, *self._graph.initializers.values()):
            if value.const_value is not None:
                value.type, value.shape = ir.TensorType(value.const_value.dtype), _static(value.const_value)
            self._know_shape(value)
        for node in list(self._graph):
            self._node(node)

    # -- one node ------------------------------------------------------------------------------------------------

    def _node(self, node: ir.Node) -> None:
        operands = [None if value is None else self._content(value) for value in node.inputs]
        result = self._result(node, operands)
        if result is not None:
            self._contents[node.outputs[0]] = result
            if (array := result.known) is not None:
                self._replace(node.outputs[0], array)
        self._infer(node, operands)
        rules = {"Reshape": self._reshape, "Expand": self._expand, "Slice": self._slice, "Range": self._range}
        rules |= {"ConstantOfShape": self._filled}
        if node.op_type in rules and not node.domain:
            rules[node.op_type](node, operands)
        for value in node.outputs:
            self._know_shape(value)

    def _content(self, value: ir.Value) -> Contents | None:
        if value not in self._contents and (constant := of_constant(value)) is not None:
            self._contents[value] = constant
        return self._contents.get(value)

    def _result(self, node: ir.Node, operands: Sequence[Contents | None]) -> Contents | None:
        if node.domain or len(node.outputs) != 1:
            return None
        if node.op_type in ("Shape", "Size"):
            dims = self._dims.get(node.inputs[0]) if node.inputs[0] is not None else None
            if dims is None:
                return None
            if node.op_type == "Shape":
                return of_shape(dims, node)
            if None in dims:
                return None
            count = of_list([sympy.prod(dims)])
            return Contents(count.elements.reshape(()), count.dtype)
        return computed(node, operands)

    def _replace(self, value: ir.Value, array: np.ndarray) -> None:
        """Let a constant stand for ``value``; floats are left to their operator's own rounding."""
        if value.is_graph_output() or array.dtype.kind == "f":
            return
        constant = self._constant(f"{value.name}.value", array)
        ir.convenience.replace_all_uses_with(value, constant)

    def _constant(self, name: str, array: np.ndarray) -> ir.Value:
        value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(ir.tensor(array).dtype))
        value.const_value = ir.tensor(array, name=name)
        self._graph.register_initializer(value)
        self._know_shape(value)
        return value

    # -- shapes --------------------------------------------------------------------------------------------------

    def _know_shape(self, value: ir.Value) -> None:
        if value.shape is None:
            return
        self._dims[value] = [self._expression(dim) for dim in value.shape]

    def _expression(self, dim: int | ir.SymbolicDim) -> Expression:
        if isinstance(dim, int):
            return sympy.Integer(dim)
        if dim.value is None:
            return None
        if dim.value not in self._named:
            self._named[dim.value] = sympy.Symbol(dim.value, integer=True, positive=True)
        return self._named[dim.value]

    def _dim(self, item: Expression) -> int | str | None:
        """Return a size for a shape; a name stands for the expression wherever it comes again."""
        if item is None or item.is_Integer:
            return None if item is None else int(item)
        name = re.sub(r"\s+", "", str(item))
        self._named.setdefault(name, item)
        return name

    def _infer(self, node: ir.Node, operands: Sequence[Contents | None]) -> None:
        """Let the standard infer the shapes of a node's results, with what is known of its operands' contents."""
        known = {
            value: content.known
            for value, content in zip(node.inputs, operands, strict=True)
            if value is not None and content is not None and content.known is not None
        }
        infer_node(node, OPSET, known)

    # -- targets -------------------------------------------------------------------------------------------------

    def _reshape(self, node: ir.Node, operands: Sequence[Contents | None]) -> None:
        target = operands[1]
        source = self._dims.get(node.inputs[0]) if node.inputs[0] is not None else None
        if target is None or source is None or node.attributes.get_int("allowzero", False):
            return
        dims: Dims = [source[at] if item == 0 and at < len(source) else item for at, item in enumerate(target.vector)]
        if None in dims:
            return
        if -1 in dims:
            if None in source:
                return
            others = sympy.prod([item for item in dims if item != -1])
            dims[dims.index(-1)] = sympy.simplify(sympy.prod(source) / others)
        self._set(node.outputs[0], dims)
        constant = _target(dims, source)
        if constant is not None and target.known is None:
            node.replace_input_with(1, self._constant(f"{node.outputs[0].name}.target", np.array(constant, np.int64)))

    def _expand(self, node: ir.Node, operands: Sequence[Contents | None]) -> None:
        target = operands[1]
        source = self._dims.get(node.inputs[0]) if node.inputs[0] is not None else None
        if target is None or source is None or None in source:
            return
        wanted: Dims = target.vector
        rank = max(len(wanted), len(source))
        wanted = [sympy.Integer(1)] * (rank - len(wanted)) + wanted
        padded = [sympy.Integer(1)] * (rank - len(source)) + source
        dims: Dims = [
            have if want == 1 or want == have else want if have == 1 else None
            for have, want in zip(padded, wanted, strict=True)
        ]
        if None in dims:
            return
        self._set(node.outputs[0], dims)
        asked = [sympy.Integer(1) if have == dim else dim for have, dim in zip(padded, dims, strict=True)]
        if target.known is None and all(item.is_Integer for item in asked):
            sizes = np.array([int(item) for item in asked], np.int64)
            node.replace_input_with(1, self._constant(f"{node.outputs[0].name}.target", sizes))

    def _slice(self, node: ir.Node, operands: Sequence[Contents | None]) -> None:
        """Give a slice from the beginning up to a symbolic size its shape.

        Of a constant it is as long as it is asked to be: a table of positions too short for the input is no use.
        """
        value = node.inputs[0]
        source = self._dims.get(value) if value is not None else None
        if value is None or source is None or len(operands) < 4 or any(item is None for item in operands[1:]):
            return
        first, last, axes, *steps = ([] if item is None else item.vector for item in operands[1:])
        if len(first) != 1 or first[0] != 0 or (steps and steps[0] != [1]) or not last[0].free_symbols:
            return
        dims, axis = list(source), int(axes[0])
        if value.is_initializer() and last[0].is_Symbol:
            dims[axis] = last[0]
        elif dims[axis] is not None:
            dims[axis] = sympy.Min(dims[axis], last[0])
        self._set(node.outputs[0], dims)

    def _range(self, node: ir.Node, operands: Sequence[Contents | None]) -> None:
        start, limit, delta = (None if item is None else item.vector[0] for item in operands)
        if start is not None and limit is not None and delta == 1 and (limit - start).is_positive:
            self._set(node.outputs[0], [sympy.ceiling(limit - start)])

    def _filled(self, node: ir.Node, operands: Sequence[Contents | None]) -> None:
        if operands[0] is not None:
            self._set(node.outputs[0], operands[0].vector)

    def _set(self, value: ir.Value, dims: Dims) -> None:
        value.shape = ir.Shape([self._dim(item) for item in dims])


def _target(dims: Dims, source: Dims) -> list[int] | None:
    """Return a constant target of Reshape for ``dims``: 0 for the operand's own size, -1 for one that follows."""
    target: list[int] = []
    for at, item in enumerate(dims):
        if item.is_Integer:
            target.append(int(item))
        else:
            target.append(0 if at < len(source) and source[at] == item else -1)
    empty = any(item.is_zero for item in dims)  # a size of 0 would be read as the operand's own
    return None if empty or target.count(-1) > 1 else target


def _static(tensor: ir.TensorProtocol) -> ir.Shape:
    return ir.Shape(tensor.shape.numpy())


def _type_proto(value: ir.Value) -> onnx.TypeProto:
    assert value.dtype is not None
    dims: Sequence[Any] | None = None
    if value.shape is not None:
        dims = [item if isinstance(item, int) else item.value for item in value.shape]
    return onnx.helper.make_tensor_type_proto(value.dtype.value, dims)
