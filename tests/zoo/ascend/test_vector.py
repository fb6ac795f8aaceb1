"""The vector unit in float16 against NumPy models, step by step; bit for bit but for exponentials and logarithms."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.ascend.compiler import compile_model
from zoo.ascend.functions import DOMAIN
from zoo.ascend.hardware import load_chip

SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.sampled_from([1e-6, 1.0, 300.0, 4e4])
MODES = ("high_performance", "high_precision")


@pytest.fixture(scope="session")
def forced(read, run):
    """Compile a graph for force_fp16 and run it as it stands."""

    def call(graph, chip, feed, implementation="high_performance"):
        program = compile_model(read(graph), chip, "force_fp16", implementation=implementation)
        import onnx_ir as ir

        onnx.checker.check_model(ir.serde.serialize_model(program), full_check=True)
        return run(program, feed, optimize=False)[0]

    return call


def draw(seed, size, shape=(3, 40)):
    return (np.random.default_rng(seed).standard_normal(shape) * size).astype(np.float32)


@SETTINGS
@given(seed=SEEDS, size=SIZES, op=st.sampled_from(["Add", "Sub", "Mul", "Max"]))
def test_two_operands(chip, fp16, forced, seed, size, op):
    a, b = draw(seed, size), draw(seed + 1, size)
    result = forced(
        f"g (float[3, 40] a, float[3, 40] b) => (float[3, 40] y) {{ y = {op}(a, b) }}", chip, {"a": a, "b": b}
    )
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Max": np.maximum}[op]
    # float16's own arithmetic, rounded once, is what float32 rounded to float16 gives.
    with np.errstate(over="ignore", invalid="ignore"):
        own = function(fp16(a, chip).astype(np.float16), fp16(b, chip).astype(np.float16)).astype(np.float32)
    np.testing.assert_array_equal(result, fp16(own, chip))


@SETTINGS
@given(seed=SEEDS, size=SIZES, op=st.sampled_from(["Sqrt", "Abs", "Neg", "Relu", "Reciprocal"]))
def test_one_operand(chip, fp16, forced, seed, size, op):
    x = np.abs(draw(seed, size)) + np.float32(1e-4)
    result = forced(f"g (float[3, 40] x) => (float[3, 40] y) {{ y = {op}(x) }}", chip, {"x": x})
    functions = {"Sqrt": np.sqrt, "Abs": np.abs, "Neg": np.negative, "Relu": lambda v: np.maximum(v, 0)}
    functions["Reciprocal"] = np.reciprocal
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(result, fp16(functions[op](fp16(x, chip)), chip))


@SETTINGS
@given(seed=SEEDS, size=SIZES)
def test_division(chip, fp16, forced, seed, size):
    a, b = draw(seed, 1.0), np.abs(draw(seed + 1, size)) + np.float32(1e-3)
    graph = "g (float[3, 40] a, float[3, 40] b) => (float[3, 40] y) { y = Div(a, b) }"
    low, high = fp16(a, chip), fp16(b, chip)
    precise = forced(graph, chip, {"a": a, "b": b}, "high_precision")
    np.testing.assert_array_equal(precise, fp16(low / high, chip))
    fast = forced(graph, chip, {"a": a, "b": b})
    np.testing.assert_array_equal(fast, fp16(low * fp16(np.float32(1) / high, chip), chip))


def softmax(x, chip, fp16, implementation):
    """Softmax over the last axis; the sums and exponentials of float32 are not NumPy's bits, so neither are these."""
    top = x.max(axis=-1, keepdims=True)
    powers = np.exp(fp16(x - top, chip))
    if chip.name == "ascend310":
        powers = fp16(powers, chip)
    total = powers.sum(axis=-1, keepdims=True, dtype=np.float64).astype(np.float32)
    if chip.name == "ascend310":
        return fp16(powers / total, chip)
    first = fp16(np.float32(1) / total, chip)
    inverse = first if implementation == "high_performance" else first * (np.float32(2) - total * first)
    return fp16(powers * inverse, chip)


@SETTINGS
@given(seed=SEEDS, size=st.sampled_from([0.1, 3.0, 50.0]), implementation=st.sampled_from(MODES))
@pytest.mark.parametrize("name", ["ascend310", "ascend310p3", "ascend910b3"])
def test_softmax(fp16, forced, name, seed, size, implementation):
    chip, x = load_chip(name), draw(seed, size)
    result = forced("g (float[3, 40] x) => (float[3, 40] y) { y = Softmax(x) }", chip, {"x": x}, implementation)
    wanted = softmax(fp16(x, chip), chip, fp16, implementation)
    # Bound: libm's float32 exponential and the order of the sum are open, a few 2^-24; rounded they may differ by one
    # step of fp16, and where the first reciprocal falls to its neighbour, the whole row by two.
    np.testing.assert_allclose(result, wanted, rtol=2.0**-9, atol=2.0**-24)
    assert np.mean(result == wanted) > 0.6


