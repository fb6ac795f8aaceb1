"""Random operations: the port draws from the same distribution, and its card says that the numbers are others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from porters.from_tensorflow import PORTER
from porters.source import SourceOptions
from porters.tensorflow.sources import open_live
from zoo import store
from zoo.executors import onnxruntime
from zoo.inputs import InputSpec

tf = pytest.importorskip("tensorflow")
COUNT = 20_000
ROWS = InputSpec("x", "float32", ("batch", 4))


def drawn(tmp_path: Any, function: Any) -> tuple[np.ndarray, list[str]]:
    """Return what the port of ``function`` draws for a batch, and the notes for its card."""
    original = open_live(tf.function(function), SourceOptions(inputs=(ROWS,)))
    translation = PORTER.translate(original)
    store.save(translation.model, tmp_path)
    feed = {"x": np.tile(np.log([[0.1, 0.2, 0.3, 0.4]]), (COUNT, 1)).astype(np.float32)}
    with onnxruntime.load(tmp_path / "model.onnx") as session:
        (got,) = session.run(feed).values()
    (want,) = original.run(feed).values()
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    return got, translation.notes


# Name -> function of x, mean, deviation, limits.
DISTRIBUTIONS = {
    "uniform": (lambda x: tf.random.uniform(tf.shape(x), seed=3), 0.5, 12**-0.5, 0.0, 1.0),
    "normal": (lambda x: tf.random.normal(tf.shape(x), seed=3), 0.0, 1.0, -9.0, 9.0),
    "truncated": (lambda x: tf.random.truncated_normal(tf.shape(x), seed=3), 0.0, 0.8796, -2.0, 2.0),
    "integers": (lambda x: tf.random.uniform(tf.shape(x), -2, 3, tf.int32), 0.0, 2**0.5, -2, 2),
    "stateless": (lambda x: tf.random.stateless_uniform(tf.shape(x), [1, 2]), 0.5, 12**-0.5, 0.0, 1.0),
    "stateless-normal": (lambda x: tf.random.stateless_normal(tf.shape(x), [1, 2]), 0.0, 1.0, -9.0, 9.0),
    "classes": (lambda x: tf.random.categorical(x, 2), 2.0, 1.0, 0, 3),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_distribution_is_the_same(tmp_path, name):
    function, mean, deviation, low, high = DISTRIBUTIONS[name]
    got, notes = drawn(tmp_path, function)
    assert abs(got.mean() - mean) < 0.05
    assert abs(got.std() - deviation) < 0.05
    assert low <= got.min() <= got.max() <= high
    assert any("draw random numbers" in note for note in notes)


def test_a_shuffle_is_a_permutation(tmp_path):
    got, _ = drawn(tmp_path, lambda x: tf.random.shuffle(tf.range(tf.shape(x)[0]), seed=1))
    assert sorted(got) == list(range(COUNT))
    assert list(got) != list(range(COUNT))


def test_constant_seeds_and_sizes_are_computed_exactly(tmp_path):
    def function(x):
        return x[:5] + tf.random.stateless_normal([5, 4], [7, 8])

    original = open_live(tf.function(function), SourceOptions(inputs=(ROWS,)))
    translation = PORTER.translate(original)
    assert not translation.notes
    store.save(translation.model, tmp_path)
    feed = {"x": np.ones((6, 4), np.float32)}
    with onnxruntime.load(tmp_path / "model.onnx") as session:
        np.testing.assert_array_equal(*(next(iter(run(feed).values())) for run in (session.run, original.run)))
