"""Keras' recurrent layers over the grid of their options."""

from __future__ import annotations

import itertools

import pytest

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


@pytest.mark.parametrize(("kind", "options"), itertools.product(KINDS, GRID))
def test_options(check, kind, options):
    ported = check(built(KINDS[kind](4, **GRID[options])))
    wanted = {"SimpleRNN": "RNN"}.get(kind, kind)
    if options != "unrolled":
        assert ported.count(wanted) == 1
        assert ported.count("Loop") == 0


@pytest.mark.parametrize("kind", KINDS)
def test_masks(check, kind):
    check(built(KINDS[kind](4, return_sequences=True), mask=True))


@pytest.mark.parametrize("kind", KINDS)
def test_open_steps(check, kind):
    check(built(KINDS[kind](4, return_sequences=True), steps=None))
