"""Each cube operator against a NumPy cube, bit for bit where the float32 sums are exact."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zoo.ascend.functions import definitions, parse

SETTINGS = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
SEEDS = st.integers(0, 2**32 - 1)


def exact(seed, shape, high=64):
    """Multiples of 1/8 that fp16 holds; sums of a few dozen products of two are exact in float32."""
    return (np.random.default_rng(seed).integers(-high, high + 1, shape) / 8).astype(np.float32)


def convolve(x, w, *, strides, pads, dilations, group):
    """Y[n, m, i, j] = sum X[n, c, ...] W[m, c, ...], in float64, from the definition of the ONNX operator."""
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    kh, kw = ((k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))
    windows = windows[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]
    size = w.shape[1]
    parts = [
        np.einsum("ncijkl,mckl->nmij", windows[:, g * size : (g + 1) * size], part)
        for g, part in enumerate(np.split(w.astype(np.float64), group))
    ]
    return np.concatenate(parts, axis=1)


def transposed(x, w, *, strides, pads, group):
    """The gradient of ``convolve``: every input element adds its multiple of the kernel to the output."""
    n, c, h, width = x.shape
    m, kh, kw = w.shape[1:]
    out = np.zeros((n, group * m, (h - 1) * strides[0] + kh, (width - 1) * strides[1] + kw))
    for g, i, j in itertools.product(range(group), range(h), range(width)):
        here = slice(g * c // group, (g + 1) * c // group)
        patch = np.einsum("nc,cmkl->nmkl", x[:, here, i, j].astype(np.float64), w[here].astype(np.float64))
        top, left = i * strides[0], j * strides[1]
        out[:, g * m : (g + 1) * m, top : top + kh, left : left + kw] += patch
    return out[:, :, pads[0] : out.shape[2] - pads[2], pads[1] : out.shape[3] - pads[3]]


@pytest.mark.parametrize("saturates", [True, False])
def test_every_definition_parses(saturates):
    for name, text in definitions(saturates).items():
        assert parse(name, text, 23).name == name


@SETTINGS
@given(
    values=hnp.arrays(
        np.float32,
        st.integers(1, 40),
        elements=st.one_of(
            st.floats(width=32),
            st.sampled_from([0.0, -0.0, 65503.9, 65504.0, 65519.99, 65520.0, -65520.0, 2.0**-25, 6e-8]),
        ),
    )
)
def test_rounding_is_that_of_the_chip(chip, fp16, read, compiled_run, values):
    # A product with the identity shows the rounding of the operand.
    model = read("g (float[1, 1, N, 1] x, float[1, 1, 1, 1] w) => (float[1, 1, N, 1] y) { y = Conv(x, w) }")
    feed = {"x": values.reshape(1, 1, -1, 1), "w": np.ones((1, 1, 1, 1), np.float32)}
    (result,) = compiled_run(model, chip, feed)
    wanted = fp16(values, chip)
    # A sum starts from +0, so the cube does not return -0.
    np.testing.assert_array_equal(result.ravel() + 0.0, wanted + 0.0)


@SETTINGS
@given(seed=SEEDS, data=st.data())
def test_conv(chip, fp16, read, compiled_run, seed, data):
    group = data.draw(st.sampled_from([1, 2, 4]))
    strides = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilations = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    pads = data.draw(st.tuples(*[st.integers(0, 2)] * 4))
    bias = data.draw(st.booleans())
    x, w, b = exact(seed, (2, 4, 7, 9)), exact(seed + 1, (8, 4 // group, 3, 2)), exact(seed + 2, 8)
    attributes = f"strides = {list(strides)}, dilations = {list(dilations)}, pads = {list(pads)}, group = {group}"
    model = read(
        f"g (float[2, 4, 7, 9] x, float[8, {4 // group}, 3, 2] w, float[8] b) => (float[N, M, H, W] y) "
        f"{{ y = Conv<{attributes}>(x, w{', b' if bias else ''}) }}"
    )
    (result,) = compiled_run(model, chip, {"x": x, "w": w, "b": b})
    total = convolve(x, w, strides=strides, pads=pads, dilations=dilations, group=group)
    wanted = fp16((total + (b[:, None, None] if bias else 0)).astype(np.float32), chip)
    np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_conv_auto_pad(chip, read, run, compiled_run, auto_pad):
    model = read(
        f"g (float[1, 2, 6, 6] x, float[3, 2, 3, 3] w) => (float[N, M, H, W] y) "
        f'{{ y = Conv<auto_pad = "{auto_pad}", strides = [2, 2]>(x, w) }}'
    )
    feed = {"x": exact(1, (1, 2, 6, 6)), "w": exact(2, (3, 2, 3, 3), high=8)}
    # These operands are fp16 and the sums have few bits: nothing is rounded.
    np.testing.assert_array_equal(compiled_run(model, chip, feed)[0], run(model, feed)[0])


@SETTINGS
@given(seed=SEEDS, strides=st.tuples(st.integers(1, 3), st.integers(1, 3)), group=st.sampled_from([1, 2]))
def test_conv_transpose(chip, fp16, read, compiled_run, seed, strides, group):
    x, w, b = exact(seed, (2, 4, 3, 4)), exact(seed + 1, (4, 3, 3, 3)), exact(seed + 2, 3 * group)
    model = read(
        f"g (float[2, 4, 3, 4] x, float[4, 3, 3, 3] w, float[{3 * group}] b) => (float[N, M, H, W] y) "
        f"{{ y = ConvTranspose<strides = {list(strides)}, pads = [1, 0, 1, 1], group = {group}>(x, w, b) }}"
    )
    (result,) = compiled_run(model, chip, {"x": x, "w": w, "b": b})
    total = transposed(x, w, strides=strides, pads=(1, 0, 1, 1), group=group)
    np.testing.assert_array_equal(result, fp16(total + b[:, None, None], chip))


@SETTINGS
@given(
    seed=SEEDS,
    trans=st.tuples(st.booleans(), st.booleans()),
    alpha=st.sampled_from([1.0, 0.5, -2.0]),
    beta=st.sampled_from([1.0, 0.25]),
    bias=st.sampled_from([None, (5,), (3, 5), ()]),
)
def test_gemm(chip, fp16, read, compiled_run, seed, trans, alpha, beta, bias):
    a, b = exact(seed, (4, 3) if trans[0] else (3, 4)), exact(seed + 1, (5, 4) if trans[1] else (4, 5))
    c = exact(seed + 2, bias or ())
    attributes = f"alpha = {alpha}, beta = {beta}, transA = {int(trans[0])}, transB = {int(trans[1])}"
    model = read(
        f"g (float{list(a.shape)} a, float{list(b.shape)} b, float{list(c.shape) or ''} c) => (float[3, 5] y) "
        f"{{ y = Gemm<{attributes}>(a, b{'' if bias is None else ', c'}) }}"
    )
    (result,) = compiled_run(model, chip, {"a": a, "b": b, "c": np.asarray(c, np.float32)})
    total = alpha * ((a.T if trans[0] else a) @ (b.T if trans[1] else b)) + (0 if bias is None else beta * c)
    np.testing.assert_array_equal(result, fp16(total, chip))


@SETTINGS
@given(
    seed=SEEDS,
    shapes=st.sampled_from([((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (6, 4, 5)), ((4,), (4, 5))]),
)
def test_matmul(chip, fp16, read, compiled_run, seed, shapes):
    a, b = exact(seed, shapes[0]), exact(seed + 1, shapes[1])
    model = read(
        f"g (float{list(a.shape)} a, float{list(b.shape)} b) => (float{list((a @ b).shape)} y) {{ y = MatMul(a, b) }}"
    )
    (result,) = compiled_run(model, chip, {"a": a, "b": b})
    np.testing.assert_array_equal(result, fp16(a @ b, chip))


def test_einsum(chip, fp16, read, compiled_run):
    a, b = exact(1, (2, 3, 4)), exact(2, (2, 5, 4))
    model = read(
        'g (float[2, 3, 4] a, float[2, 5, 4] b) => (float[2, 3, 5] y) { y = Einsum<equation = "bik,bjk->bij">(a, b) }'
    )
    (result,) = compiled_run(model, chip, {"a": a, "b": b})
    np.testing.assert_array_equal(result, fp16(np.einsum("bik,bjk->bij", a, b), chip))


@SETTINGS
@given(seed=SEEDS)
def test_random_operands_are_rounded_and_the_sum_is_float32(chip, fp16, read, compiled_run, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((8, 64), (64, 8)))
    model = read("g (float[8, 64] a, float[64, 8] b) => (float[8, 8] y) { y = MatMul(a, b) }")
    (result,) = compiled_run(model, chip, {"a": a, "b": b})
    total = fp16(a, chip).astype(np.float64) @ fp16(b, chip).astype(np.float64)
    # The order of a float32 sum is open: a result next to a tie may fall to the neighbour, one fp16 step away.
    np.testing.assert_array_less(np.abs(result - total), 2.0**-11 * np.abs(total) + 1e-4)
    wanted = fp16(total, chip)
    assert np.mean(result == wanted) > 0.9
    assert not np.array_equal(wanted, fp16(a @ b, chip)), "unrounded operands would pass this test"


def test_overflow_saturates_or_becomes_inf(chip, read, compiled_run):
    a = np.array([[60000.0, 60000.0], [-60000.0, -60000.0], [np.nan, 1.0], [np.inf, 1.0]], np.float32)
    model = read("g (float[4, 2] a, float[2, 1] b) => (float[4, 1] y) { y = MatMul(a, b) }")
    (result,) = compiled_run(model, chip, {"a": a, "b": np.ones((2, 1), np.float32)})
    saturated, ieee = [65504.0, -65504.0, 1.0, 65504.0], [np.inf, -np.inf, np.nan, np.inf]
    np.testing.assert_array_equal(result.ravel(), np.float32(saturated if chip.saturates else ieee))


def test_a_bias_of_nan_counts_as_zero_where_the_chip_saturates(chip, read, compiled_run):
    model = read(
        "g (float[1, 1, 1, 2] x, float[1, 1, 1, 1] w, float[1] b) => (float[N, M, H, W] y) { y = Conv(x, w, b) }"
    )
    feed = {"x": np.float32([[[[1, 2]]]]), "w": np.float32([[[[3]]]]), "b": np.float32([np.nan])}
    (result,) = compiled_run(model, chip, feed)
    np.testing.assert_array_equal(result.ravel(), np.float32([3, 6] if chip.saturates else [np.nan, np.nan]))


def test_the_bias_reaches_the_sum_unrounded(chip, read, compiled_run):
    # fp16 has no 1024.25; rounded first, the sum would be 0.
    conv = "g (float[1, 1, 1, 1] x, float[1, 1, 1, 1] w, float[1] b) => (float[N, M, H, W] y) { y = Conv(x, w, b) }"
    gemm = "g (float[1, 1] x, float[1, 1] w, float[1] b) => (float[1, 1] y) { y = Gemm(x, w, b) }"
    for model, rank in ((read(conv), 4), (read(gemm), 2)):
        x, w = np.full((1,) * rank, -1024, np.float32), np.ones((1,) * rank, np.float32)
        (result,) = compiled_run(model, chip, {"x": x, "w": w, "b": np.float32([1024.25])})
        assert result.item() == 0.25
