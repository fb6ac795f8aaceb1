"""Recognises the cell of a recurrent layer in a loop's body: LSTM, GRU in both forms, and the plain one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from porters.tensorflow.composites.patterns import made_by, pairs
from porters.tensorflow.node import Edge, Node

# TensorFlow's activation -> ONNX's, where it has no parameters or the same ones by default.
ACTIVATIONS = {
    "Sigmoid": "Sigmoid",
    "Tanh": "Tanh",
    "Relu": "Relu",
    "Softsign": "Softsign",
    "Softplus": "Softplus",
    "Elu": "Elu",
}


@dataclass(frozen=True)
class Cell:
    """A cell, its weights as the source has them: kernels are (in, gates * units), gates in Keras' order.

    Attributes:
        op_type: ONNX's operator.
        gates: For each of ONNX's gates, which of Keras' it is.
        activations: ONNX's, one for each of its functions.
        x: What a round reads of the sequence.
        states: The values of the state before the round: the output first.
        kernels: The kernel on ``x``.
        recurrent: The kernels on the state, beside one another.
        bias: The bias of ``x``'s side, if there is one.
        recurrent_bias: The bias of the state's side, if there is one.
        linear_before_reset: Whether a GRU's reset gate stands behind the product.
    """

    op_type: str
    gates: Sequence[int]
    activations: Sequence[str]
    x: Edge
    states: Sequence[Edge]
    kernel: Edge
    recurrent: Sequence[Edge]
    bias: Edge | None
    recurrent_bias: Edge | None = None
    linear_before_reset: bool = False


class _Affine(NamedTuple):
    """``x @ kernel + bias``."""

    x: Edge
    kernel: Edge
    bias: Edge | None


class _Sums(NamedTuple):
    """``x @ kernel + state @ recurrent + bias``."""

    x: Edge
    kernel: Edge
    recurrent: Edge
    bias: Edge | None


def find_cell(outputs: Sequence[Edge], states: Sequence[Edge]) -> Cell | None:
    """Return the cell that computes ``outputs`` from ``states`` (the output first, then an LSTM's memory)."""
    if len(states) == 2:
        return _lstm(outputs[0], outputs[1], states[0], states[1])
    return _gru(outputs[0], states[0]) or _plain(outputs[0], states[0])


# -- pieces ----------------------------------------------------------------------------------------------------------


def _activation(edge: Edge) -> tuple[str, Edge] | None:
    """Return the activation behind a value, and what it is applied to."""
    kind = ACTIVATIONS.get(edge.node.op)
    return None if kind is None else (kind, edge.node.inputs[0])


def _products(edge: Edge) -> Iterator[tuple[Edge, Edge]]:
    product = made_by(edge, "Mul")
    if product:
        yield from pairs(product)


def _sums(edge: Edge) -> Iterator[tuple[Edge, Edge]]:
    total = made_by(edge, "AddV2", "Add", "BiasAdd")
    if total:
        yield from pairs(total)


def _product(edge: Edge) -> tuple[Edge, Edge] | None:
    """Return the operands of a matrix product without transpositions."""
    node = made_by(edge, "MatMul")
    if node is None or node.attr("transpose_a") or node.attr("transpose_b"):
        return None
    return node.inputs[0], node.inputs[1]


def _affine(edge: Edge) -> _Affine | None:
    plain = _product(edge)
    if plain:
        return _Affine(*plain, None)
    for value, bias in _sums(edge):
        found = _product(value)
        if found and bias.shape is not None and len(bias.shape) == 1:
            return _Affine(*found, bias)
    return None


def _both(edge: Edge, state: Edge) -> _Sums | None:
    """Find ``x @ kernel + state @ recurrent`` and a bias, added first, in between or last."""
    for value, bias in _sums(edge):
        if bias.shape is not None and len(bias.shape) == 1:
            inner = _both(value, state)
            if inner and inner.bias is None:
                return inner._replace(bias=bias)
    for first, second in _sums(edge):
        of_state, of_x = _product(second), _affine(first)
        if of_state and of_x and of_state[0] == state and of_x.x != state:
            return _Sums(of_x.x, of_x.kernel, of_state[1], of_x.bias)
    return None


def _part(edge: Edge, count: int) -> tuple[Edge, int] | None:
    """Return of which value this is which of ``count`` equal parts along the last axis."""
    node = edge.node
    if node.op == "Split":
        axis = node.inputs[0].node.constant
        whole = node.inputs[1]
        last = axis is not None and whole.shape is not None and int(axis) % len(whole.shape) == len(whole.shape) - 1
        return (whole, edge.output) if last and len(node.shapes) == count else None
    if node.op != "StridedSlice" or edge.shape is None:
        return None
    return _sliced(node, count)


def _sliced(node: Node, count: int) -> tuple[Edge, int] | None:
    from porters.tensorflow.masks import resolve

    whole, bounds = node.inputs[0], [item.node.constant for item in node.inputs[1:]]
    if whole.shape is None or whole.shape[-1] is None or any(item is None for item in bounds):
        return None
    begin, end, strides = (item.tolist() for item in bounds if item is not None)
    *rest, last = resolve(node, begin, end, strides, len(whole.shape))
    size = whole.shape[-1] // count
    free = all(item.begin in (None, 0) and item.end is None and item.step == 1 and not item.drop for item in rest)
    low = last.begin or 0
    high = whole.shape[-1] if last.end is None else last.end
    if not free or last.step != 1 or last.drop or whole.shape[-1] % count or high - low != size or low % size:
        return None
    return whole, low // size


def _gate(edge: Edge, count: int) -> tuple[str, Edge, int] | None:
    """Return activation, value and number of a gate that is an activated part of one value."""
    found = _activation(edge)
    part = _part(found[1], count) if found else None
    return (found[0], *part) if found and part else None


# -- the cells -------------------------------------------------------------------------------------------------------


def _lstm(output: Edge, memory: Edge, state: Edge, before: Edge) -> Cell | None:
    """Find ``c = f * c + i * g(z)`` and ``h = o * g(c)``; Keras orders the gates i, f, c, o, ONNX i, o, f, c."""
    for gate, activated in _products(output):
        out, hidden = _gate(gate, 4), _activation(activated)
        if out is None or hidden is None or hidden[1] != memory or out[2] != 3:
            continue
        parts = _memory(memory, before)
        sums = _both(out[1], state)
        if parts is None or sums is None:
            continue
        forget, into, new = parts
        same = {out[1]} == {forget[1], into[1], new[1]} and out[0] == forget[0] == into[0]
        if same and (into[2], forget[2], new[2]) == (0, 1, 2):
            kinds = (out[0], new[0], hidden[0])
            return Cell("LSTM", (0, 3, 1, 2), kinds, sums.x, (state, before), sums.kernel, (sums.recurrent,), sums.bias)
    return None


_Gate = tuple[str, Edge, int]


def _memory(memory: Edge, before: Edge) -> tuple[_Gate, _Gate, _Gate] | None:
    for kept, added in _sums(memory):
        for forget, old in _products(kept):
            for into, new in _products(added):
                found = _gate(forget, 4), _gate(into, 4), _gate(new, 4)
                first, second, third = found
                if old == before and first and second and third and second[2] == 0:
                    return first, second, third
    return None


def _gru(output: Edge, state: Edge) -> Cell | None:
    """Find ``z * h + (1 - z) * g(...)``; Keras orders the gates z, r, h as ONNX does."""
    for kept, added in _sums(output):
        for update, old in _products(kept):
            for rest, new in _products(added):
                complement = made_by(rest, "Sub")
                if old != state or complement is None or complement.inputs[1] != update:
                    continue
                one = complement.inputs[0].node.constant
                if one is None or one.size != 1 or float(one.reshape(())) != 1:
                    continue
                found = _gru_gates(update, new, state)
                if found:
                    return found
    return None


def _gru_gates(update: Edge, new: Edge, state: Edge) -> Cell | None:
    gate, candidate = _activation(update), _activation(new)
    if gate is None or candidate is None:
        return None
    for of_x, of_state in _sums(gate[1]):
        side = _part(of_x, 3)
        if side is None or side[1] != 0:
            continue
        for mine, gated in _sums(candidate[1]):
            if _part(mine, 3) != (side[0], 2):
                continue
            whole = (side[0], of_state, gated, (gate[0], candidate[0]), state)
            found = _reset_after(*whole) or _reset_before(*whole)
            if found:
                return found
    return None


def _is_reset(edge: Edge, x: Edge, of_state: Edge, kind: str, part: tuple[Edge, int]) -> bool:
    """Say whether ``edge`` is the reset gate: the activated sum of the second parts of both sides."""
    found = _activation(edge)
    if found is None or found[0] != kind:
        return False
    return any(
        _part(first, 3) == (x, 1) and _part(second, _parts_of(of_state)) == part for first, second in _sums(found[1])
    )


def _parts_of(edge: Edge) -> int:
    """Return into how many parts a part's whole was cut, by their sizes."""
    node = edge.node
    whole = node.inputs[1] if node.op == "Split" else node.inputs[0]
    mine, full = (edge.shape or (None,))[-1], (whole.shape or (None,))[-1]
    return full // mine if mine and full else 0


def _reset_after(x: Edge, of_state: Edge, gated: Edge, kinds: tuple[str, str], state: Edge) -> Cell | None:
    part = _part(of_state, 3)
    if part is None or part[1] != 0:
        return None
    for reset, product in _products(gated):
        if _part(product, 3) != (part[0], 2) or not _is_reset(reset, x, of_state, kinds[0], (part[0], 1)):
            continue
        mine, theirs = _affine(x), _affine(part[0])
        if mine and theirs and theirs.x == state:
            return Cell(
                "GRU", (0, 1, 2), kinds, mine.x, (state,), mine.kernel, (theirs.kernel,), mine.bias, theirs.bias,
                linear_before_reset=True,
            )  # fmt: skip
    return None


def _reset_before(x: Edge, of_state: Edge, gated: Edge, kinds: tuple[str, str], state: Edge) -> Cell | None:
    part, product = _part(of_state, 2), _product(gated)
    if part is None or part[1] != 0 or product is None:
        return None
    for reset, old in _products(product[0]):
        if old != state or not _is_reset(reset, x, of_state, kinds[0], (part[0], 1)):
            continue
        mine, theirs = _affine(x), _affine(part[0])
        if mine and theirs and theirs.x == state and theirs.bias is None:
            kernels = (theirs.kernel, product[1])
            return Cell("GRU", (0, 1, 2), kinds, mine.x, (state,), mine.kernel, kernels, mine.bias)
    return None


def _plain(output: Edge, state: Edge) -> Cell | None:
    found = _activation(output)
    sums = _both(found[1], state) if found else None
    if found is None or sums is None:
        return None
    return Cell("RNN", (0,), (found[0],), sums.x, (state,), sums.kernel, (sums.recurrent,), sums.bias)
