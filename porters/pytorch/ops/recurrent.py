"""Recurrent layers: LSTM, GRU and RNN as ONNX's own operators, one for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.shared import known, permuted, static
from porters.pytorch.registry import Context, translates


@dataclass(frozen=True)
class _Cell:
    """A kind of recurrent cell.

    Attributes:
        op_type: The ONNX operator.
        gates: For each of ONNX's gates, which of torch's it is.
        attributes: What else the ONNX operator needs.
    """

    op_type: str
    gates: tuple[int, ...]
    attributes: dict[str, Any]


# torch orders LSTM gates as input, forget, cell, output and GRU gates as reset, update, new.
_LSTM = _Cell("LSTM", (0, 3, 1, 2), {})
_GRU = _Cell("GRU", (1, 0, 2), {"linear_before_reset": 1})


@dataclass(frozen=True)
class _Layers:
    """The options that torch's recurrent operators share."""

    has_biases: bool
    count: int
    bidirectional: bool
    batch_first: bool

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1


_STEP = _Layers(has_biases=True, count=1, bidirectional=False, batch_first=False)


@translates("aten.lstm.input")
def lstm(
    c: Context, x: ir.Value, states: Sequence[ir.Value], weights: Sequence[ir.Value], has_biases: bool, layers: int,
    dropout: float, train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[ir.Value, ...]:  # fmt: skip
    """LSTM."""
    options = _options(has_biases, layers, dropout, train, bidirectional, batch_first)
    return _recurrent(c, _LSTM, x, states, weights, options)


@translates("aten.gru.input")
def gru(
    c: Context, x: ir.Value, state: ir.Value, weights: Sequence[ir.Value], has_biases: bool, layers: int,
    dropout: float, train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[ir.Value, ...]:  # fmt: skip
    """GRU, the reset gate behind the matrix product as in torch."""
    options = _options(has_biases, layers, dropout, train, bidirectional, batch_first)
    return _recurrent(c, _GRU, x, [state], weights, options)


@translates("aten.rnn_tanh.input")
def rnn_tanh(
    c: Context, x: ir.Value, state: ir.Value, weights: Sequence[ir.Value], has_biases: bool, layers: int,
    dropout: float, train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[ir.Value, ...]:  # fmt: skip
    """RNN with tanh."""
    options = _options(has_biases, layers, dropout, train, bidirectional, batch_first)
    return _recurrent(c, _plain("Tanh", options), x, [state], weights, options)


@translates("aten.rnn_relu.input")
def rnn_relu(
    c: Context, x: ir.Value, state: ir.Value, weights: Sequence[ir.Value], has_biases: bool, layers: int,
    dropout: float, train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[ir.Value, ...]:  # fmt: skip
    """RNN with relu."""
    options = _options(has_biases, layers, dropout, train, bidirectional, batch_first)
    return _recurrent(c, _plain("Relu", options), x, [state], weights, options)


@translates("aten.lstm_cell")
def lstm_cell(c: Context, x: ir.Value, states: Sequence[ir.Value], *weights: ir.Value | None) -> tuple[ir.Value, ...]:
    """One step of an LSTM."""
    _, *ends = _stepped(c, _LSTM, x, states, weights)
    return tuple(ends)


@translates("aten.gru_cell")
def gru_cell(c: Context, x: ir.Value, state: ir.Value, *weights: ir.Value | None) -> ir.Value:
    """One step of a GRU."""
    return _stepped(c, _GRU, x, [state], weights)[1]


@translates("aten.rnn_tanh_cell")
def rnn_tanh_cell(c: Context, x: ir.Value, state: ir.Value, *weights: ir.Value | None) -> ir.Value:
    """One step of an RNN with tanh."""
    return _stepped(c, _plain("Tanh", _STEP), x, [state], weights)[1]


@translates("aten.rnn_relu_cell")
def rnn_relu_cell(c: Context, x: ir.Value, state: ir.Value, *weights: ir.Value | None) -> ir.Value:
    """One step of an RNN with relu."""
    return _stepped(c, _plain("Relu", _STEP), x, [state], weights)[1]


def _stepped(
    c: Context, cell: _Cell, x: ir.Value, states: Sequence[ir.Value], weights: Sequence[ir.Value | None]
) -> tuple[ir.Value, ...]:
    """Return a sequence of one step and the states after it; torch's cells have a batch axis at most."""
    given = [weight for weight in weights if weight is not None]
    options = replace(_STEP, has_biases=len(given) == 4)

    def led(item: ir.Value) -> ir.Value:
        return known(c, c.op("Unsqueeze", item, [0]), [1, *c.sizes_of(item)])

    result, *ends = _recurrent(c, cell, led(x), [led(state) for state in states], given, options)
    return result, *(c.op("Squeeze", end, [0]) for end in ends)


def _plain(activation: str, options: _Layers) -> _Cell:
    return _Cell("RNN", (0,), {"activations": [activation] * options.directions})


def _options(
    has_biases: bool, layers: int, dropout: float, train: bool, bidirectional: bool, batch_first: bool
) -> _Layers:
    if train and dropout:
        raise NotImplementedError("dropout between recurrent layers: call .eval() on the model")
    return _Layers(has_biases, layers, bidirectional, batch_first)


def _recurrent(
    c: Context, cell: _Cell, x: ir.Value, states: Sequence[ir.Value], weights: Sequence[ir.Value], options: _Layers
) -> tuple[ir.Value, ...]:
    """Emit one operator for each layer; torch's axes are (time, batch, width), or batch first, or without batch."""
    each = 4 if options.has_biases else 2
    if len(weights) != each * options.count * options.directions:
        raise NotImplementedError("an LSTM with projections")
    batched = c.rank(x) == 3
    data = x if batched else known(c, c.op("Unsqueeze", x, [1]), [c.sizes_of(x)[0], 1, c.sizes_of(x)[1]])
    data = permuted(c, data, [1, 0, 2]) if options.batch_first and batched else data
    before = [state if batched else c.op("Unsqueeze", state, [1]) for state in states]
    parts = [_by_layer(c, state, options) for state in before]
    finals: list[list[ir.Value]] = [[] for _ in states]
    for layer in range(options.count):
        share = each * options.directions
        own = weights[layer * share : (layer + 1) * share]
        data, last = _layer(c, cell, data, [part[layer] for part in parts], own, options)
        for kept, state in zip(finals, last, strict=True):
            kept.append(state)
    data = permuted(c, data, [1, 0, 2]) if options.batch_first and batched else data
    ends = [kept[0] if len(kept) == 1 else c.op("Concat", *kept, axis=0) for kept in finals]
    if batched:
        return data, *ends
    return c.op("Squeeze", data, [1]), *(c.op("Squeeze", end, [1]) for end in ends)


def _by_layer(c: Context, state: ir.Value, options: _Layers) -> Sequence[ir.Value]:
    if options.count == 1:
        return [state]
    return c.ops("Split", state, c.vector([options.directions] * options.count), outputs=options.count, axis=0)


def _layer(
    c: Context, cell: _Cell, x: ir.Value, states: Sequence[ir.Value], weights: Sequence[ir.Value], options: _Layers
) -> tuple[ir.Value, Sequence[ir.Value]]:
    each = len(weights) // options.directions
    hidden = static(c.sizes_of(weights[1])[1], "a recurrent state")
    steps, batch, _ = c.sizes_of(x)

    def joined(position: int) -> ir.Value:
        turned = [_gates(c, cell, weights[way * each + position], hidden) for way in range(options.directions)]
        wide = [c.op("Unsqueeze", item, [0]) for item in turned]
        return wide[0] if len(wide) == 1 else c.op("Concat", *wide, axis=0)

    bias = c.op("Concat", joined(2), joined(3), axis=1) if options.has_biases else None
    result, *last = c.ops(
        cell.op_type, x, joined(0), joined(1), bias, None, *states, outputs=1 + len(states), hidden_size=hidden,
        direction="bidirectional" if options.bidirectional else "forward", **cell.attributes,
    )  # fmt: skip
    # (time, direction, batch, hidden) -> (time, batch, direction * hidden)
    sizes = [steps, batch, hidden * options.directions]
    if options.directions == 1:
        return known(c, c.op("Squeeze", result, [1]), sizes), last
    turned = c.op("Transpose", result, perm=[0, 2, 1, 3])
    return known(c, c.op("Reshape", turned, [0, 0, hidden * 2]), sizes), last


def _gates(c: Context, cell: _Cell, weight: ir.Value, hidden: int) -> ir.Value:
    """Return a weight or bias with its gates in ONNX's order: a Gather of rows, the weight itself stays upstream's."""
    if len(cell.gates) == 1:
        return weight
    rows = np.concatenate([np.arange(hidden) + gate * hidden for gate in cell.gates])
    return c.op("Gather", weight, c.const(rows, ir.DataType.INT64), axis=0)
