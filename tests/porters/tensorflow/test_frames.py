"""Control flow of TensorFlow 1: loops and choices of single operations become Loop and If."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from porters.source import SourceOptions, open_source
from zoo.inputs import sample

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1


@pytest.fixture
def frozen(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that writes a graph with control flow of TensorFlow 1 and opens it."""

    def run(build: Callable[..., Any], shape: list[int | None]) -> Any:
        graph = tf.Graph()
        v1.disable_control_flow_v2()
        try:
            with graph.as_default():
                result = build(v1.placeholder(tf.float32, shape, name="x"))
                names = [tf.identity(item, name=f"y{at}").op.name for at, item in enumerate(tf.nest.flatten(result))]
        finally:
            v1.enable_control_flow_v2()
        kinds = {op.type for op in graph.get_operations()}
        assert kinds & {"Switch", "Enter"}, "the graph has control flow of TensorFlow 1"
        (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
        return open_source(f"frozen:{tmp_path}/graph.pb?outputs={','.join(names)}", SourceOptions())

    return run


def loop(x):
    return v1.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, tf.tanh(v) + x), (0, x))


def until(x):
    return v1.while_loop(lambda v: tf.reduce_sum(v) < 50.0, lambda v: [v + 1.0], [tf.abs(x)])


def nested(x):
    def inner(v):
        return v1.while_loop(lambda j, w: j < 2, lambda j, w: (j + 1, w * 0.5 + x), (0, v))[1]

    return v1.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, inner(v)), (0, x))[1]


def arrays(x):
    rows = tf.TensorArray(tf.float32, size=6).unstack(tf.transpose(x))
    held = tf.TensorArray(tf.float32, size=6)

    def once(i, held, before):
        row = rows.read(i)
        return i + 1, held.write(i, tf.tanh(row + before)), row

    _, held, _ = v1.while_loop(lambda i, h, v: i < 6, once, (0, held, tf.zeros([tf.shape(x)[0]])))
    return held.stack(), held.size()


def choice(x):
    return v1.cond(tf.reduce_sum(x) > 0, lambda: x * 2.0, lambda: x - 1.0)


def choice_of_two(x):
    return v1.cond(tf.reduce_sum(x) > 0, lambda: (x * 2.0, x[:, 1:]), lambda: (x - 1.0, tf.zeros_like(x)[:, :5]))


def choices(x):
    less = lambda: v1.cond(x[0, 0] > 0, lambda: x + 3.0, lambda: -x)  # noqa: E731
    return v1.cond(tf.reduce_max(x) > 1, lambda: x / 2.0, less)


def constant_side(x):
    return v1.cond(tf.reduce_sum(x) > 0, lambda: x * 2.0, lambda: tf.ones([1, 6]))


def choice_in_a_loop(x):
    once = lambda v: v1.cond(tf.reduce_sum(v) > 1, lambda: v / 2.0, lambda: v + 1.0)  # noqa: E731
    return v1.while_loop(lambda i, v: i < 4, lambda i, v: (i + 1, once(v)), (0, x))[1]


def loop_in_a_choice(x):
    inner = lambda: v1.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, tf.sin(v)), (0, x))[1]  # noqa: E731
    return v1.cond(tf.reduce_sum(x) > 0, inner, lambda: x)


CASES = {
    "loop": (loop, {"Loop": 1}),
    "until": (until, {"Loop": 1}),
    "nested": (nested, {"Loop": 1}),
    "arrays": (arrays, {"Loop": 1}),
    "choice": (choice, {"If": 1}),
    "choice-of-two": (choice_of_two, {"If": 2}),
    "choices": (choices, {"If": 1}),
    "constant-side": (constant_side, {"If": 1}),
    "choice-in-a-loop": (choice_in_a_loop, {"Loop": 1, "If": 0}),
    "loop-in-a-choice": (loop_in_a_choice, {"If": 1, "Loop": 0}),
}


@pytest.mark.parametrize("name", CASES)
def test_control_flow_of_tensorflow_1(frozen, check_original, name):
    build, wanted = CASES[name]
    original = frozen(build, [None, 6])
    ported = check_original(original, (1,) if name == "constant-side" else (1, 3))
    assert {op: ported.count(op) for op in wanted} == wanted
    feed = sample(original.inputs, 0, 1, {"batch": 1})
    own, truth = original.run(feed), original.run(feed, "float64")
    for key, value in own.items():
        np.testing.assert_allclose(truth[key], value, rtol=1e-4, atol=1e-5)


def test_a_phase_that_is_certain_is_no_choice(frozen, check_original):
    def build(x):
        training = v1.placeholder_with_default(False, [], name="training")
        return v1.cond(training, lambda: v1.py_func(np.sin, [x], tf.float32), lambda: tf.tanh(x))

    assert set(check_original(frozen(build, [None, 6])).ops) == {"Tanh"}


@pytest.mark.parametrize("cell", ["lstm", "plain"])
def test_a_recurrent_network_of_tensorflow_1(frozen, check_original, cell):
    """TensorFlow 1 wrote an LSTM with one kernel on input and state side by side."""
    random = np.random.default_rng(0)
    kernel = tf.constant(random.normal(size=(10, 16)).astype(np.float32) / 3).numpy()

    def step(x, c, h):
        i, j, f, o = tf.split(tf.matmul(tf.concat([x, h], 1), kernel), 4, axis=1)
        c = tf.sigmoid(f + 1.0) * c + tf.sigmoid(i) * tf.tanh(j)
        return c, tf.sigmoid(o) * tf.tanh(c)

    def build(s):
        rows = tf.TensorArray(tf.float32, size=5).unstack(tf.transpose(s, [1, 0, 2]))
        held = tf.TensorArray(tf.float32, size=5)
        zero = tf.zeros([tf.shape(s)[0], 4])

        def once(i, held, c, h):
            c, h = step(rows.read(i), c, h) if cell == "lstm" else (c, tf.tanh(rows.read(i)[:, :4] + h))
            return i + 1, held.write(i, h), c, h

        _, held, _, h = v1.while_loop(lambda i, *_: i < 5, once, (0, held, zero, zero))
        return tf.transpose(held.stack(), [1, 0, 2]), h

    check_original(frozen(build, [None, 5, 6]))
