"""Fills in the dtypes and shapes that a translator left open, where the operators themselves tell them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from porters.fusions.match import Dim, attribute, axes_of, broadcast, dims, integers, perm_of

_UNARY = frozenset({
    "Abs", "Cast", "Ceil", "Clip", "Cos", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish",
    "Identity", "LayerNormalization", "LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "Not", "RMSNormalization",
    "Reciprocal", "Relu", "RotaryEmbedding", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softmax", "Softplus", "Sqrt",
    "Tanh", "Trilu",
})  # fmt: skip
_BOOL = frozenset({"And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Xor"})
_BROADCAST = frozenset({
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Or",
    "Pow", "Sub", "Where", "Xor",
})  # fmt: skip

Inference = Callable[[ir.Node], Sequence[Dim] | None]


def fill_shapes(graph: ir.Graph) -> None:
    """Fill in unknown dtypes and shapes of ``graph``, which must be in topological order; known ones stay."""
    for node in graph:
        if node.domain or len(node.outputs) != 1:
            continue
        value = node.outputs[0]
        if value.dtype is None:
            dtype = _dtype(node)
            value.type = None if dtype is None else ir.TensorType(dtype)
        if value.shape is None:
            shape = _shape(node)
            value.shape = None if shape is None else ir.Shape(shape)


def _dtype(node: ir.Node) -> ir.DataType | None:
    if node.op_type == "Cast":
        return ir.DataType(attribute(node, "to"))
    if node.op_type == "Shape":
        return ir.DataType.INT64
    if node.op_type in _BOOL:
        return ir.DataType.BOOL
    position = 1 if node.op_type == "Where" else 0
    known = node.op_type in _UNARY | _BROADCAST | _RULES.keys()
    first = node.inputs[position] if known and len(node.inputs) > position else None
    return first.dtype if first is not None else None


def _shape(node: ir.Node) -> Sequence[Dim] | None:
    if node.op_type in _UNARY:
        return dims(node.inputs[0])
    if node.op_type in _BROADCAST:
        return broadcast(*[dims(item) for item in node.inputs])
    rule = _RULES.get(node.op_type)
    return rule(node) if rule is not None else None


def _transposed(node: ir.Node) -> Sequence[Dim] | None:
    shape, perm = dims(node.inputs[0]), perm_of(node)
    return None if shape is None or perm is None else [shape[axis] for axis in perm]


def _unsqueezed(node: ir.Node) -> Sequence[Dim] | None:
    shape, axes = dims(node.inputs[0]), integers(node.inputs[1])
    if shape is None or axes is None:
        return None
    rank = len(shape) + len(axes)
    new, rest = {axis % rank for axis in axes}, iter(shape)
    return [1 if axis in new else next(rest) for axis in range(rank)]


def _squeezed(node: ir.Node) -> Sequence[Dim] | None:
    shape = dims(node.inputs[0])
    axes = axes_of(node, len(shape)) if shape is not None else None
    if shape is None or axes is None:
        return None
    return [size for axis, size in enumerate(shape) if axis not in axes]


def _multiplied(node: ir.Node) -> Sequence[Dim] | None:
    a, b = dims(node.inputs[0]), dims(node.inputs[1])
    if a is None or b is None or len(a) < 2 or len(b) < 2:
        return None
    batch = broadcast(a[:-2], b[:-2])
    return None if batch is None else [*batch, a[-2], b[-1]]


def _joined(node: ir.Node) -> Sequence[Dim] | None:
    shapes = [dims(item) for item in node.inputs]
    first = shapes[0]
    if first is None or any(shape is None or len(shape) != len(first) for shape in shapes):
        return None
    axis = attribute(node, "axis") % len(first)
    sizes = [shape[axis] for shape in shapes if shape is not None]
    whole = [size for size in sizes if isinstance(size, int)]
    return [*first[:axis], sum(whole) if len(whole) == len(sizes) else None, *first[axis + 1 :]]


def _read(node: ir.Node) -> Sequence[Dim] | None:
    shape = dims(node.inputs[0])
    if shape is None:
        return None
    return [len(range(len(shape))[attribute(node, "start", 0) : attribute(node, "end", len(shape))])]


def _expanded(node: ir.Node) -> Sequence[Dim] | None:
    return broadcast(dims(node.inputs[0]), integers(node.inputs[1]))


_RULES: dict[str, Inference] = {
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
    "Squeeze": _squeezed,
    "MatMul": _multiplied,
    "Concat": _joined,
    "Shape": _read,
    "Expand": _expanded,
}
