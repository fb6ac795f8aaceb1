"""Which mode makes what of which operator, on which chip, and why; and what that does to the numbers."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.ascend.compiler import compile_model
from zoo.ascend.functions import DOMAIN
from zoo.ascend.hardware import chip_names, load_chip
from zoo.ascend.precision import default_mode, find_mode, listed, mode_names
from zoo.errors import UserError

NET = """g (float[1, 4, 6, 6] x, float[4, 4, 3, 3] w, float[4] b, float[4, 3] f) => (float[1, 3] y) {
    c = Conv<pads = [1, 1, 1, 1]>(x, w, b)
    r = Relu(c)
    s = Add(r, x)
    p = GlobalAveragePool(s)
    flat = Flatten(p)
    n = LayerNormalization(flat, b)
    e = Exp(n)
    y = MatMul(e, f)
}"""
NAMES = ("c", "r", "s", "p", "flat", "n", "e", "y")


def feed(seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"x": (1, 4, 6, 6), "w": (4, 4, 3, 3), "b": (4,), "f": (4, 3)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def net(read):
    model = read(NET)
    for node in model.graph:
        node.name = node.outputs[0].name
        node.metadata_props["zooport.module"] = f"body.{node.name}"
    return model


def precisions(model, *arguments, **options):
    compiled = compile_model(model, *arguments, **options)
    onnx.checker.check_model(ir.serde.serialize_model(compiled), full_check=True)
    found = {node.name: node.metadata_props for node in compiled.graph}
    return [found[name]["precision"] for name in NAMES], compiled


EXPECTED = {
    ("cube_fp16", "ascend310p3"): "fp16 fp32 fp32 fp32 fp32 fp32 fp32 fp16",
    ("force_fp16", "ascend310p3"): "fp16 fp16 fp16 fp16 fp16 fp16 fp16 fp16",
    ("fp16", "ascend910b3"): "fp16 fp16 fp16 fp16 fp16 fp16 fp16 fp16",
    ("allow_fp32_to_fp16", "ascend310p3"): "fp16 fp32 fp32 fp32 fp32 fp32 fp32 fp16",
    ("allow_fp32_to_bf16", "ascend910b3"): "bf16 fp32 fp32 fp32 fp32 fp32 fp32 bf16",
    ("force_fp32", "ascend310p3"): "fp16_fp32 fp32 fp32 fp32 fp32 fp32 fp32 fp16_fp32",
    ("cube_fp16in_fp32out", "ascend910b3"): "fp16_fp32 fp32 fp32 fp32 fp32 fp32 fp32 fp16_fp32",
    ("must_keep_origin_dtype", "ascend310p3"): "fp32 fp32 fp32 fp32 fp32 fp32 fp32 fp32",
    # HF32 by default for convolutions, not for matrix products; the 310B has no option for it.
    ("must_keep_origin_dtype", "ascend910b3"): "hf32 fp32 fp32 fp32 fp32 fp32 fp32 fp32",
    ("must_keep_origin_dtype", "ascend310b1"): "fp32 fp32 fp32 fp32 fp32 fp32 fp32 fp32",
    # White, white, then grey as the one before; LayerNorm is black, and Exp follows it.
    ("allow_mix_precision", "ascend310p3"): "fp16 fp16 fp16 fp16 fp16 fp32 fp32 fp16",
    ("allow_mix_precision_bf16", "ascend310b1"): "bf16 bf16 bf16 bf16 bf16 fp32 fp32 bf16",
}


@pytest.mark.parametrize(("mode", "chip"), EXPECTED)
def test_what_each_mode_makes_of_a_net(net, mode, chip):
    found, compiled = precisions(net, load_chip(chip), mode)
    assert found == EXPECTED[mode, chip].split()
    assert all(node.metadata_props["precision_reason"] for node in compiled.graph)
    assert compiled.metadata_props["ascend.precision"] == find_mode(mode).name


@pytest.mark.parametrize("mode", mode_names())
def test_every_mode_runs_and_is_near_the_source(net, run, mode):
    for name in ("ascend310p3", "ascend910b3", "ascend310b1"):
        chip = load_chip(name)
        if ("bf16" in mode or "bfloat16" in mode) and not chip.supports_bfloat16:
            continue
        program = compile_model(net, chip, mode)
        plain, optimized = (run(program, feed(), optimize=level)[0] for level in (False, True))
        source = run(net, feed())[0]
        np.testing.assert_allclose(plain, optimized, rtol=2.0**-6)
        error = np.linalg.norm(plain - source) / np.linalg.norm(source)
        width = 2.0**-8 if "bf16" in mode or "bfloat16" in mode else 2.0**-11
        exact = all(node.metadata_props["precision"] in ("fp32", "exact") for node in program.graph)
        assert error == 0 if exact else 0 < error < 10 * width


def test_the_ai_cpu_runs_what_the_cube_cannot_keep(net):
    compiled = compile_model(net, load_chip("ascend310p3"), "must_keep_origin_dtype")
    units = {node.name: node.metadata_props["unit"] for node in compiled.graph}
    assert (units["c"], units["y"], units["r"]) == ("aicpu", "aicpu", "vector")
    compiled = compile_model(net, load_chip("ascend910b3"), "must_keep_origin_dtype")
    assert {node.name: node.metadata_props["unit"] for node in compiled.graph}["y"] == "cube"


@pytest.mark.parametrize("pattern", ["s", "body.s", "body.?"])
def test_what_is_kept_stays_in_float32(net, run, pattern):
    chip = load_chip("ascend310p3")
    found, compiled = precisions(net, chip, "force_fp16", keep=[pattern])
    kept = [name for name, precision in zip(NAMES, found, strict=True) if precision == "fp32"]
    assert kept == (["s"] if pattern != "body.?" else [name for name in NAMES if len(name) == 1])
    reason = next(node.metadata_props["precision_reason"] for node in compiled.graph if node.name == "s")
    assert pattern in reason
    # The kept sum is not rounded, what reads it rounds it first.
    if pattern == "s":
        reader = next(node for node in compiled.graph if node.name == "p")
        assert reader.inputs[0].producer().op_type.startswith("Round")
        assert reader.inputs[0].producer().inputs[0].producer().name == "s"


def test_a_pattern_that_fits_nothing_is_refused(net):
    with pytest.raises(UserError, match=r"body\.layer9"):
        compile_model(net, load_chip("ascend310p3"), "force_fp16", keep=["body.layer9.*"])


def test_bfloat16_is_refused_where_there_is_none(net):
    for name in chip_names():
        chip = load_chip(name)
        if chip.supports_bfloat16:
            assert precisions(net, chip, "allow_mix_precision_bf16")[0][0] == "bf16"
        else:
            with pytest.raises(UserError, match="has no bfloat16"):
                compile_model(net, chip, "allow_mix_precision_bf16")


def test_wrong_words_are_user_errors(net):
    with pytest.raises(UserError, match="force_fp16"):
        compile_model(net, load_chip("ascend310p3"), "force_fp61")
    with pytest.raises(UserError, match="high_precision"):
        compile_model(net, load_chip("ascend310p3"), implementation="high_speed")


def test_routes_differ_by_default():
    chips = [load_chip(name) for name in ("ascend310p3", "ascend910b3", "ascend910a")]
    assert [default_mode("atc", chip).name for chip in chips] == ["force_fp16"] * 3
    by_mindspore = [default_mode("mindspore", chip).name for chip in chips]
    assert by_mindspore == ["must_keep_origin_dtype", "must_keep_origin_dtype", "allow_fp32_to_fp16"]


def test_lists():
    assert [listed(op) for op in ("MatMul", "LayerNormalization", "Softmax")] == ["white", "black", "grey"]


class TestCubeFormats:
    """The cube's other operand types against NumPy, bit for bit where the sums are exact."""

    def product(self, read, run, chip, mode, a, b, keep=()):
        model = read(f"g (float{list(a.shape)} a, float{list(b.shape)} b) => (float[N, M] y) {{ y = MatMul(a, b) }}")
        return run(compile_model(model, load_chip(chip), mode, keep=keep), {"a": a, "b": b}, optimize=False)[0]

    def test_bfloat16(self, read, run):
        rng = np.random.default_rng(0)
        a, b = ((rng.integers(-512, 513, shape) / 8).astype(np.float32) for shape in ((5, 4), (4, 3)))
        low, high = (item.astype(ml_dtypes.bfloat16).astype(np.float32) for item in (a, b))
        wanted = (low @ high).astype(ml_dtypes.bfloat16).astype(np.float32)
        result = self.product(read, run, "ascend910b3", "allow_fp32_to_bf16", a, b)
        np.testing.assert_array_equal(result, wanted)
        assert not np.array_equal(wanted, (a @ b).astype(ml_dtypes.bfloat16).astype(np.float32))

    def test_float32_out(self, read, run, fp16):
        a, b = np.float32([[60000.0, 60000.0, 0.1]]), np.float32([[1.0], [1.0], [1.0]])
        chip = load_chip("ascend310p3")
        result = self.product(read, run, chip.name, "force_fp32", a, b)
        np.testing.assert_array_equal(result, fp16(a, chip) @ b)
        assert result.item() > 65504, "float32 does not overflow here"

    def test_hf32_of_a_convolution(self, read, run):
        # 1 + 2^-11 has 12 significant bits, 1 + 2^-12 has 13 and lies between two of 12.
        model = read("g (float[1, 1, 1, 2] x, float[1, 1, 1, 1] w) => (float[A, B, C, D] y) { y = Conv(x, w) }")
        x = np.float32([1 + 2.0**-11, 1 + 3 * 2.0**-13]).reshape(1, 1, 1, 2)
        program = compile_model(model, load_chip("ascend910b3"), "origin")
        result = run(program, {"x": x, "w": np.ones((1, 1, 1, 1), np.float32)}, optimize=False)[0]
        np.testing.assert_array_equal(result.ravel(), np.float32([1 + 2.0**-11, 1 + 2.0**-11]))


