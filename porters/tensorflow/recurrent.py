"""A loop that is a recurrent layer as ONNX's LSTM, GRU or RNN: one operator for the whole sequence."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import onnx_ir as ir

from porters.tensorflow.cells import Cell, find_cell
from porters.tensorflow.context import Context
from porters.tensorflow.dims import Dim, Shape, as_dim, onnx_shape
from porters.tensorflow.lists import TensorList, of_items
from porters.tensorflow.loops import Loop
from porters.tensorflow.masked import Mask, find_mask
from porters.tensorflow.node import INPUT, Edge, FlatGraph
from porters.tensorflow.program import closure
from porters.tensorflow.tensor import Filled, Tensor, Weight

# TensorFlow's order of a kernel's axes, and ONNX's.
TURNED, LABEL = (1, 0), "IO->OI"


@dataclass(frozen=True)
class Layer:
    """A recurrent layer found in a loop.

    Attributes:
        cell: Its cell.
        sequence: The operand that is the sequence, a list.
        states: The operands that are the state before the first step.
        weights: Kernel, recurrent kernels and biases, computed outside the loop.
        mask: What hides one end of each sequence, if anything does.
    """

    cell: Cell
    sequence: int
    states: Sequence[int]
    weights: Sequence[Tensor]
    mask: Mask | None = None


def find_layer(loop: Loop) -> Layer | None:
    """Return the layer that a loop is, ``None`` unless every part of it is exactly that."""
    carried = [at for at in loop.carried if at not in loop.counters]
    if loop.rounds is None or not all(_is_matrix(loop.tensors[at]) for at in carried):
        return None
    mask = find_mask(loop, carried)
    becomes = mask.states if mask is not None else {at: loop.body.outputs[at] for at in carried}
    if len(becomes) not in (1, 2) or (mask is not None and not _is_regular(loop, mask)):
        return None
    for order in itertools.permutations(becomes):
        cell = find_cell([becomes[at] for at in order], [Edge(loop.body.inputs[at], 0) for at in order])
        sequence = None if cell is None else _sequence(loop, cell.x)
        output = becomes[order[0]]
        if cell is None or sequence is None or not _puts_out(loop, output, mask):
            continue
        weights = _outside(loop, [cell.kernel, *cell.recurrent, *_biases(cell)])
        if weights is not None:
            return Layer(cell, sequence, order, weights, mask)
    return None


def _puts_out(loop: Loop, output: Edge, mask: Mask | None) -> bool:
    """Say whether what the loop writes is the cell's output, or hidden where the mask hides it."""
    if mask is None:
        return all(write.item == output for write in loop.writes.values())
    return mask.output == output


def _is_regular(loop: Loop, mask: Mask) -> bool:
    """Say whether a sequence without a step ends as ONNX says, in zeros; and a last output is no hidden zero."""
    blank = all(_is_none(loop.tensors[at]) for at in mask.states)
    return blank and not (mask.zeros and mask.prefix and any(write.last for write in loop.writes.values()))


def _is_matrix(tensor: Tensor) -> bool:
    return not isinstance(tensor, TensorList) and tensor.rank == 2 and isinstance(tensor.shape[1], int)


def _biases(cell: Cell) -> list[Edge]:
    return [bias for bias in (cell.bias, cell.recurrent_bias) if bias is not None]


def _sequence(loop: Loop, x: Edge) -> int | None:
    """Return the operand whose elements the loop reads one by one."""
    node = x.node
    if node.op != "TensorListGetItem":
        return None
    held, index = node.inputs[:2]
    at = loop.operand(held)
    if at is None or not loop.same(at) or loop.operand(index) not in loop.counters:
        return None
    tensor = loop.tensors[at]
    items = tensor.items if isinstance(tensor, TensorList) else None
    return at if items is not None and items.rank == 3 and items.shape[0] == loop.rounds else None


def _outside(loop: Loop, edges: Sequence[Edge]) -> list[Tensor] | None:
    """Return values that no round changes, computed outside the loop; ``None`` where a round does change one."""
    needed = closure(edge.node for edge in edges)
    carried = {node for at, node in enumerate(loop.body.inputs) if not loop.same(at)}
    if needed & carried:
        return None
    nodes = [node for node in loop.body.nodes if node in needed or node.op == INPUT]
    return loop.ctx.inline(FlatGraph(nodes, loop.body.inputs, list(edges), []), loop.tensors)


def emit(loop: Loop, layer: Layer) -> list[Tensor]:
    """Emit the operator and return one tensor for each operand of the loop."""
    ctx, cell = loop.ctx, layer.cell
    units = cast("int", loop.tensors[layer.states[0]].shape[1])
    held = loop.tensors[layer.sequence]
    assert isinstance(held, TensorList)
    assert held.items is not None
    steps, batch, _ = held.items.shape
    kernel, recurrent, bias = _weights(ctx, cell, list(layer.weights), units)
    initial = [_initial(ctx, loop.tensors[at]) for at in layer.states]
    extents: list[list[Dim]] = [[steps, 1, batch, units], *([1, batch, units] for _ in layer.states)]
    turned = layer.mask is not None and not layer.mask.prefix
    source = _turned(ctx, held.items) if turned else ctx.value(held.items)
    lengths = None if layer.mask is None else _lengths(loop, layer.mask)
    values = ctx.builder.ops(
        cell.op_type, source, kernel, recurrent, bias, lengths, *initial, outputs=len(extents),
        shapes=[onnx_shape(extent) for extent in extents], hidden_size=units, activations=_activations(cell),
        linear_before_reset=1 if cell.linear_before_reset else None, direction="reverse" if turned else None,
    )  # fmt: skip
    whole, *ends = [ctx.held(value, tuple(extent)) for value, extent in zip(values, extents, strict=True)]
    sequence = ctx.reshape(whole, (steps, batch, units))
    if layer.mask is not None:
        sequence = _masked(loop, layer.mask, sequence, ends[0])
    states = {at: ctx.reshape(end, (batch, units)) for at, end in zip(layer.states, ends, strict=True)}
    return [_result(loop, at, layer, sequence, states) for at in range(len(loop.tensors))]


