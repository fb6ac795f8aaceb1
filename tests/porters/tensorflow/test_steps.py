"""A traced graph run operation by operation: in two precisions, from known results on, holding what is still read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from porters.porter import PrecisionUnavailableError
from porters.source import SourceOptions, open_source
from porters.tensorflow.flatten import flatten
from porters.tensorflow.program import Program
from porters.tensorflow.sources import open_live
from porters.tensorflow.trace import trace
from zoo.inputs import InputSpec, sample

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
layers = keras.layers
IMAGE = InputSpec("x", "float32", ("batch", 7, 6, 4))
VOLUME = InputSpec("x", "float32", ("batch", 5, 7, 6, 2))


def program(function: Any, *specs: InputSpec) -> Program:
    traced = trace(function, list(specs), {})
    return Program(flatten(traced.graph, traced.captured, traced.layer_of))


def deep(depth: int) -> Any:
    """Return a chain of convolutions, every other one with a shortcut."""
    x = value = keras.Input((8, 8, 3), name="x")
    for place in range(depth):
        made = layers.Conv2D(3, 3, padding="same", activation="tanh", name=f"conv_{place}")(value)
        value = layers.Add(name=f"sum_{place}")([made, value]) if place % 2 else made
    return keras.Model(x, layers.Dense(4, name="head")(layers.GlobalAveragePooling2D(name="pool")(value)), name="deep")


def test_steps_are_the_model_in_both_precisions():
    original = open_live(deep(4), SourceOptions())
    steps, feed = original.steps(original.inputs), sample(original.inputs, 0)
    last = steps.handles()[-1]
    (step,) = steps.walk(feed, [last])
    np.testing.assert_allclose(step.own, original.run(feed)["head"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(step.truth, original.run(feed, "float64")["head"])
    assert (step.own.dtype, step.truth.dtype) == (np.float32, np.float64)


def test_a_result_is_known_by_the_order_of_its_axes_and_computed_from_one_before_it():
    original = open_live(deep(4), SourceOptions())
    steps, feed = original.steps(original.inputs), sample(original.inputs, 0)
    moved = [handle for handle in steps.handles() if handle.endswith("[0,3,1,2]")]
    assert len(moved) >= 8, "convolutions and what follows stand channels first in the port"
    found = {step.handle: step for step in steps.walk(feed, moved)}
    assert list(found) == moved
    assert {step.own.shape[1] for step in found.values()} == {3}
    first, second = moved[0], moved[-1]
    truth = found[first].truth
    np.testing.assert_allclose(steps.single([second], {first: truth})[second], found[second].truth, rtol=1e-12)
    changed = steps.single([second], {first: truth + 1})[second]
    assert np.abs(changed - found[second].truth).max() > 1e-3


def test_nothing_is_held_that_nothing_to_come_reads(monkeypatch):
    original = open_live(deep(20), SourceOptions())
    steps, feed = original.steps(original.inputs), sample(original.inputs, 0)
    held: list[int] = []
    release = Program.release

    def counted(node, left, *chains):
        held.append(max(len(chain.held) for chain in chains))
        release(node, left, *chains)
        held.append(max(len(chain.held) for chain in chains))

    monkeypatch.setattr(Program, "release", staticmethod(counted))
    assert len(list(steps.walk(feed, steps.handles()))) == len(steps.handles()) > 60
    assert max(held) <= 4, "a result, a value and a bias that it is computed from, and a shortcut"
    assert held[-1] == 0


def test_two_builds_of_a_model_have_the_same_handles():
    def built() -> list[str]:
        original = open_source("python:parity.selftest.subjects:keras_tagger", SourceOptions())
        original.run(sample(original.inputs, 0))  # as a check does before it looks at the layers
        return list(original.steps(original.inputs).handles())

    first = built()
    deep(2)  # takes names
    assert built() == first
    assert len(set(first)) == len(first)


ALONE = {
    "batch-norm": (IMAGE, lambda x: tf.compat.v1.nn.fused_batch_norm(
        x, [1.0, 2, 3, 4], [0.5, 0, 1, 2], [0.1, 0.2, 0.3, 0.4], [1.0, 2, 0.5, 1], is_training=False)[0]),
    "bilinear": (IMAGE, lambda x: tf.image.resize(x, (11, 4))),
    "bilinear-corners": (IMAGE, lambda x: tf.compat.v1.image.resize_bilinear(x, (3, 11), align_corners=True)),
    "bilinear-tf1": (IMAGE, lambda x: tf.compat.v1.image.resize_bilinear(x, (13, 4))),
    "bicubic": (IMAGE, lambda x: tf.image.resize(x, (11, 4), method="bicubic")),
    "bicubic-tf1": (IMAGE, lambda x: tf.compat.v1.image.resize_bicubic(x, (11, 4))),
    "max-pool": (VOLUME, lambda x: tf.nn.max_pool3d(x, (2, 3, 2), (1, 2, 2), "SAME")),
    "average-pool": (VOLUME, lambda x: tf.nn.avg_pool3d(x, (3, 2, 3), (2, 1, 2), "SAME")),
    "average-pool-valid": (VOLUME, lambda x: tf.nn.avg_pool3d(x, (3, 2, 3), (2, 1, 2), "VALID")),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_what_tensorflow_has_no_float64_for_is_computed_by_its_definition(name):
    spec, function = ALONE[name]
    run = program(function, spec)
    feed = sample([spec], 0)["x"]
    (own,), (truth,) = run.run([feed], wide=False), run.run([feed], wide=True)
    assert (own.dtype, truth.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(own, function(tf.constant(feed)))
    np.testing.assert_allclose(truth, own, rtol=0, atol=2e-6 * np.abs(own).max())
    assert not np.array_equal(truth, own.astype(np.float64)) or name == "max-pool", "more digits than float32 has"


def test_what_cannot_be_run_in_float64_is_named():
    boxes = np.array([[0.1, 0.1, 0.9, 0.8]], np.float32)
    run = program(lambda x: tf.image.crop_and_resize(x, boxes, [0], (3, 3)), IMAGE)
    feed = sample([IMAGE], 0)["x"]
    assert run.run([feed], wide=False)[0].shape == (1, 3, 3, 4)
    with pytest.raises(PrecisionUnavailableError, match=r"CropAndResize .* does not run in float64"):
        run.run([feed], wide=True)


def test_sizes_are_known_without_the_value_that_has_them():
    original = open_live(
        tf.function(lambda x: tf.reshape(tf.tanh(tf.exp(x)), [tf.shape(tf.exp(x))[0], -1])), SourceOptions([IMAGE])
    )
    steps, feed = original.steps(original.inputs), sample([IMAGE], 0, 0, {"batch": 2})
    found = {step.handle: step for step in steps.walk(feed, steps.handles())}
    alone = steps.single(["Reshape"], {"Tanh": found["Tanh"].own[:1]})
    assert alone["Reshape"].shape == (2, 84), "the batch of the walk"


class Crop(layers.Layer):
    """Cuts a part out of the first image, which TensorFlow does in float32 only."""

    def call(self, x):
        return tf.image.crop_and_resize(x, [[0.1, 0.1, 0.9, 0.8]], [0], (3, 3))


def test_keras_builds_a_model_anew_where_its_graph_has_no_float64():
    x = keras.Input((7, 6, 4), name="x")
    original = open_live(keras.Model(x, layers.Dense(5, name="dense")(Crop()(x))), SourceOptions())
    feed = sample(original.inputs, 0, 0, {"batch": 1})
    own, truth = (original.run(feed, precision)["dense"] for precision in ("own", "float64"))
    assert (own.dtype, truth.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(truth, own, atol=1e-5)