def narrow(values, form, fp16, chip):
    """Round to a format of the cube's operands; HF32 by its 12 significant bits, without ties."""
    if form == "fp16":
        return fp16(values, chip)
    if form == "bf16":
        return values.astype(ml_dtypes.bfloat16).astype(np.float32)
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(mantissa * 4096) / 4096, exponent).astype(np.float32)


# Mode -> what operands and results are rounded to ("": not at all).
FORMATS = {
    "force_fp16": ("fp16", "fp16"),
    "force_fp32": ("fp16", ""),
    "allow_fp32_to_bf16": ("bf16", "bf16"),
    "origin": ("hf32", ""),
}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([1.0, 30.0]), depth=st.sampled_from([1, 7, 100]))
@pytest.mark.parametrize("mode", FORMATS)
def test_every_variant_of_the_cube_is_within_the_bound_of_its_sum(read, run, fp16, mode, seed, size, depth):
    """The order of the float32 sum is open: K products differ by K 2^-24 times the sum of their sizes at most."""
    chip, (operand, result) = load_chip("ascend910b3"), FORMATS[mode]
    rng = np.random.default_rng(seed)
    shapes = (2, depth, 4, 1), (3, depth, 1, 1)
    x, w = (rng.standard_normal(shape).astype(np.float32) * np.float32(size) for shape in shapes)
    model = read(
        f"g (float[2, {depth}, 4, 1] x, float[3, {depth}, 1, 1] w) => (float[2, 3, 4, 1] y) {{ y = Conv(x, w) }}"
    )
    got = run(compile_model(model, chip, mode), {"x": x, "w": w}, optimize=False)[0].astype(np.float64)
    low, high = (narrow(item, operand, fp16, chip).astype(np.float64) for item in (x, w))
    total = np.einsum("nkij,mkij->nmij", low, np.broadcast_to(high, (3, depth, 4, 1)))
    sizes = np.einsum("nkij,mkij->nmij", np.abs(low), np.abs(np.broadcast_to(high, (3, depth, 4, 1))))
    bound = depth * 2.0**-24 * sizes
    if result:
        gap = 2.0**-10 if result == "fp16" else 2.0**-7
        bound = bound + gap / 2 * (np.abs(total) + bound) + 2.0**-25
    assert (np.abs(got - total) <= bound).all()
    if result and depth == 1:
        # One product is exact in float32: nothing is left open, every bit is.
        np.testing.assert_array_equal(got, narrow(total.astype(np.float32), result, fp16, chip))
    if not result and depth == 1:
        np.testing.assert_array_equal(got, total.astype(np.float32))


