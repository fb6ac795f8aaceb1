"""A loop of TensorFlow's as one ONNX Loop: what it carries, what it collects, and how often it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Dim, Shape, derived, onnx_shape
from porters.tensorflow.lists import Accumulator, TensorList, as_list, filled, joined, of_items, zeros
from porters.tensorflow.node import Edge, Node
from porters.tensorflow.registry import Untranslatable
from porters.tensorflow.tensor import Held, Order, Tensor, logical, permuted
from zoo.graph import GraphBuilder

# How often a body is translated until the shapes and orders of axes of what it carries stay the same.
ATTEMPTS = 6


@dataclass(frozen=True)
class Write:
    """How a loop's body writes a list, once in each round.

    Attributes:
        item: What it writes.
        last: Whether every round writes the same, only place, so that the last round's element is what is left.
    """

    item: Edge
    last: bool


class Loop:
    """One While: the operands by place, what becomes of each, and the translation of the body."""

    def __init__(self, ctx: Context, node: Node, tensors: Sequence[Tensor]) -> None:
        self.ctx, self.node, self.tensors = ctx, node, list(tensors)
        self.condition, self.body = node.bodies["cond"], node.bodies["body"]
        self._starts = self._counting()
        # The operands that count the rounds from zero.
        self.counters = {at for at, start in self._starts.items() if start == 0}
        self.rounds = self._rounds()
        self.writes = self._writes()
        places = range(len(tensors))
        self.carried = [at for at in places if not self.same(at) and at not in self.writes]
        self.collected = [
            at for at, write in self.writes.items() if not write.last or self._carrier(write.item) is None
        ]
        self.open: set[tuple[int, int]] = set()
        self.orders: dict[int, Order] = {}
        self.elements: dict[int, Shape] = {}

    # -- what the body does -------------------------------------------------------------------------------------------

    def operand(self, edge: Edge) -> int | None:
        """Return which operand of the body a value is."""
        return self.body.inputs.index(edge.node) if edge.node in self.body.inputs else None

    def same(self, at: int) -> bool:
        """Say whether a round leaves an operand as it is."""
        return self.body.outputs[at] in (Edge(self.body.inputs[at], 0), self.node.inputs[at])

    def _counting(self) -> dict[int, int]:
        """Return the operands that grow by one each round, and where they start."""
        found = {}
        for at, (edge, tensor) in enumerate(zip(self.body.outputs, self.tensors, strict=True)):
            step, array = edge.node, tensor.array
            if step.op not in ("AddV2", "Add") or array is None or array.ndim or array.dtype.kind not in "iu":
                continue
            operands = [step.inputs, step.inputs[::-1]]
            if any(self.operand(a) == at and _is_one(b.node) for a, b in operands):
                found[at] = int(array)
        return found

    def _writes(self) -> dict[int, Write]:
        reads = Counter([*self.body.read(), *self.condition.read()])
        found = {}
        for at, tensor in enumerate(self.tensors):
            write = self._write(at, tensor) if isinstance(tensor, TensorList) else None
            mine = reads[Edge(self.body.inputs[at], 0)] + reads[Edge(self.condition.inputs[at], 0)]
            if write is not None and mine == 1 and reads[self.body.outputs[at]] == 1:
                found[at] = write
        return found

    def _write(self, at: int, held: TensorList) -> Write | None:
        node = self.body.outputs[at].node
        if not node.inputs or node.inputs[0] != Edge(self.body.inputs[at], 0):
            return None
        if node.op == "TensorListPushBack":
            return Write(node.inputs[1], last=False)
        if node.op != "TensorListSetItem" or not (held.items is None or _is_blank(held.items)):
            return None
        index = node.inputs[1].node.constant
        if index is not None and held.size() == 1:
            return Write(node.inputs[2], last=True)
        return Write(node.inputs[2], last=False) if self.operand(node.inputs[1]) in self.counters else None

    def _carrier(self, item: Edge) -> int | None:
        """Return the carried operand that an element is.

        After the last round they are the same; where the condition depends on data there may be no round at all.
        """
        known = [at for at in self.carried if self.body.outputs[at] == item]
        return known[0] if known and self.rounds is not None else None

    # -- how often ----------------------------------------------------------------------------------------------------

    def _rounds(self) -> Dim | None:
        """Return how often the body runs where that is known: the condition only compares counters with bounds.

        A symbolic size is at least one.
        """
        pending, bounds = [self.condition.outputs[0]], []
        while pending:
            node = pending.pop().node
            if node.op == "LogicalAnd":
                pending += node.inputs
                continue
            bound = self._bound(node)
            if bound is None:
                return None
            bounds.append(bound)
        least = bounds[0]
        for bound in bounds[1:]:
            whole = isinstance(least, int) and isinstance(bound, int)
            least = min(cast("int", least), cast("int", bound)) if whole else derived("min", least, bound)
        return max(least, 0) if isinstance(least, int) else least

    def _bound(self, node: Node) -> Dim | None:
        if node.op not in ("Less", "Greater"):
            return None
        counter, bound = node.inputs if node.op == "Less" else node.inputs[::-1]
        places = self.condition.inputs
        start = self._starts.get(places.index(counter.node)) if counter.node in places else None
        if start is None:
            return None
        array = bound.node.constant
        if array is None and bound.node in self.condition.inputs:
            at = self.condition.inputs.index(bound.node)
            array = self.tensors[at].array if self.same(at) else None
        if array is None or array.ndim or array.dtype.kind not in "iuO":
            return None
        found: Dim = array.item()
        if isinstance(found, int):
            return found - start
        # A size less something may be none at all.
        return found if start == 0 else None

    # -- translating --------------------------------------------------------------------------------------------------

    def results(self) -> list[Tensor]:
        """Emit the Loop and return one tensor for each operand of the loop."""
        if self.rounds == 0:
            return self.tensors
        initial = {at: self._initial(at) for at in self.carried}
        for attempt in range(ATTEMPTS):
            graph, states, after = self._round(initial, last=attempt == ATTEMPTS - 1)
            if graph is not None:
                return self._emit(graph, initial, states, after)
            initial = {at: self._initial(at) for at in self.carried}
        raise Untranslatable("what the loop carries changes its rank from round to round")

    def _initial(self, at: int) -> Tensor:
        tensor = self.tensors[at]
        if not isinstance(tensor, TensorList):
            return tensor
        if tensor.items is None and at in self.elements:
            return of_items(filled(self.ctx, tensor, self.elements[at]))
        return tensor

    def _round(
        self, initial: dict[int, Tensor], *, last: bool
    ) -> tuple[ir.Graph | None, dict[int, Tensor], list[Tensor]]:
        """Translate one round; no graph comes back where the next attempt has to know better what is carried."""
        ctx = self.ctx
        with ctx.scope(f"{self.node.name}/body") as builder:
            builder.input("iteration", ir.DataType.INT64, [])
            going = builder.input("going", ir.DataType.BOOL, [])
            states = {at: self._state(builder, at, tensor) for at, tensor in initial.items()}
            bound = [self._bind(at, states) for at in range(len(self.tensors))]
            after = ctx.inline(self.body, bound)
            settled = [self._settled(at, states[at], after[at], force=last) for at in self.carried]
            if not all(settled):
                return None, states, after
            values = [self._value(after[at], self._order(at, states[at])) for at in self.carried]
            values += [ctx.value(_item(after[at])) for at in self.collected]
            goes = going if self.rounds is not None else self._going(after)
            return builder.body(own(builder, [goes, *values])), states, [*after]

    def _state(self, builder: GraphBuilder, at: int, tensor: Tensor) -> Tensor:
        """Return a carried operand as the body sees it; sizes that change from round to round are its own."""
        inner = tensor.items if isinstance(tensor, TensorList) else tensor
        if inner is None:
            return tensor
        sizes = self._sizes(at, inner)
        order = self._order(at, inner)
        value = builder.input(f"{self.node.name}/state", inner.dtype, onnx_shape(permuted(sizes, order)))
        held = self.ctx.held(value, sizes, order)
        return of_items(held) if isinstance(tensor, TensorList) else held

    def _sizes(self, at: int, tensor: Tensor) -> Shape:
        return tuple(self.ctx.unknown() if (at, axis) in self.open else dim for axis, dim in enumerate(tensor.shape))

    def _order(self, at: int, tensor: Tensor) -> Order:
        inner = tensor.items if isinstance(tensor, TensorList) and tensor.items is not None else tensor
        return self.orders.get(at, logical(inner.rank))

    def _bind(self, at: int, states: dict[int, Tensor]) -> Tensor:
        if at in self.writes:
            return Accumulator((), self.tensors[at].dtype)
        return states.get(at, self.tensors[at])

    def _settled(self, at: int, before: Tensor, after: Tensor, *, force: bool) -> bool:
        """Say whether a round leaves an operand as it found it; if not, note what the next attempt has to allow for."""
        if isinstance(before, TensorList):
            return self._settled_list(at, before, as_list(after), force=force)
        if before.rank != after.rank:
            raise Untranslatable("what the loop carries changes its rank from round to round")
        settled = True
        for axis, (old, new) in enumerate(zip(before.shape, after.shape, strict=True)):
            if old != new and (at, axis) not in self.open:
                self.open.add((at, axis))
                settled = False
        if after.order != before.order and isinstance(after, Held) and at not in self.orders and not force:
            self.orders[at] = after.order
            settled = False
        return settled

    def _settled_list(self, at: int, before: TensorList, after: TensorList, *, force: bool) -> bool:
        if before.items is not None and after.items is not None:
            return self._settled(at, before.items, after.items, force=force)
        if after.items is None:
            raise Untranslatable("a list that the loop carries and never writes")
        if not all(self.ctx.knows(dim) for dim in after.items.shape[1:]):
            raise Untranslatable("elements of a list whose shape is known in the loop only")
        self.elements[at] = after.items.shape[1:]
        return False

    def _going(self, after: Sequence[Tensor]) -> ir.Value:
        (held,) = self.ctx.inline(self.condition, list(after))
        return truth(self.ctx, held)

    def _value(self, tensor: Tensor, order: Order) -> ir.Value:
        items = tensor.items if isinstance(tensor, TensorList) else tensor
        if items is None:
            raise Untranslatable("a list that the loop carries and never writes")
        return self.ctx.value(items, order)

    # -- the node and its results -------------------------------------------------------------------------------------

    def _emit(
        self, graph: ir.Graph, initial: dict[int, Tensor], states: dict[int, Tensor], after: list[Tensor]
    ) -> list[Tensor]:
        ctx, rounds = self.ctx, self.rounds
        count = None if rounds is None else self._count(rounds)
        first = None if rounds is not None else truth(ctx, ctx.inline(self.condition, self.tensors)[0])
        before = [self._value(initial[at], self._order(at, states[at])) for at in self.carried]
        shapes = [self._outside(at, states[at]) for at in self.carried]
        made: Dim = rounds if rounds is not None else ctx.unknown()
        items = [_item(after[at]) for at in self.collected]
        shapes += [(made, *(dim if ctx.knows(dim) else ctx.unknown() for dim in item.shape)) for item in items]
        orders = [self._order(at, states[at]) for at in self.carried] + [logical(item.rank + 1) for item in items]
        kinds = [cast("ir.DataType", value.dtype) for value in before] + [item.dtype for item in items]
        values = ctx.builder.ops(
            "Loop", count, first, *before, outputs=len(kinds), dtypes=kinds, body=graph,
            shapes=[onnx_shape(permuted(shape, order)) for shape, order in zip(shapes, orders, strict=True)],
        )  # fmt: skip
        held = [ctx.held(*item) for item in zip(values, shapes, orders, strict=True)]
        named = dict(zip([*self.carried, *self.collected], held, strict=True))
        return [self._result(at, named) for at in range(len(self.tensors))]

    def _count(self, rounds: Dim) -> ir.Value:
        if isinstance(rounds, int):
            return self.ctx.builder.const(np.array(rounds, np.int64), name="rounds")
        return self.ctx.step("Squeeze", self.ctx.size(rounds), [0], shape=[])

    def _outside(self, at: int, state: Tensor) -> Shape:
        inner = state.items if isinstance(state, TensorList) and state.items is not None else state
        return tuple(self.ctx.unknown() if (at, axis) in self.open else dim for axis, dim in enumerate(inner.shape))

    def _result(self, at: int, held: dict[int, Held]) -> Tensor:
        if at in self.writes:
            return of_items(self._collected(at, held))
        if at not in held:
            return self.tensors[at]
        return of_items(held[at]) if isinstance(self.tensors[at], TensorList) else held[at]

    def _collected(self, at: int, held: dict[int, Held]) -> Tensor:
        """Return the elements of a list that the loop writes."""
        ctx, write, before = self.ctx, self.writes[at], as_list(self.tensors[at])
        if at not in held:
            last = held[self._carrier(write.item) or 0]
            return ctx.reshape(last, (1, *last.shape))
        items = held[at]
        if write.last:
            return self._last(items, before)
        if self._pushes(at):
            return joined(ctx, [filled(ctx, before, items.shape[1:]), items])
        return self.complete(at, items)

    def _pushes(self, at: int) -> bool:
        return self.body.outputs[at].node.op == "TensorListPushBack"

    def _last(self, items: Tensor, before: TensorList) -> Tensor:
        """Return the last of ``items``; where no round may have run, what was there before stands first."""
        ctx = self.ctx
        if self.rounds is None:
            items = joined(ctx, [filled(ctx, before, items.shape[1:]), items])
        return ctx.op("Slice", ctx.value(items), [-1], [2**31 - 1], [0], shape=(1, *items.shape[1:]))

    def complete(self, at: int, items: Tensor) -> Tensor:
        """Return the whole of a list that gets one of ``items`` each round.

        Behind them are zeros where the list is longer than the loop ran; an empty list grew with it.
        """
        ctx, before = self.ctx, as_list(self.tensors[at])
        size = before.size()
        if size in (0, items.shape[0]):
            return items
        if isinstance(size, int) and isinstance(items.shape[0], int):
            return joined(ctx, [items, *zeros(ctx, before.dtype, size - items.shape[0], items.shape[1:])])
        whole = filled(ctx, before, items.shape[1:])
        start = ctx.step("Shape", ctx.value(items), start=0, end=1, shape=[1])
        rest = ctx.op("Slice", ctx.value(whole), start, [2**31 - 1], [0], shape=(ctx.unknown(), *items.shape[1:]))
        return ctx.op("Concat", ctx.value(items), ctx.value(rest), axis=0, shape=whole.shape)


def truth(ctx: Context, tensor: Tensor) -> ir.Value:
    """Return a condition as a BOOL scalar: a number is true where it is not zero.

    Raises:
        Untranslatable: If it is no scalar, whose truth is whether it has elements.
    """
    if tensor.rank:
        raise Untranslatable("a condition that is no scalar")
    return ctx.builder.cast(ctx.value(tensor), ir.DataType.BOOL)


def _item(tensor: Tensor) -> Tensor:
    if not isinstance(tensor, Accumulator) or tensor.written is None:
        raise Untranslatable("a list that is not written in every round")
    return tensor.written


def own(builder: GraphBuilder, values: Sequence[ir.Value]) -> list[ir.Value]:
    """Return a body's outputs: each a value of its own that is computed inside."""
    computed = {id(result) for node in builder.nodes for result in node.outputs}
    found: list[ir.Value] = []
    for value in values:
        own = id(value) in computed and not any(value is other for other in found)
        found.append(value if own else builder.op("Identity", value, shape=value.shape))
    return found


def _is_one(node: Node) -> bool:
    array: Any = node.constant
    return array is not None and array.ndim == 0 and bool(array == 1)


def _is_blank(items: Tensor) -> bool:
    number = getattr(items, "number", None)
    return number is not None and not np.any(number)