def _activations(cell: Cell) -> list[str] | None:
    usual = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
    return None if tuple(cell.activations) == usual[cell.op_type] else list(cell.activations)


def _result(loop: Loop, at: int, layer: Layer, sequence: Tensor, states: dict[int, Tensor]) -> Tensor:
    if at in states:
        return states[at]
    if layer.mask is not None and at == layer.mask.before:
        return loop.ctx.op("Gather", loop.ctx.value(sequence), np.array(-1, np.int64), axis=0, shape=sequence.shape[1:])
    if at in loop.counters:
        count = np.array(as_dim(loop.rounds), dtype=object if not isinstance(loop.rounds, int) else np.int64)
        return loop.ctx.constant(count, loop.tensors[at].dtype)
    if at not in loop.writes:
        return loop.tensors[at]
    if loop.writes[at].last:
        last = states[layer.states[0]]
        return of_items(loop.ctx.reshape(last, (1, *last.shape)))
    return of_items(loop.complete(at, sequence))


# -- masks -------------------------------------------------------------------------------------------------------------


def _lengths(loop: Loop, mask: Mask) -> ir.Value:
    """Return how many steps of each sequence are not hidden: of both directions from the same mask."""
    ctx, (edge, axis) = loop.ctx, mask.source
    source = ctx.known(edge)
    steps, axis = (_steps_of(loop, mask), 0) if source is None else (source, axis)
    numbers = ctx.builder.cast(ctx.value(steps), ir.DataType.INT32)
    shape = (*steps.shape[:axis], *steps.shape[axis + 1 :])
    return ctx.vector(ctx.op("ReduceSum", numbers, [axis], keepdims=0, shape=shape))


def _steps_of(loop: Loop, mask: Mask) -> Tensor:
    held = loop.tensors[mask.at]
    assert isinstance(held, TensorList)
    assert held.items is not None
    return loop.ctx.reshape(held.items, held.items.shape[:2])


def _turned(ctx: Context, sequence: Tensor) -> ir.Value:
    """Return a sequence from behind."""
    return _backwards(ctx, ctx.value(sequence), sequence.shape)


def _backwards(ctx: Context, value: ir.Value, shape: Shape) -> ir.Value:
    return ctx.step("Slice", value, [-1], [np.iinfo(np.int64).min + 1], [0], [-1], shape=shape)


def _masked(loop: Loop, mask: Mask, sequence: Tensor, last: Tensor) -> Tensor:
    """Return what the loop puts out where ONNX's operator puts out zeros, in the loop's order of steps."""
    ctx = loop.ctx
    if not mask.prefix:  # what is hidden comes before the first output, and is zero
        return ctx.held(_backwards(ctx, ctx.value(sequence), sequence.shape), sequence.shape)
    if mask.zeros:
        return sequence
    steps = _steps_of(loop, mask)
    shown = ctx.builder.cast(ctx.value(ctx.reshape(steps, (*steps.shape, 1))), ir.DataType.BOOL)
    return ctx.op("Where", shown, ctx.value(sequence), ctx.value(last), shape=sequence.shape, dtype=sequence.dtype)


def _is_none(state: Tensor) -> bool:
    return isinstance(state, Filled) and not np.any(state.number)


def _initial(ctx: Context, state: Tensor) -> ir.Value | None:
    if _is_none(state):
        return None
    return ctx.value(ctx.reshape(state, (1, *state.shape)))


def _weights(ctx: Context, cell: Cell, weights: list[Tensor], units: int) -> tuple[ir.Value, ir.Value, ir.Value | None]:
    """Return kernel, recurrent kernel and biases as ONNX has them: (direction, gates * units, ...), its own order."""
    rows = np.concatenate([np.arange(units) + gate * units for gate in cell.gates])
    count = len(rows)

    def ordered(value: ir.Value, width: list[Any]) -> ir.Value:
        if tuple(cell.gates) != tuple(range(len(cell.gates))):
            value = ctx.step("Gather", value, ctx.builder.const(rows.astype(np.int64)), axis=0, shape=[count, *width])
        return ctx.step("Unsqueeze", value, [0], shape=[1, count, *width])

    def turned(parts: Sequence[Tensor]) -> ir.Value:
        values = [
            ctx.kernel(part, TURNED, LABEL) if isinstance(part, Weight) else ctx.value(part, TURNED) for part in parts
        ]
        value = values[0] if len(values) == 1 else ctx.step("Concat", *values, axis=0)
        return ordered(value, [parts[0].shape[0]])

    kernel, recurrent = weights[:1], weights[1 : 1 + len(cell.recurrent)]
    biases = weights[1 + len(cell.recurrent) :]
    if not biases:
        return turned(kernel), turned(recurrent), None
    zeros = ctx.builder.const(np.zeros((1, count), biases[0].dtype.numpy()))
    mine = ordered(ctx.vector(biases[0]), []) if cell.bias is not None else zeros
    theirs = ordered(ctx.vector(biases[-1]), []) if cell.recurrent_bias is not None else zeros
    return turned(kernel), turned(recurrent), ctx.step("Concat", mine, theirs, axis=1, shape=[1, 2 * count])