def test_attention_in_float16_rounds_every_step(read, run, chip, fp16):
    graph = "g (float[1, 2, 5, 8] q) => (float[1, 2, 5, 8] y) { y = Attention<is_causal = 1, scale = 0.3>(q, q, q) }"
    q = np.random.default_rng(0).standard_normal((1, 2, 5, 8)).astype(np.float32)
    program = compile_model(read(graph), chip, "force_fp16", implementation="high_precision")
    result = run(program, {"q": q}, optimize=False)[0]
    np.testing.assert_array_equal(result, fp16(result, chip))
    low = fp16(q, chip)
    scores = fp16(fp16(low @ low.swapaxes(-1, -2), chip) * fp16(np.float32(0.3), chip), chip)
    scores = np.where(np.tri(5) > 0, scores, np.float32(-65504))
    powers = np.exp(fp16(scores - scores.max(axis=-1, keepdims=True), chip))
    weights = fp16(powers / powers.sum(axis=-1, keepdims=True), chip)
    np.testing.assert_allclose(result, fp16(weights @ low, chip), rtol=2.0**-9, atol=2.0**-12)
    wide = run(compile_model(read(graph), chip), {"q": q}, optimize=False)[0]
    assert not np.array_equal(wide, result)


@pytest.mark.parametrize("mode", ["force_fp16", "allow_mix_precision", "cube_fp16in_fp32out"])
def test_attention_with_every_kind_of_mask(read, run, mode):
    chip, rng = load_chip("ascend310p3"), np.random.default_rng(0)
    q = rng.standard_normal((1, 2, 4, 8)).astype(np.float32)
    allowed = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1]], bool)
    for kind, mask in (("bool", allowed), ("float", np.where(allowed, 0, -np.inf).astype(np.float32))):
        model = read(
            f"g (float[1, 2, 4, 8] q, {kind}[4, 4] m) => (float[1, 2, 4, 8] y) {{ y = Attention(q, q, q, m) }}"
        )
        feed = {"q": q, "m": mask}
        result, source = run(compile_model(model, chip, mode), feed, optimize=False)[0], run(model, feed)[0]
        np.testing.assert_allclose(result, source, rtol=0.02, atol=0.01)
        assert not result[0, :, 1].any()


