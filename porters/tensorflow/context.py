"""What translators work with: emits nodes, and brings values into the order of axes that an operator wants."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx_ir as ir

from porters.tensorflow.dims import Dim, Expr, Shape, broadcast, is_static, onnx_shape, symbol
from porters.tensorflow.tensor import (
    Constant,
    Converted,
    Filled,
    Held,
    Order,
    Reshaped,
    Tensor,
    Weight,
    channels_first,
    follow_units,
    inverse,
    logical,
    permuted,
)
from zoo.derived import LAYOUT
from zoo.errors import InternalError
from zoo.graph import HANDLE, GraphBuilder

if TYPE_CHECKING:
    from porters.tensorflow.handles import Result
    from porters.tensorflow.node import Edge, FlatGraph, Node

_RUNTIME_OPERATORS = {"//": "Div", "%": "Mod", "max": "Max", "min": "Min"}


class Context:
    """Emits one graph; holds the node being translated.

    Attributes:
        builder: The graph under construction.
        known: Returns what a value of the source's graph has become, ``None`` where it was not translated by itself.
        node: The node being translated.
        relaid: Names of the weights that are written in another order of axes, with the orders.
        drawn: Names of the operations that draw random numbers.
        marked: What each handle stands for: a result of the source's graph and the order of its axes.
    """

    def __init__(
        self,
        builder: GraphBuilder,
        inline: Callable[[FlatGraph, Sequence[Tensor]], list[Tensor]] | None = None,
        known: Callable[[Edge], Tensor | None] = lambda edge: None,
    ) -> None:
        self.builder = builder
        self.known = known
        self._inline = inline
        self._inside = 0
        # What was brought into an order of axes inside a body, which nothing outside can read.
        self._cached: list[tuple[dict[Order, ir.Value], Order]] = []
        self.node: Node | None = None
        self.relaid: dict[str, str] = {}
        self.marked: dict[str, tuple[Result, Order]] = {}
        self.drawn: list[str] = []
        self._origins: dict[str, tuple[Tensor, int]] = {}
        self._unknown = 0
        # The builder tells large constants apart by their identity, which must not be given to another array.
        self._alive: list[np.ndarray] = []

    # -- bodies ---------------------------------------------------------------------------------------------------

    def inline(self, graph: FlatGraph, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Translate a body into the graph under construction and return its results; it can be done again.

        Raises:
            Unfinished: If something in it has no translation.
        """
        if self._inline is None:
            raise InternalError("a context without a walk has no bodies")
        self._inside += 1
        try:
            return self._inline(graph, tensors)
        finally:
            self._inside -= 1

    @contextlib.contextmanager
    def scope(self, name: str) -> Iterator[GraphBuilder]:
        """Emit into a new sub-graph; what is emitted inside is forgotten behind it, what stands outside is seen."""
        outer, origins, cached = self.builder, dict(self._origins), self._cached
        self.builder = GraphBuilder(outer.unique(name), parent=outer)
        self._cached = []
        try:
            yield self.builder
        finally:
            for held, order in self._cached:
                held.pop(order, None)
            self.builder, self._origins, self._cached = outer, origins, cached

    def knows(self, dim: Dim) -> bool:
        """Say whether a size can be computed from the values that are there."""
        if isinstance(dim, int):
            return True
        return all(
            all(self.knows(item) for item in part.definition[1:])
            if part.definition is not None
            else part.name in self._origins
            for product, _ in dim.terms
            for part in product
        )

    # -- emitting -------------------------------------------------------------------------------------------------

    def op(
        self,
        op_type: str,
        *operands: Any,
        shape: Shape,
        order: Order | None = None,
        dtype: ir.DataType | None = None,
        **attributes: Any,
    ) -> Held:
        """Emit the node that yields the result of the operation at hand; ``shape`` is logical, ``order`` its order."""
        order = logical(len(shape)) if order is None else order
        extent = onnx_shape(permuted(shape, order))
        value = self.builder.op(op_type, *operands, shape=extent, dtype=dtype, **attributes)
        return self.held(value, shape, order)

    def ops(
        self,
        op_type: str,
        *operands: Any,
        shapes: Sequence[Shape],
        order: Order | None = None,
        dtypes: Sequence[ir.DataType | None] | None = None,
        **attributes: Any,
    ) -> list[Tensor]:
        """Emit a node with several results; see :meth:`op`."""
        orders = [logical(len(shape)) if order is None else order for shape in shapes]
        extents = [onnx_shape(permuted(shape, held)) for shape, held in zip(shapes, orders, strict=True)]
        values = self.builder.ops(op_type, *operands, outputs=len(shapes), shapes=extents, dtypes=dtypes, **attributes)
        return [self.held(*item) for item in zip(values, shapes, orders, strict=True)]

    def step(
        self,
        op_type: str,
        *operands: Any,
        shape: Sequence[Dim] | None = None,
        dtype: ir.DataType | None = None,
        **attributes: Any,
    ) -> ir.Value:
        """Emit a node on the way to the result; ``shape`` is in the order of the value."""
        base = self.node.name if self.node else self.builder.name
        extent = None if shape is None else onnx_shape(shape)
        name = f"{base}/{op_type}"
        return self.builder.op(op_type, *operands, shape=extent, dtype=dtype, name=name, **attributes)

    def held(self, value: ir.Value, shape: Shape, order: Order | None = None) -> Held:
        """Return an emitted value as a tensor; sizes that are new to the graph can be read from it from now on."""
        tensor = Held(shape, cast("ir.DataType", value.dtype), value, logical(len(shape)) if order is None else order)
        for axis, dim in enumerate(shape):
            if isinstance(dim, Expr) and len(dim.terms) == 1 and len(dim.terms[0][0]) == 1 and dim.terms[0][1] == 1:
                self._origins.setdefault(dim.terms[0][0][0].name, (tensor, axis))
        return tensor

    def constant(self, array: Any, dtype: ir.DataType | None = None) -> Constant:
        """Return contents known now as a tensor; integers may be symbolic sizes."""
        contents = np.asarray(array)
        kind = dtype or (ir.DataType.INT64 if contents.dtype == object else ir.DataType.from_numpy(contents.dtype))
        return Constant(tuple(contents.shape), kind, contents)

    # -- shapes ---------------------------------------------------------------------------------------------------

    def shape_of(self, node: Node, index: int = 0) -> Shape:
        """Return the shape that TensorFlow inferred; each unknown size becomes a symbol of its own."""
        shape = node.shapes[index]
        if shape is None:
            raise InternalError(f"{node.op} {node.name}: the rank of its result is unknown")
        return tuple(self.unknown() if dim is None else dim for dim in shape)

    def unknown(self) -> Expr:
        """Return a size about which nothing is known."""
        self._unknown += 1
        return symbol(f"unknown_{self._unknown}")

    def reshape(self, tensor: Tensor, shape: Shape) -> Tensor:
        """Return ``tensor`` in another shape; nothing is emitted before the result is read."""
        base = tensor.base if isinstance(tensor, Reshaped) else tensor
        if base.shape == shape:
            return base
        if isinstance(base, Constant) and is_static(shape):
            return Constant(shape, base.dtype, base.contents.reshape(cast("tuple[int, ...]", shape)))
        return Reshaped(shape, base.dtype, base)

    def size(self, dim: Dim) -> ir.Value:
        """Return a size as an INT64 vector of one element, computed in the graph where it must be."""
        if isinstance(dim, int):
            return self.builder.const(np.array([dim], np.int64), name="size")
        total: ir.Value | None = None
        for product, factor in dim.terms:
            term: ir.Value | None = None
            for part in product:
                value = self._symbol(part)
                term = value if term is None else self.step("Mul", term, value, shape=[1])
            scale = self.builder.const(np.array([factor], np.int64), name="size")
            if term is None:
                term = scale
            elif factor != 1:
                term = self.step("Mul", term, scale, shape=[1])
            total = term if total is None else self.step("Add", total, term, shape=[1])
        return cast("ir.Value", total)

    def sizes(self, dims: Sequence[Dim]) -> ir.Value:
        """Return sizes as an INT64 vector, constant if they all are known."""
        if is_static(dims):
            return self.builder.const(np.array(dims, np.int64), name="sizes")
        parts = [self.size(dim) for dim in dims]
        return parts[0] if len(parts) == 1 else self.step("Concat", *parts, axis=0, shape=[len(parts)])

    def _symbol(self, part: Any) -> ir.Value:
        if part.definition is not None:
            operator, left, right = part.definition
            return self.step(_RUNTIME_OPERATORS[operator], self.size(left), self.size(right), shape=[1])
        if part.name not in self._origins:
            raise InternalError(f"the size {part.name} is read before the value that has it")
        tensor, axis = self._origins[part.name]
        held = tensor.order.index(axis)
        value = self.value(tensor, tensor.order)
        return self.step("Shape", value, start=held, end=held + 1, shape=[1])

    # -- reading values -------------------------------------------------------------------------------------------

    def is_result(self, tensor: Tensor, result: Result) -> None:
        """Note which result of the source's graph ``tensor`` is, unless it is known as an earlier one already."""
        if tensor.result is None and not self._inside and not is_parameter(tensor):
            tensor.result = result
            if isinstance(tensor, Held):
                self.mark(tensor.value, result, tensor.held_order)

    def mark(self, value: ir.Value, result: Result, order: Order) -> None:
        """Give a computed value the handle of the result that it is, with its axes in ``order``."""
        # A value of a body stands for many: one of each round, or none.
        if not self._inside and value.producer() is not None and HANDLE not in value.metadata_props:
            handle = result.handle(order)
            value.metadata_props[HANDLE] = handle
            self.marked[handle] = (result, order)

    def reordered(self, handle: str, perm: Order) -> str:
        """Return the handle of a value whose axes are permuted, from the handle that it had before."""
        result, order = self.marked[handle]
        after = permuted(order, perm)
        moved = result.handle(after)
        self.marked[moved] = (result, after)
        return moved

    def value(self, tensor: Tensor, order: Order | None = None) -> ir.Value:
        """Return ``tensor`` as a value of the graph, held in ``order`` (TensorFlow's own by default)."""
        order = logical(tensor.rank) if order is None else order
        value = self._value(tensor, order)
        if tensor.result is not None:
            self.mark(value, tensor.result, order)
        return value

    def _value(self, tensor: Tensor, order: Order) -> ir.Value:
        if order not in tensor.cache:
            self._cached.append((tensor.cache, order))
            if isinstance(tensor, Held):
                tensor.cache[order] = self._transposed(tensor.value, tensor.held_order, order)
            elif isinstance(tensor, Constant):
                tensor.cache[order] = self._constant(tensor, order)
            elif isinstance(tensor, Reshaped):
                tensor.cache[order] = self._reshaped(tensor, order)
            elif isinstance(tensor, Converted):
                tensor.cache[order] = self.builder.cast(self.value(tensor.base, order), tensor.dtype)
            elif isinstance(tensor, Filled):
                number, extent = self.builder.const(tensor.number, tensor.dtype), permuted(tensor.shape, order)
                tensor.cache[order] = self.step("Expand", number, self.sizes(extent), shape=extent)
            else:
                stored, layout = self._stored(cast("Weight", tensor), logical(tensor.rank), "")
                tensor.cache[order] = self._transposed(stored, layout, order)
        return tensor.cache[order]

    def kernel(self, tensor: Tensor, order: Order, label: str) -> ir.Value:
        """Return a weight in ``order``; it is written so (``label`` says how) unless another use came first."""
        if isinstance(tensor, Converted):
            return self.builder.cast(self.kernel(tensor.base, order, label), tensor.dtype)
        if not isinstance(tensor, Weight):
            return self.value(tensor, order)
        stored, layout = self._stored(tensor, order, label)
        return self._transposed(stored, layout, order)

    def operands(self, *tensors: Tensor) -> tuple[Shape, Order, list[ir.Value]]:
        """Return what an elementwise operator needs: the result's shape, its order, and its operands."""
        shape = broadcast(*(tensor.shape for tensor in tensors))
        tensors = tuple(self._number(tensor, shape, tensors) for tensor in tensors)
        rank = len(shape)
        candidates = [item for item in tensors if item.rank == rank and not is_parameter(item)]
        order = max(candidates, key=_weightiness).order if candidates else logical(rank)
        return shape, order, [self.aligned(tensor, rank, order) for tensor in tensors]

    def _number(self, tensor: Tensor, shape: Shape, beside: Sequence[Tensor]) -> Tensor:
        others = [item.shape for item in beside if not isinstance(item, Filled)]
        if isinstance(tensor, Filled) and others and broadcast(*others) == shape:
            return self.constant(tensor.number, tensor.dtype)
        return tensor

    def aligned(self, tensor: Tensor, rank: int, order: Order) -> ir.Value:
        """Return ``tensor`` so that it broadcasts against a value of ``rank`` held in ``order``."""
        if order == logical(rank) or all(dim == 1 for dim in tensor.shape):
            return self.value(tensor)
        return self.value(self.reshape(tensor, (1,) * (rank - tensor.rank) + tensor.shape), order)

    def vector(self, tensor: Tensor) -> ir.Value:
        """Return a tensor whose elements lie along one axis as a vector."""
        length = next((dim for dim in tensor.shape if dim != 1), 1)
        return self.value(self.reshape(tensor, (length,)))

    def _transposed(self, value: ir.Value, held: Order, order: Order) -> ir.Value:
        if held == order:
            return value
        perm = [held.index(axis) for axis in order]
        extent = value.shape and [value.shape[axis] for axis in perm]
        return self.builder.op(
            "Transpose", value, perm=perm, shape=ir.Shape(extent) if extent else None, name=f"{value.name}/transposed"
        )

    def _constant(self, tensor: Constant, order: Order) -> ir.Value:
        if not tensor.symbolic:
            array = np.ascontiguousarray(tensor.contents.transpose(order)).reshape(permuted(tensor.shape, order))
            self._alive.append(array)
            return self.builder.const(array)
        flat = self.sizes(tensor.contents.reshape(-1).tolist())
        if tensor.rank != 1:
            flat = self.step("Reshape", flat, [int(cast("int", dim)) for dim in tensor.shape], shape=tensor.shape)
        return self.builder.cast(self._transposed(flat, logical(tensor.rank), order), tensor.dtype)

    def _stored(self, tensor: Weight, order: Order, label: str) -> tuple[ir.Value, Order]:
        if tensor.stored is None:
            extent = permuted(tensor.shape, order)
            metadata = {LAYOUT: label} if order != logical(tensor.rank) else None
            read, dtype = tensor.read, tensor.dtype
            lazy = ir.LazyTensor(
                lambda: ir.Tensor(np.ascontiguousarray(read().transpose(order))),
                dtype,
                ir.Shape(extent),
                name=tensor.name,
                metadata_props=metadata,
            )
            tensor.stored, tensor.layout = self.builder.parameter(tensor.name, lazy), order
            if metadata:
                self.relaid[str(tensor.stored.name)] = label
        return tensor.stored, cast("Order", tensor.layout)

    def _reshaped(self, tensor: Reshaped, order: Order) -> ir.Value:
        base = tensor.base
        if follow_units(base, tensor.shape) is None:
            plain = self.reshaped_value(self.value(base), base.shape, tensor.shape)
            return self._transposed(plain, logical(tensor.rank), order)
        mine = [axis for axis, dim in enumerate(tensor.shape) if dim != 1]
        theirs = [axis for axis, dim in enumerate(base.shape) if dim != 1]
        wanted = [theirs[mine.index(axis)] for axis in order if axis in mine]
        held = base.order
        if [axis for axis in held if axis in theirs] != wanted:
            held = (*(axis for axis in range(base.rank) if axis not in theirs), *wanted)
        return self.reshaped_value(self.value(base, held), permuted(base.shape, held), permuted(tensor.shape, order))

    def reshaped_value(self, value: ir.Value, before: Sequence[Dim], after: Sequence[Dim]) -> ir.Value:
        """Emit a Reshape between two shapes in the value's order; the target is constant where one can be written."""
        if tuple(before) == tuple(after):
            return value
        found = _reshape_target(before, after)
        target = self.sizes(after) if found is None else self.builder.const(np.array(found, np.int64), name="shape")
        return self.builder.op("Reshape", value, target, shape=onnx_shape(after), name=f"{value.name}/reshaped")


