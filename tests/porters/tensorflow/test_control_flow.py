"""Control flow: loops, choices, calls and lists of tensors, in the port and in float64."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.inputs import InputSpec, sample

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
layers = keras.layers
ROW = InputSpec("x", "float32", ("batch", 6))
IMAGE = InputSpec("x", "float32", ("batch", 8, 6, 3))
STEPS = InputSpec("x", "float32", ("batch", 5, 3))
OPEN = InputSpec("x", "float32", ("batch", "time", 3), sizes={"time": 7})


def rounds(count, step, *initial):
    """Return what ``count`` rounds make of ``initial``; a round gets its number first."""
    return tf.while_loop(lambda i, *_: i < count, lambda i, *v: (i + 1, *step(i, *v)), (0, *initial))[1:]


def real(i):
    return tf.cast(i, tf.float32)


def doubled(x):
    return tf.while_loop(lambda i, v: tf.reduce_sum(v) < 100.0, lambda i, v: (i + 1, v + 1.0), (0, tf.abs(x)))


def growing(x):
    shapes = (tf.TensorShape([]), tf.TensorShape([None, None]))
    return tf.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, tf.concat([v, v[:, :2]], 1)), (0, x), shapes)


def collected(x):
    return rounds(4, lambda i, h: [h.write(i, x * real(i))], tf.TensorArray(tf.float32, size=4))[0].stack()


def half_collected(x):
    return rounds(2, lambda i, h: [h.write(i, x + 1.0)], tf.TensorArray(tf.float32, size=4))[0].stack()


def stopped_by_data(x):
    held = tf.TensorArray(tf.float32, size=9, element_shape=[6])
    i, held, _ = tf.while_loop(
        lambda i, h, v: (i < 9) & (tf.reduce_sum(v) < 40.0),
        lambda i, h, v: (i + 1, h.write(i, v[0]), tf.abs(v) + 1.0),
        (0, held, x),
    )
    return i, held.stack()


def backwards(x):
    held = tf.TensorArray(tf.float32, size=3)
    return rounds(3, lambda i, h: [h.write(2 - i, tf.gather(x, i, axis=1))], held)[0].stack()


def read_again(x):
    """Return a list of which each round reads what an earlier one has written."""
    held = tf.TensorArray(tf.float32, size=5, clear_after_read=False).write(0, x).write(1, x + 1.0)
    return rounds(3, lambda i, h: [h.write(i + 2, h.read(i) + h.read(i + 1))], held)[0].stack()


def sometimes_written(x):
    """Return a list that a round writes only where a condition holds."""
    held = tf.TensorArray(tf.float32, size=4)
    wanted = lambda i: tf.reduce_sum(x) > real(i)  # noqa: E731
    step = lambda i, h: [tf.cond(wanted(i), lambda: h.write(i, x * 2.0), lambda: h.write(i, x))]  # noqa: E731
    (both,) = rounds(4, step, held)
    (some,) = rounds(4, lambda i, h: [tf.cond(tf.equal(i % 2, 0), lambda: h.write(i, x), lambda: h)], held)
    return both.stack(), some.stack()


@tf.function
def written_as_python(x):
    """Loops and choices that AutoGraph reads from Python."""
    total, rows = tf.zeros_like(x[:, 0]), tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    for i in tf.range(6):
        if tf.reduce_sum(total) > 3.0:
            break
        total += tf.gather(x, i, axis=1)
        rows = rows.write(i, tf.tanh(total))
    for column in tf.transpose(x):
        if tf.reduce_mean(column) > 0.0:
            total = total * 0.5 + column
        else:
            total -= 1.0
    while tf.reduce_max(tf.abs(total)) > 2.0:
        total /= 2.0
    return total, rows.stack()


def pushed(x):
    held = tf.raw_ops.EmptyTensorList(element_shape=[-1, 6], max_num_elements=-1, element_dtype=tf.float32)
    push = tf.raw_ops.TensorListPushBack
    (held,) = rounds(3, lambda i, h: [push(input_handle=h, tensor=x / (1.0 + real(i)))], held)
    return tf.raw_ops.TensorListStack(input_handle=held, element_shape=[-1, 6], element_dtype=tf.float32)


def grown_list(x):
    held = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    return rounds(3, lambda i, h: [h.write(i, x + real(i))], held)[0].stack()


def dynamic(x):
    held = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    for i in range(3):
        held = held.write(i, x + float(i))
    return held.stack(), held.read(1)


def chosen(x):
    return tf.cond(tf.reduce_sum(x) > 0, lambda: (x * 2, x[:, :2]), lambda: (x - 1, x[:, 3:5]))


def nested(x):
    def inner(v):
        return tf.cond(tf.reduce_max(v) > 1, lambda: v / 2, lambda: tf.cond(v[0, 0] > 0, lambda: v + 1, lambda: -v))

    return rounds(4, lambda i, v: [inner(v)], x)


def loop_in_a_loop(x):
    return rounds(3, lambda i, v: rounds(2, lambda j, w: [tf.tanh(w + real(i * j))], v), x)


def switched(x):
    place = tf.cast(tf.reduce_sum(x), tf.int32)
    return tf.switch_case(place, [lambda: x + 1, lambda: x * 3, lambda: -x])


def convolution(x):
    kernel = tf.reshape(tf.range(81, dtype=tf.float32) / 400, [3, 3, 3, 3])
    return tf.nn.conv2d(x, kernel, 1, "SAME")


def convolved(x):
    return tf.nn.max_pool2d(rounds(3, lambda i, v: [tf.tanh(convolution(v))], x)[0], 2, 2, "VALID")


def convolved_in_a_branch(x):
    y = convolution(x)
    return convolution(tf.cond(tf.reduce_sum(x) > 0, lambda: convolution(y), lambda: y))


class Called:
    """Calls functions that read one variable, inside a loop and outside."""

    weight = None

    def __call__(self, x):
        if self.weight is None:
            self.weight = tf.Variable(np.arange(36, dtype=np.float32).reshape(6, 6) / 36, name="weight")
        step = tf.function(lambda v: tf.matmul(v, self.weight))
        return rounds(2, lambda i, v: [step(v)], x)[0] + step(x)


def two_maps(x):
    return tf.map_fn(lambda r: (r[0] + r[1], r[0][:2]), (x, x * 2), fn_output_signature=(tf.float32, tf.float32))


def in_time(x):
    return tf.transpose(x, [1, 0, 2])


CASES = {
    "until": (ROW, doubled),
    "growing": (ROW, growing),
    "collected": (ROW, collected),
    "from-two": (ROW, lambda x: tf.while_loop(lambda i, v: i < 6, lambda i, v: (i + 1, v * 0.5 + real(i)), (2, x))),
    "half-collected": (ROW, half_collected),
    "stopped-by-data": (ROW, stopped_by_data),
    "backwards": (ROW, backwards),
    "read-again": (ROW, read_again),
    "sometimes-written": (ROW, sometimes_written),
    "written-as-python": (ROW, written_as_python),
    "pushed": (ROW, pushed),
    "grown-list": (ROW, grown_list),
    "dynamic": (ROW, dynamic),
    "map": (ROW, lambda x: tf.map_fn(lambda row: row * tf.reduce_sum(row), x)),
    "map-two": (ROW, two_maps),
    "scan": (STEPS, lambda x: tf.scan(lambda a, e: tf.tanh(a + e), in_time(x))),
    "scan-reversed": (STEPS, lambda x: tf.scan(lambda a, e: a * 0.5 + e, in_time(x), reverse=True)),
    "open-steps": (OPEN, lambda x: tf.scan(lambda a, e: tf.tanh(a + e), in_time(x))),
    "fold": (STEPS, lambda x: tf.foldl(lambda a, e: a * e + 1.0, in_time(x))),
    "cond": (ROW, chosen),
    "nested": (ROW, nested),
    "loop-in-a-loop": (ROW, loop_in_a_loop),
    "case": (ROW, switched),
    "certain": (ROW, lambda x: tf.cond(tf.constant(True), lambda: x + 1, lambda: x - 1)),
    "convolutions": (IMAGE, convolved),
    "convolution-in-a-branch": (IMAGE, convolved_in_a_branch),
    "calls": (ROW, Called()),
    "split": (ROW, lambda x: tf.TensorArray(tf.float32, size=2).split(tf.transpose(x), [3, 3]).stack()),
    "concat": (ROW, lambda x: tf.TensorArray(tf.float32, size=6).unstack(tf.transpose(x)).concat()),
    "gather": (ROW, lambda x: tf.TensorArray(tf.float32, size=6).unstack(tf.transpose(x)).gather([4, 1, 1])),
    "scatter": (ROW, lambda x: tf.TensorArray(tf.float32, size=3).scatter([2, 0, 1], tf.transpose(x)[:3]).stack()),
}


@pytest.mark.parametrize("name", CASES)
def test_control_flow(check, name):
    spec, function = CASES[name]
    ported = check(function if hasattr(function, "get_concrete_function") else tf.function(function), [spec])
    feed = sample([spec], 0, 1, {"batch": 2})
    own, truth = ported.original.run(feed), ported.original.run(feed, "float64")
    for key, value in own.items():
        np.testing.assert_allclose(truth[key], value, rtol=1e-4, atol=1e-5)
        assert truth[key].dtype == (np.float64 if value.dtype == np.float32 else value.dtype)


@pytest.mark.parametrize(("name", "count"), [("from-two", 4), ("collected", 4), ("until", None)])
def test_how_often_a_loop_runs_is_known_where_it_only_counts(check, name, count):
    spec, function = CASES[name]
    model = check(tf.function(function), [spec]).translation.model
    (loop,) = [node for node in model.graph if node.op_type == "Loop"]
    trips = loop.inputs[0]
    known = None if trips is None or trips.const_value is None else int(trips.const_value.numpy())
    assert known == count