def test_names_of_values_and_outputs_survive(net, run):
    compiled = compile_model(net, load_chip("ascend310p3"), "force_fp16")
    assert [value.name for value in compiled.graph.outputs] == ["y"]
    made = {value.name for node in compiled.graph for value in node.outputs}
    assert set(NAMES) <= made
    assert all(node.domain == DOMAIN or node.op_type != "MatMul" for node in compiled.graph)


class TestControlFlow:
    """Bodies are lowered as well, and values of the graph around them are rounded once, where they are made."""

    GRAPH = """g (bool c, float[2, 2] x) => (float[2, 2] y) {
        h = Exp(x)
        y = If(c) <
            then_branch = t () => (float[2, 2] p) { a = Add(h, x)  p = MatMul(a, x) },
            else_branch = e () => (float[2, 2] n) { n = Sub(h, x) }
        >
    }"""
    LOOP = """g (int64 n, bool c, float[2] x) => (float[2] y) {
        y = Loop(n, c, x) <
            body = b (int64 i, bool go, float[2] s) => (bool on, float[2] r) {
                on = Identity(go)
                half = Constant<value_float = 0.3>()
                scaled = Mul(s, half)
                r = Add(scaled, x)
            }
        >
    }"""

    @pytest.mark.parametrize("branch", [True, False])
    def test_if(self, read, run, chip, fp16, branch):
        x = np.float32([[1.0001, 0.5], [0.2501, 2.0003]])
        program = compile_model(read(self.GRAPH), chip, "force_fp16")
        onnx.checker.check_model(ir.serde.serialize_model(program), full_check=True)
        feed = {"c": np.array(branch), "x": x}
        result = run(program, feed, optimize=False)[0]
        low = fp16(x, chip)
        h = fp16(np.exp(low), chip)
        wanted = fp16(fp16(h + low, chip) @ low, chip) if branch else fp16(h - low, chip)
        np.testing.assert_array_equal(result, wanted)
        np.testing.assert_array_equal(run(program, feed)[0], wanted)

    def test_loop(self, read, run, chip, fp16):
        program = compile_model(read(self.LOOP), chip, "force_fp16")
        onnx.checker.check_model(ir.serde.serialize_model(program), full_check=True)
        x = np.float32([1.0001, 3.3333])
        result = run(program, {"n": np.array(5), "c": np.array(True), "x": x}, optimize=False)[0]
        low, state = fp16(x, chip), fp16(x, chip)
        for _ in range(5):
            state = fp16(fp16(state * fp16(np.float32(0.3), chip), chip) + low, chip)
        np.testing.assert_array_equal(result, state)