def is_parameter(tensor: Tensor) -> bool:
    """Say whether the contents do not depend on the model's inputs, so that its order decides nothing."""
    base = tensor.base if isinstance(tensor, Reshaped) else tensor
    return isinstance(base, (Constant, Converted, Filled, Weight))


def held_channels_first(tensor: Tensor) -> bool:
    """Say whether a channels-last value is held with its channels at axis 1."""
    return tensor.order == channels_first(tensor.rank) and tensor.rank > 2


def physical(order: Order, axes: Sequence[int]) -> list[int]:
    """Return where the logical ``axes`` stand in a value held in ``order``."""
    where = inverse(order)
    return [where[axis] for axis in axes]


def _weightiness(tensor: Tensor) -> tuple[int, bool, bool]:
    axes = sum(dim != 1 for dim in tensor.shape)
    return axes, tensor.order != logical(tensor.rank), isinstance(tensor, Held)


def _reshape_target(before: Sequence[Dim], after: Sequence[Dim]) -> list[int] | None:
    unknown = [axis for axis, dim in enumerate(after) if not isinstance(dim, int)]
    if len(unknown) > 1:
        copied = [axis for axis in unknown if axis < len(before) and before[axis] == after[axis]]
        rest = [axis for axis in unknown if axis not in copied]
        if len(rest) > 1:
            return None
        return [
            0 if axis in copied else -1 if axis in rest else int(cast("int", dim)) for axis, dim in enumerate(after)
        ]
    return [-1 if axis in unknown else int(cast("int", dim)) for axis, dim in enumerate(after)]
