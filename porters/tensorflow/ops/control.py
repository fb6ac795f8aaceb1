"""Control flow over data: While becomes Loop, If and Case become If; a branch that is certain is what stands there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape, onnx_shape
from porters.tensorflow.lists import TensorList, filled, of_items
from porters.tensorflow.loops import Loop, own, truth
from porters.tensorflow.node import FlatGraph, Node
from porters.tensorflow.recurrent import emit, find_layer
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Held, Order, Tensor, logical, permuted


@translates("While", "StatelessWhile")
def loop(ctx: Context, node: Node, *tensors: Tensor) -> list[Tensor]:
    """Translate a loop: a recurrent layer as its own operator, any other as it is."""
    found = Loop(ctx, node, tensors)
    layer = find_layer(found)
    return found.results() if layer is None else emit(found, layer)


@translates("If", "StatelessIf")
def branch(ctx: Context, node: Node, condition: Tensor, *tensors: Tensor) -> list[Tensor]:
    """Translate a choice between two graphs."""
    graphs = [node.bodies["then_branch"], node.bodies["else_branch"]]
    array = condition.array
    if array is not None and array.dtype != object:
        return ctx.inline(graphs[0 if array.all() else 1], tensors)
    return _chosen(ctx, node, truth(ctx, condition), graphs, tensors)


@translates("Case", "StatelessCase")
def case(ctx: Context, node: Node, index: Tensor, *tensors: Tensor) -> list[Tensor]:
    """Translate a choice by number; what no branch has goes to the last."""
    graphs = list(node.bodies.values())
    array = index.array
    if array is not None and array.dtype != object:
        place = int(array)
        return ctx.inline(graphs[place if 0 <= place < len(graphs) else -1], tensors)
    return _case(ctx, node, ctx.value(index), 0, graphs, tensors)


def _case(
    ctx: Context, node: Node, index: ir.Value, place: int, graphs: Sequence[FlatGraph], tensors: Sequence[Tensor]
) -> list[Tensor]:
    if place == len(graphs) - 1:
        return ctx.inline(graphs[-1], tensors)
    here = ctx.step("Equal", index, ctx.builder.const(np.array(place), index.dtype), shape=[])
    return _either(
        ctx,
        node,
        here,
        lambda: ctx.inline(graphs[place], tensors),
        lambda: _case(ctx, node, index, place + 1, graphs, tensors),
    )


def _chosen(
    ctx: Context, node: Node, condition: ir.Value, graphs: Sequence[FlatGraph], tensors: Sequence[Tensor]
) -> list[Tensor]:
    return _either(ctx, node, condition, lambda: ctx.inline(graphs[0], tensors), lambda: ctx.inline(graphs[1], tensors))


def _either(
    ctx: Context, node: Node, condition: ir.Value, yes: Callable[[], list[Tensor]], no: Callable[[], list[Tensor]]
) -> list[Tensor]:
    """Emit an If; both graphs return their values in the orders of axes that the first has."""
    elements = _elements(ctx, node, yes, no)
    with ctx.scope(f"{node.name}/then") as builder:
        given = yes()
        lists = [isinstance(tensor, TensorList) for tensor in given]
        first = [_numeric(ctx, tensor, elements.get(at)) for at, tensor in enumerate(given)]
        orders = [tensor.order if isinstance(tensor, Held) else logical(tensor.rank) for tensor in first]
        then_branch = builder.body(own(builder, _values(ctx, first, orders)))
    with ctx.scope(f"{node.name}/else") as builder:
        second = [_numeric(ctx, tensor, elements.get(at)) for at, tensor in enumerate(no())]
        if [tensor.rank for tensor in first] != [tensor.rank for tensor in second]:
            raise Untranslatable("branches whose results differ in rank")
        else_branch = builder.body(own(builder, _values(ctx, second, orders)))
    shapes = [_either_shape(ctx, a.shape, b.shape) for a, b in zip(first, second, strict=True)]
    values = ctx.builder.ops(
        "If", condition, outputs=len(first), dtypes=[tensor.dtype for tensor in first], then_branch=then_branch,
        else_branch=else_branch,
        shapes=[onnx_shape(permuted(shape, order)) for shape, order in zip(shapes, orders, strict=True)],
    )  # fmt: skip
    held = [ctx.held(*item) for item in zip(values, shapes, orders, strict=True)]
    return [of_items(item) if is_list else item for item, is_list in zip(held, lists, strict=True)]


def _values(ctx: Context, tensors: Sequence[Tensor], orders: Sequence[Order]) -> list[ir.Value]:
    return [ctx.value(tensor, order) for tensor, order in zip(tensors, orders, strict=True)]


def _elements(
    ctx: Context, node: Node, yes: Callable[[], list[Tensor]], no: Callable[[], list[Tensor]]
) -> dict[int, Shape]:
    """Return the shape of the elements of each list that only one branch has written, by place."""
    if not any(dtype is None for dtype in node.dtypes):
        return {}
    found: dict[int, Shape] = {}
    for branch_of in (yes, no):
        with ctx.scope(f"{node.name}/tried"):
            items = [tensor.items if isinstance(tensor, TensorList) else None for tensor in branch_of()]
        shapes = {at: held.shape[1:] for at, held in enumerate(items) if held is not None}
        found |= {at: shape for at, shape in shapes.items() if all(ctx.knows(dim) for dim in shape)}
    return found


def _numeric(ctx: Context, tensor: Tensor, element: Shape | None) -> Tensor:
    """Return what a branch returns as numbers; a list that it does not write has zeros of the other's shape."""
    if not isinstance(tensor, TensorList):
        return tensor
    if tensor.items is None and element is None:
        raise Untranslatable("a branch returns a list of which no element was written")
    return tensor.items if tensor.items is not None else filled(ctx, tensor, element or ())


def _either_shape(ctx: Context, first: Shape, second: Shape) -> Shape:
    return tuple(a if a == b and ctx.knows(a) else ctx.unknown() for a, b in zip(first, second, strict=True))
