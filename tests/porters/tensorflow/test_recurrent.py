"""Keras' recurrent layers over the grid of their options."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from porters.source import SourceOptions
from porters.tensorflow.sources import open_live
from zoo import executor
from zoo.inputs import InputSpec

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
layers = keras.layers

KINDS = {"LSTM": layers.LSTM, "GRU": layers.GRU, "SimpleRNN": layers.SimpleRNN}


def seeded(model):
    """Give biases and norms values that are not their neutral ones."""
    keras.utils.set_random_seed(3)
    for weight in model.weights:
        weight.assign(keras.random.normal(weight.shape, stddev=0.4))
    return model


def built(layer, steps=5, width=3, mask=False):
    x = keras.Input((steps, width), name="x")
    value = layers.Masking()(x) if mask else x
    return seeded(keras.Model(x, layer(value)))


GRID = {
    "plain": {},
    "sequences": {"return_sequences": True},
    "states": {"return_state": True, "return_sequences": True},
    "state": {"return_state": True},
    "backwards": {"go_backwards": True, "return_sequences": True},
    "no-bias": {"use_bias": False},
    "relu": {"activation": "relu", "return_sequences": True},
    "unrolled": {"unroll": True, "return_sequences": True},
}


# Of the three kinds one stands for all; the others and what is unrolled run in `make thorough`.
QUICK = "GRU"
EACH = [pytest.param(kind, marks=[] if kind == QUICK else [pytest.mark.thorough]) for kind in KINDS]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param(kind, name, marks=[] if kind == QUICK and name != "unrolled" else [pytest.mark.thorough])
        for kind, name in itertools.product(KINDS, GRID)
    ],
)
def test_options(check, kind, options):
    ported = check(built(KINDS[kind](4, **GRID[options])))
    wanted = {"SimpleRNN": "RNN"}.get(kind, kind)
    if options != "unrolled":
        assert ported.count(wanted) == 1
        assert ported.count("Loop") == 0


MORE = {
    "reset-before": (lambda: layers.GRU(4, reset_after=False, return_sequences=True), {"GRU": 1}),
    "reset-before-state": (lambda: layers.GRU(4, reset_after=False, use_bias=False, return_state=True), {"GRU": 1}),
    "bidirectional": (lambda: layers.Bidirectional(layers.LSTM(4, return_sequences=True)), {"LSTM": 1, "Slice": 0}),
    "bidirectional-last": (lambda: layers.Bidirectional(layers.GRU(4), merge_mode="sum"), {"GRU": 1, "Slice": 0}),
    "bidirectional-states": (lambda: layers.Bidirectional(layers.LSTM(3, return_state=True)), {"LSTM": 1}),
    "bidirectional-plain": (lambda: layers.Bidirectional(layers.SimpleRNN(3, activation="relu")), {"RNN": 1}),
    "bidirectional-list": (
        lambda: layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode=None),
        {"GRU": 1, "Slice": 0},
    ),
    "backwards-last": (lambda: layers.LSTM(4, go_backwards=True), {"LSTM": 1, "Slice": 0}),
    "unlike": (
        lambda: layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(4, go_backwards=True)),
        {"GRU": 2},
    ),
    "hard-gates": (lambda: layers.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True), {"Loop": 1}),
    "linear": (lambda: layers.SimpleRNN(4, activation=None, return_sequences=True), {"Loop": 1}),
    "implementation-1": (lambda: layers.LSTM(4, implementation=1, return_sequences=True), {}),
    "cells": (lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)], return_sequences=True), {"Loop": 1}),
    "stacked-states": (lambda: layers.RNN([layers.SimpleRNNCell(3), layers.SimpleRNNCell(4)], return_state=True), {}),
    "distributed": (lambda: layers.TimeDistributed(layers.Dense(4)), {"Loop": 0}),
}


# One of each kind; the others at length.
QUICK = ("bidirectional-list", "cells", "distributed")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.thorough]) for name in MORE]
)
def test_layers(check, name):
    build, wanted = MORE[name]
    ported = check(built(build()))
    assert {op: ported.count(op) for op in wanted} == wanted


class Leaky(layers.Layer):
    """A cell of the user's own."""

    state_size = output_size = 3

    def call(self, x, states):
        state = 0.9 * states[0] + keras.ops.tanh(x)
        return state * 2.0, [state]


def test_a_cell_of_the_users_own_is_a_loop(check):
    ported = check(built(layers.RNN(Leaky(), return_sequences=True)))
    assert ported.count("Loop") == 1


