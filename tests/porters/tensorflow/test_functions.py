"""A ``tf.function`` of raw TensorFlow operations: the port computes what they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from porters.porter import PrecisionUnavailableError
from zoo.inputs import InputSpec

tf = pytest.importorskip("tensorflow")
ROW = InputSpec("x", "float32", ("batch", 6))
GRID = InputSpec("x", "float32", ("batch", 4, 6))
IMAGE = InputSpec("x", "float32", ("batch", 8, 6, 4))
POSITIVE = InputSpec("x", "float32", ("batch", 6), mean=4.0, std=0.3)
COUNTS = InputSpec("x", "int32", ("batch", 6), "tokens", low=-9, high=9)


def masks(x: Any) -> list[Any]:
    """Return slices that use every mask."""
    return [
        x[:, 1], x[:, -1], x[:, 1:3], x[:, ::2], x[:, ::-1, 2:], x[..., 1], x[:, tf.newaxis], x[..., tf.newaxis, 2:-1],
        x[:, 3, 1:4], x[:, 1:, 2], x[:, :, -2:], x[1:], x[:, 10:] if x.shape[1] > 10 else x[:, -3:-1],
    ]  # fmt: skip


ELEMENTWISE = {
    "arithmetic": (ROW, lambda x: [x + 1, 2 - x, x * x, x / 3, -x, tf.abs(x), tf.pow(tf.abs(x), 1.5)]),
    "functions": (ROW, lambda x: [tf.exp(x), tf.sin(x), tf.cos(x), tf.atan(x), tf.math.erf(x), tf.math.erfc(x)]),
    "rounding": (ROW, lambda x: [tf.floor(x), tf.math.ceil(x), tf.round(x), tf.math.rint(x), tf.sign(x)]),
    "roots": (POSITIVE, lambda x: [tf.sqrt(x), tf.math.rsqrt(x), tf.math.log(x), tf.math.log1p(x), 1 / x]),
    "squares": (ROW, lambda x: [tf.square(x), tf.math.squared_difference(x, 1.0), tf.math.expm1(x)]),
    "comparison": (ROW, lambda x: [x > 0, x >= 0, x < 0, x <= 0, tf.equal(x, x), tf.not_equal(x, 0.0)]),
    "logic": (ROW, lambda x: [(x > 0) & (x < 1), (x > 0) | (x < -1), ~(x > 0), tf.math.logical_xor(x > 0, x < 1)]),
    "division": (ROW, lambda x: [x // 0.3, tf.math.floormod(x, 0.3), tf.math.divide_no_nan(x, tf.nn.relu(x))]),
    "integers": (COUNTS, lambda x: [x // 4, x % 4, x // -4, x % -4, x * x, tf.cast(x, tf.float32)]),
    "selection": (ROW, lambda x: [tf.where(x > 0, x, 0.1 * x), tf.where(x > 0, x, tf.zeros_like(x))]),
    "clipping": (ROW, lambda x: [tf.clip_by_value(x, -0.5, 0.5), tf.maximum(x, 0.1), tf.minimum(x, 0.1)]),
    "sums": (ROW, lambda x: [tf.add_n([x, x, x]), tf.add_n([x, x]), tf.ones_like(x), tf.math.cumsum(x, 1)]),
}
MOVES = {
    "masks": (GRID, masks),
    "joins": (GRID, lambda x: [tf.concat([x, x], 1), tf.stack([x, x], 2), tf.stack([x, x]), tf.concat([x, x], 0)]),
    "parts": (GRID, lambda x: [*tf.split(x, 3, 2), *tf.split(x, [1, -1], 1), *tf.unstack(x, axis=1)]),
    "repeats": (GRID, lambda x: [tf.tile(x, [1, 2, 3]), tf.reverse(x, [1]), tf.repeat(x, 2, axis=1), tf.roll(x, 1, 1)]),
    "shapes": (GRID, lambda x: [tf.reshape(x, [-1, 24]), tf.reshape(x, [-1]), tf.reshape(x, [tf.shape(x)[0], 6, 4])]),
    "sizes": (GRID, lambda x: [tf.shape(x), tf.size(x), tf.cast(tf.shape(x)[0], tf.float32), tf.rank(x)]),
    "broadcast": (GRID, lambda x: tf.broadcast_to(x[:, :1], tf.shape(x)) + tf.fill(tf.shape(x), 2.0)),
    "ranges": (GRID, lambda x: [tf.range(tf.shape(x)[0]), tf.range(2, tf.shape(x)[0] + 3)]),
    "transposes": (IMAGE, lambda x: [tf.transpose(x, [0, 3, 1, 2]), tf.transpose(tf.transpose(x, [0, 2, 1, 3]))]),
    "padding": (GRID, lambda x: [tf.pad(x, [[0, 0], [1, 2], [0, 1]]), tf.pad(x, [[0, 0], [1, 1], [2, 0]], "REFLECT")]),
    "symmetric": (GRID, lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 1]], "SYMMETRIC")),
    "gather": (GRID, lambda x: [tf.gather(x, [2, 0], axis=1), tf.gather(x, 1, axis=2), tf.gather(x, [[0, 1]], axis=1)]),
    "gather-nd": (GRID, lambda x: tf.gather(x, tf.argmax(x, 2) % 4, axis=1, batch_dims=1)),
    "one-hot": (COUNTS, lambda x: [tf.one_hot(x, 5), tf.one_hot(x, 5, axis=1, on_value=2.0, off_value=-1.0)]),
    "top": (GRID, lambda x: list(tf.math.top_k(x, 3))),
    "depth": (IMAGE, lambda x: [tf.nn.depth_to_space(x, 2), tf.nn.space_to_depth(x, 2)]),
    "batch": (IMAGE, lambda x: tf.batch_to_space(tf.space_to_batch(x, [2, 2], [[0, 2], [1, 1]]), [2, 2], [[0, 1]] * 2)),
}
REDUCTIONS = {
    "means": (IMAGE, lambda x: [tf.reduce_mean(x, [1, 2]), tf.reduce_mean(x, 3, keepdims=True), tf.reduce_mean(x, 0)]),
    "extremes": (IMAGE, lambda x: [tf.reduce_max(x, [1]), tf.reduce_min(x, [-1, 1]), tf.reduce_sum(x), tf.norm(x)]),
    "positions": (IMAGE, lambda x: [tf.argmax(x, 3), tf.argmin(x, 1, tf.int32)]),
    "truth": (ROW, lambda x: [tf.reduce_all(x > -1, 1), tf.reduce_any(x > 1, 1)]),
    "softmax": (IMAGE, lambda x: [tf.nn.softmax(x), tf.nn.softmax(x, axis=1), tf.nn.log_softmax(x)]),
    "moments": (IMAGE, lambda x: list(tf.nn.moments(x, [1, 2]))),
}
PRODUCTS = {
    "matmul": (GRID, lambda x: [tf.matmul(x, x, transpose_b=True), tf.matmul(x, x, transpose_a=True)]),
    "tensordot": (IMAGE, lambda x: tf.tensordot(x, tf.ones([4, 5]), 1)),
    "attention": (IMAGE, lambda x: tf.einsum("bqhd,bkhd->bhqk", x, x)),
    "outer": (GRID, lambda x: tf.einsum("btc,bsd->btcsd", x, x)),
    "three": (ROW, lambda x: tf.einsum("bi,ij,j->b", x, tf.ones([6, 2]), tf.constant([1.0, 2.0]))),
}
CASES = ELEMENTWISE | MOVES | REDUCTIONS | PRODUCTS


@pytest.mark.parametrize("name", CASES)
def test_operations(check, name):
    spec, function = CASES[name]
    check(tf.function(function), [spec])


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("op", ["ResizeBilinear", "ResizeNearestNeighbor"])
def test_resizing_counts_pixels_as_tensorflow_does(check, op, align, half):
    if align and half:
        pytest.skip("TensorFlow forbids it")
    function = getattr(tf.raw_ops, op)
    sizes = ([16, 12], [5, 3]) if not half else ([16, 12], [4, 3])
    check(
        tf.function(
            lambda x: [function(images=x, size=s, align_corners=align, half_pixel_centers=half) for s in sizes]
        ),
        [IMAGE],
    )


def test_fused_batch_normalization(check):
    given = {"scale": [1.0, 2, 3, 4], "offset": [4.0, 3, 2, 1], "mean": [0.1] * 4, "variance": [0.5, 1, 2, 3]}
    ported = check(tf.function(lambda x: tf.compat.v1.nn.fused_batch_norm(x, **given, is_training=False)[0]), [IMAGE])
    assert ported.ops == ["Transpose", "BatchNormalization", "Transpose"]


def test_calls_are_inlined(check):
    weight = tf.Variable(np.arange(12, dtype=np.float32).reshape(6, 2), name="weight")
    inner = tf.function(lambda x: tf.matmul(x, weight))
    ported = check(tf.function(lambda x: inner(x) + inner(2 * x)), [ROW])
    assert "weight" in ported.translation.model.graph.initializers


def test_signature_and_names_of_outputs(check):
    signature = [tf.TensorSpec([None, 6], tf.float32, name="rows")]
    ported = check(tf.function(lambda rows: {"b": rows + 1, "a": -rows}, input_signature=signature))
    assert [spec.name for spec in ported.original.inputs] == ["rows"]
    assert list(ported.outputs) == ["a", "b"]


def test_an_input_can_be_an_output(check):
    check(tf.function(lambda x: [x, x, x + 1]), [ROW])


def test_the_truth_is_float64(check):
    ported = check(tf.function(lambda x: [tf.cast(tf.cast(x / 3, tf.float16), tf.float32) + 0.1, x > 1]), [ROW])
    x = np.full((2, 6), 1.7, np.float32)
    truth = ported.original.run({"x": x}, "float64")
    assert truth["output_0"].dtype == np.float64
    # The constants are those of the graph; casts to narrower floats are not part of the truth.
    np.testing.assert_array_equal(truth["output_0"], x.astype(np.float64) / 3 + np.float64(np.float32(0.1)))
    assert truth["output_1"].all()


def test_no_other_precision(check):
    ported = check(tf.function(lambda x: x + 1), [ROW])
    with pytest.raises(PrecisionUnavailableError, match="cannot be rebuilt in fp16_cube"):
        ported.original.run({"x": np.ones((1, 6), np.float32)}, "fp16_cube")