def test_the_implementations_of_softmax_differ_as_modelled(forced):
    chip, x = load_chip("ascend310p3"), draw(3, 1.0, (50, 40))
    graph = "g (float[50, 40] x) => (float[50, 40] y) { y = Softmax(x) }"
    exact = np.exp(x.astype(np.float64))
    exact /= exact.sum(axis=-1, keepdims=True)
    fast, precise = (np.abs(forced(graph, chip, {"x": x}, mode) / exact - 1).mean() for mode in MODES)
    assert precise < fast < 2.0**-9


@SETTINGS
@given(seed=SEEDS, size=st.sampled_from([0.01, 1.0, 100.0]), implementation=st.sampled_from(MODES), bias=st.booleans())
def test_layer_norm(chip, fp16, forced, seed, size, implementation, bias):
    x, scale, shift = draw(seed, size), draw(seed + 1, 1.0, (40,)), draw(seed + 2, 1.0, (40,))
    feed = {"x": x, "s": scale, "b": shift}
    graph = (
        "g (float[3, 40] x, float[40] s, float[40] b) => (float[3, 40] y) "
        f"{{ y = LayerNormalization<epsilon = 0.00001>(x, s{', b' if bias else ''}) }}"
    )
    result = forced(graph, chip, feed, implementation)
    wide = fp16(x, chip).astype(np.float64)
    centred = wide - wide.mean(axis=-1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    exact = normal * fp16(scale, chip) + (fp16(shift, chip) if bias else 0)
    # float32 inside: what is left is one rounding, and what float32 makes of a cancelling sum.
    np.testing.assert_allclose(result, exact, rtol=2.0**-11, atol=4e-5)


@SETTINGS
@given(seed=SEEDS, size=st.sampled_from([1.0, 30.0]))
def test_sigmoid(chip, fp16, forced, seed, size):
    x = draw(seed, size)
    graph = "g (float[3, 40] x) => (float[3, 40] y) { y = Sigmoid(x) }"
    with np.errstate(over="ignore"):
        power = fp16(np.exp(-fp16(x, chip)), chip)
        fast = fp16(np.float32(1) / fp16(power + np.float32(1), chip), chip)
    result = forced(graph, chip, {"x": x})
    np.testing.assert_allclose(result, fast, rtol=2.0**-9, atol=2.0**-24)
    assert np.mean(result == fast) > 0.9
    precise = forced(graph, chip, {"x": x}, "high_precision")
    exact = 1 / (1 + np.exp(-fp16(x, chip).astype(np.float64)))
    # ONNX Runtime's own sigmoid is off by some 1e-8 far out, where float16 has a step of 6e-8.
    np.testing.assert_allclose(precise, exact, rtol=2.0**-10, atol=2.0**-23)


def test_the_vector_unit_saturates_or_gives_inf(chip, forced):
    x = np.float32([[60000, -60000, 300, 1]])
    result = forced("g (float[1, 4] x) => (float[1, 4] y) { d = Add(x, x)  y = Mul(d, x) }", chip, {"x": x})
    if chip.saturates:
        np.testing.assert_array_equal(result, np.float32([[65504, 65504, 65504, 2]]))
    else:
        np.testing.assert_array_equal(result, np.float32([[np.inf, np.inf, np.inf, 2]]))


def test_integers_that_become_floats_are_rounded_too(chip, forced):
    ids = np.array([2049, 70000], np.int64)
    result = forced("g (int64[2] i) => (float[2] y) { y = Cast<to = 1>(i) }", chip, {"i": ids})
    np.testing.assert_array_equal(result, np.float32([2048, 65504 if chip.saturates else np.inf]))


def test_old_opsets_have_no_definition_of_their_own(read, run):
    chip = load_chip("ascend310p3")
    program = compile_model(
        read("g (float[3, 40] x) => (float[3, 40] y) { y = Softmax(x) }", opset=13), chip, "force_fp16"
    )
    assert not any(name.startswith("Softmax") for _, name, _ in program.functions)
    result = run(program, {"x": draw(0, 1.0)}, optimize=False)[0]
    np.testing.assert_array_equal(result, result.astype(np.float16))
    assert DOMAIN in program.graph.opset_imports
