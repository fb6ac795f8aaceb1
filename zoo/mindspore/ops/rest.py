"""Recurrent layers, quantisation, and operators of their own kind."""

from __future__ import annotations

import numpy as np

from zoo.mindspore.code import Code, literal
from zoo.mindspore.registry import Call, Default, Operand, translates


def _weights(c: Call, operands: tuple[Operand | None, ...]) -> list[Code | None]:
    made: list[Code | None] = []
    for item in operands:
        made.append(None if item is None else c.parameter(item) if item.is_weight else item.tensor)
    return made


@translates("LSTM", "GRU", "RNN")
def recurrent(
    c: Call,
    x: Operand,
    weight: Operand,
    recurrence: Operand,
    bias: Operand | None = None,
    lengths: Operand | None = None,
    hidden: Operand | None = None,
    cell: Operand | None = None,
    peephole: Operand | None = None,
) -> Code:
    """``lstm``, ``gru`` or ``rnn`` of layers.py: a loop over time, in each direction."""
    kind = c.node.op_type.lower()
    usual = {"lstm": ["Sigmoid", "Tanh", "Tanh"], "gru": ["Sigmoid", "Tanh"], "rnn": ["Tanh"]}[kind]
    directions = 2 if c.attribute("direction", "forward") == "bidirectional" else 1
    if lengths is not None or peephole is not None or c.attribute("clip") is not None:
        raise NotImplementedError("sequences of their own lengths, peepholes, or clipping")
    if (c.attribute("activations") or usual * directions) != usual * directions:
        raise NotImplementedError("other activations than the usual ones")
    if c.attribute("layout", 0) or c.attribute("input_forget", 0):
        raise NotImplementedError("batch before time, or coupled gates")
    states = [hidden, cell] if kind == "lstm" else [hidden]
    more = {}
    if kind == "gru":
        more["linear_before_reset"] = Default(bool(c.attribute("linear_before_reset", 0)), False)
    made = c.function(
        kind, x.tensor, *_weights(c, (weight, recurrence, bias)),
        *(None if state is None else state.tensor for state in states),
        direction=Default(f'"{c.attribute("direction", "forward")}"', '"forward"'), **more,
    )  # fmt: skip
    used = max((at for at, value in enumerate(c.node.outputs) if value.uses() or value.is_graph_output()), default=0)
    results = 3 if kind == "lstm" else 2
    return Code(f"{made}[0]") if used == 0 else made if used + 1 == results else Code(f"{made}[:{used + 1}]")


def _along(c: Call, x: Operand, item: Operand) -> Code:
    """Return a scale or zero point in the shape in which it meets ``x``."""
    array = item.constant
    if array is None:
        raise NotImplementedError("a scale that is computed")
    if array.size == 1:
        return Code(literal(array.reshape(-1)[0] if array.dtype.kind == "f" else int(array.reshape(-1)[0])))
    if c.attribute("block_size", 0):
        raise NotImplementedError("scales of blocks")
    shape = [1] * len(x.shape)
    shape[c.attribute("axis", 1)] = -1
    return Code(f"{c.parameter(item)}.reshape({', '.join(map(str, shape))})")


@translates("DequantizeLinear")
def dequantize(c: Call, x: Operand, scale: Operand, zero: Operand | None = None) -> str:
    """``(x - zero) * scale``."""
    data = str(x.tensor.atom) + f".astype({c.dtype()})"
    moved = data if zero is None else f"({data} - {_along(c, x, zero)})"
    return f"{moved} * {_along(c, x, scale)}"


@translates("QuantizeLinear")
def quantize(c: Call, x: Operand, scale: Operand, zero: Operand | None = None) -> str:
    """``clamp(round(x / scale) + zero)``, halves to even."""
    dtype = c.node.outputs[0].dtype
    if dtype is None or not dtype.is_integer():
        raise NotImplementedError("a quantised float")
    info = np.iinfo(dtype.numpy())
    rounded = f"ops.round({x.tensor.atom} / {_along(c, x, scale)})"
    moved = rounded if zero is None else f"{rounded} + {_along(c, x, zero)}"
    return f"ops.clamp({moved}, {info.min}, {info.max}).astype({c.dtype()})"


@translates("Det")
def det(c: Call, x: Operand) -> str:
    """``ops.det``."""
    return f"ops.det({x.tensor})"


@translates("Compress")
def compress(c: Call, x: Operand, condition: Operand) -> str:
    """Places that are known are gathered."""
    array, axis = condition.constant, c.attribute("axis")
    if array is None or axis is None:
        raise NotImplementedError("a condition that is computed")
    places = Code(f"Tensor({np.flatnonzero(array).tolist()}, ms.int64)")
    return f"ops.gather({x.tensor}, {places}, {axis % len(x.shape)})"


@translates("ReverseSequence")
def reverse_sequence(c: Call, x: Operand, lengths: Operand) -> str:
    """``ops.reverse_sequence``."""
    axes = f"{c.attribute('time_axis', 0)}, {c.attribute('batch_axis', 1)}"
    return f"ops.reverse_sequence({x.tensor}, {lengths.tensor}, {axes})"


@translates("Size")
def size(c: Call, x: Operand) -> str:
    """How many elements there are."""
    return f"Tensor({' * '.join(x.size(axis).atom for axis in range(len(x.shape)))}, ms.int64)"