@pytest.mark.parametrize("rank", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_convolutions_over_time(check, rank):
    kind = {1: layers.ConvLSTM1D, 2: layers.ConvLSTM2D}[rank]
    x = keras.Input((4, *(6, 5)[:rank], 2), name="x")
    ported = check(seeded(keras.Model(x, kind(3, 3, padding="same", return_sequences=True)(x))))
    assert ported.count("Loop") == 1


def test_a_state_may_be_given(check):
    x, state = keras.Input((5, 3), name="x"), keras.Input((4,), name="state")
    ported = check(seeded(keras.Model([x, state], layers.GRU(4)(x, initial_state=state))))
    assert ported.count("GRU") == 1


def test_directions_that_wait_for_one_another_stay_two(check):
    x = keras.Input((5, 3), name="x")
    forward, *state = layers.LSTM(4, return_state=True)(x)
    backward = layers.LSTM(4, go_backwards=True)(x, initial_state=state)
    assert check(seeded(keras.Model(x, [forward, backward]))).count("LSTM") == 2


def test_both_directions_start_from_given_states(check):
    x, state = keras.Input((5, 3), name="x"), keras.Input((4,), name="state")
    layer = layers.Bidirectional(layers.GRU(4, return_sequences=True))
    ported = check(seeded(keras.Model([x, state], layer(x, initial_state=[state, 2.0 * state]))))
    assert ported.count("GRU") == 1


def test_results_that_are_read_from_behind_keep_the_reversed_sequence(check):
    x = keras.Input((5, 3), name="x")
    back = layers.GRU(4, go_backwards=True, return_sequences=True)(x)
    ported = check(seeded(keras.Model(x, [back, keras.ops.flip(back, axis=1)])))
    assert ported.count("GRU") == 1


def test_tokens_that_pad_are_masked(check):
    x = keras.Input((6,), dtype="int32", name="x")
    value = layers.Embedding(7, 4, mask_zero=True)(x)
    check(seeded(keras.Model(x, layers.Bidirectional(layers.LSTM(3, return_sequences=True))(value))))


@pytest.mark.parametrize("kind", EACH)
def test_masks(check, kind):
    check(built(KINDS[kind](4, return_sequences=True), mask=True))


@pytest.mark.parametrize("kind", EACH)
def test_open_steps(check, kind):
    check(built(KINDS[kind](4, return_sequences=True), steps=None))


class Shown(layers.Layer):
    """The mask of the first so many steps."""

    def call(self, x, lengths):
        return tf.sequence_mask(lengths, tf.shape(x)[1])

    def compute_output_spec(self, x, lengths):
        return keras.KerasTensor((None, x.shape[1]), "bool")


MASKED = {
    "repeats": (lambda: layers.GRU(4, return_sequences=True), "GRU"),
    "zeros": (lambda: layers.LSTM(4, return_sequences=True, zero_output_for_mask=True), "LSTM"),
    "last": (lambda: layers.LSTM(4, return_state=True), "LSTM"),
    "plain": (lambda: layers.SimpleRNN(4), "RNN"),
    "backwards": (lambda: layers.GRU(4, go_backwards=True), "GRU"),
    "both": (lambda: layers.Bidirectional(layers.LSTM(4, return_sequences=True)), "LSTM"),
    "both-last": (lambda: layers.Bidirectional(layers.GRU(4)), "GRU"),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "both" else [pytest.mark.thorough]) for name in MASKED]
)
@pytest.mark.parametrize("steps", [5, pytest.param(None, marks=pytest.mark.thorough)])
def test_masks_of_prefixes_are_lengths(check, name, steps):
    build, wanted = MASKED[name]
    x, lengths = keras.Input((steps, 3), name="x"), keras.Input((), dtype="int32", name="lengths")
    model = seeded(keras.Model([x, lengths], build()(x, mask=Shown()(x, lengths))))
    time = "time" if steps is None else steps
    specs = [
        InputSpec("x", "float32", ("batch", time, 3), sizes={"time": 4}),
        InputSpec("lengths", "int32", ("batch",), high=5),
    ]
    ported = check(model, specs)
    assert (ported.count(wanted), ported.count("Loop")) == (1, 0)


def test_states_that_a_layer_keeps_are_inputs_and_outputs(check):
    x = keras.Input((5, 3), batch_size=2, name="x")
    value = layers.LSTM(4, stateful=True, return_sequences=True, name="first")(x)
    ported = check(seeded(keras.Model(x, layers.GRU(3, stateful=True, name="second")(value))), batches=(2,))
    assert [spec.name for spec in ported.original.inputs] == [
        "x", "first/state_0", "first/state_1", "second/state_0",
    ]  # fmt: skip
    assert list(ported.original.outputs)[1:] == ["first/next_state_0", "first/next_state_1", "second/next_state_0"]
    assert (ported.count("LSTM"), ported.count("GRU"), ported.count("Loop")) == (1, 1, 0)
    assert any("first/next_state_1" in note for note in ported.original.details["notes"])
    again = open_live(ported.original.model, SourceOptions(inputs=ported.original.inputs))
    assert again.inputs == ported.original.inputs


def test_both_directions_keep_states_of_their_own(check):
    x = keras.Input((5, 3), batch_size=2, name="x")
    model = keras.Model(x, layers.Bidirectional(layers.GRU(4, stateful=True), name="both")(x))
    ported = check(seeded(model), batches=(2,))
    assert (len(ported.original.inputs), ported.count("GRU")) == (3, 1)


def test_two_calls_are_one_of_twice_the_steps(check):
    x = keras.Input((4, 3), batch_size=1, name="x")
    model = seeded(keras.Model(x, layers.GRU(4, stateful=True, name="gru")(x)))
    ported = check(model, batches=(1,))
    steps = np.random.default_rng(0).standard_normal((1, 8, 3)).astype(np.float32)
    state = np.zeros((1, 4), np.float32)
    with executor.load(ported.file, threads=1) as session:
        for part in (steps[:, :4], steps[:, 4:]):
            got = session.run({"x": part, "gru/state_0": state})
            state = got["gru/next_state_0"]
            want = model(part)
    np.testing.assert_allclose(got[ported.original.outputs[0]], want, rtol=1e-5, atol=1e-6)
    assert np.array_equal(model.get_layer("gru").states[0].numpy(), want)


def test_a_mask_with_holes_and_one_that_starts_from_a_state_are_loops(check):
    x, state = keras.Input((4, 3), name="x"), keras.Input((4,), name="state")
    holes = layers.GRU(4)(x, mask=np.array([[True, False, True, True]]))
    first = layers.GRU(4)(x, mask=np.array([[True, True, False, False]]), initial_state=state)
    assert check(seeded(keras.Model([x, state], [holes, first])), batches=(1,)).count("Loop") == 2
