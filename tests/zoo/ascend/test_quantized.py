"""int8 on the cube: graphs with QuantizeLinear and DequantizeLinear against plain integers in NumPy."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.ascend.compiler import compile_model
from zoo.ascend.functions import DOMAIN

SETTINGS = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
SEEDS = st.integers(0, 2**32 - 1)


def constants(arrays):
    """Constant nodes in ONNX's textual syntax."""
    kinds = {"float32": "float", "int8": "int8", "uint8": "uint8", "int32": "int32"}
    lines = []
    for name, array in arrays.items():
        shape = f"[{','.join(map(str, array.shape))}]" if array.ndim else ""
        values = ", ".join(repr(float(v)) if array.dtype.kind == "f" else str(int(v)) for v in array.ravel())
        lines.append(f"{name} = Constant<value = {kinds[str(array.dtype)]}{shape} {{{values}}}>()")
    return "\n".join(lines)


@pytest.fixture(scope="session")
def quantized(read, run):
    def call(graph, chip, feed, mode="cube_fp16"):
        program = compile_model(read(graph), chip, mode)
        onnx.checker.check_model(ir.serde.serialize_model(program), full_check=True)
        return run(program, feed, optimize=False)[0], program

    return call


@SETTINGS
@given(
    seed=SEEDS,
    kind=st.sampled_from(["int8", "uint8"]),
    per_channel=st.booleans(),
    bias=st.sampled_from("nfi"),
)
def test_conv(chip, fp16, quantized, seed, kind, per_channel, bias):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1, 3, 5, 5)).astype(np.float32)
    w = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    scale = (rng.random(4) * 0.01 + 0.001).astype(np.float32) if per_channel else np.float32(0.01)
    zero = np.array(7, kind)
    step = np.float32(0.03)
    b = rng.standard_normal(4).astype(np.float32)
    ints = rng.integers(-5000, 5000, 4).astype(np.int32)
    factors = (step.astype(np.float64) * scale.astype(np.float64) * np.ones(4)).astype(np.float64)
    arrays = {"w8": w, "ws": scale, "xs": step, "xz": zero, "b": b, "b32": ints, "bs": factors.astype(np.float32)}
    lines = {"n": "y = Conv(xd, wd)", "f": "y = Conv(xd, wd, b)"}
    lines["i"] = "bd = DequantizeLinear<axis = 0>(b32, bs)\n y = Conv(xd, wd, bd)"
    graph = f"""g (float[1, 3, 5, 5] x) => (float[1, 4, 3, 3] y) {{
        {constants(arrays)}
        q = QuantizeLinear(x, xs, xz)
        xd = DequantizeLinear(q, xs, xz)
        wd = DequantizeLinear<axis = 0>(w8, ws)
        {lines[bias]}
    }}"""
    result, program = quantized(graph, chip, {"x": x})
    info = np.iinfo(kind)
    codes = np.clip(np.rint(x / step) + 7, info.min, info.max).astype(np.int64) - 7
    windows = np.lib.stride_tricks.sliding_window_view(codes, (3, 3), axis=(2, 3))
    total = np.einsum("ncijkl,mckl->nmij", windows, w.astype(np.int64))
    extra = {"n": 0, "f": np.rint(b / factors).astype(np.int64), "i": ints}[bias]
    total = total + np.reshape(extra * np.ones(4, np.int64), (4, 1, 1))
    wanted = fp16(total.astype(np.float32) * factors.astype(np.float32).reshape(4, 1, 1), chip)
    np.testing.assert_array_equal(result, wanted)
    last = program.graph.node(-1)
    assert (last.domain, last.metadata_props["precision"], last.metadata_props["unit"]) == (DOMAIN, "int8", "cube")
    assert not any(node.op_type == "DequantizeLinear" for node in program.graph), "dequantisations are left behind"


@SETTINGS
@given(seed=SEEDS, op=st.sampled_from(["MatMul", "Gemm", "GemmT"]))
def test_products(chip, fp16, quantized, seed, op):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((5, 6)).astype(np.float32), rng.integers(-127, 128, (6, 4)).astype(np.int8)
    scale, step = (rng.random(4) * 0.01 + 0.001).astype(np.float32), np.float32(0.03)
    transposed = op == "GemmT"
    call = {"MatMul": "MatMul(xd, wd)", "Gemm": "Gemm(xd, wd)", "GemmT": "Gemm<transB = 1>(xd, wd)"}[op]
    arrays = {"w8": w.T if transposed else w, "ws": scale, "xs": step, "xz": np.array(0, np.int8)}
    graph = f"""g (float[5, 6] x) => (float[5, 4] y) {{
        {constants(arrays)}
        q = QuantizeLinear(x, xs, xz)
        xd = DequantizeLinear(q, xs, xz)
        wd = DequantizeLinear<axis = {0 if transposed else 1}>(w8, ws)
        y = {call}
    }}"""
    codes = np.clip(np.rint(x / step), -128, 127).astype(np.int64)
    factors = (step.astype(np.float64) * scale.astype(np.float64)).astype(np.float32)
    exact = (codes @ w.astype(np.int64)).astype(np.float32) * factors
    np.testing.assert_array_equal(quantized(graph, chip, {"x": x})[0], fp16(exact, chip))
    np.testing.assert_array_equal(quantized(graph, chip, {"x": x}, "force_fp32")[0], exact)


def test_requantisation_reads_the_float16_result(chip, fp16, quantized, run, read):
    arrays = {"w8": np.full((2, 1), 3, np.int8), "s": np.float32(0.5), "z": np.array(0, np.int8)}
    graph = f"""g (float[1, 2] x) => (int8[1, 1] y) {{
        {constants(arrays)}
        q = QuantizeLinear(x, s, z)
        xd = DequantizeLinear(q, s, z)
        wd = DequantizeLinear(w8, s, z)
        p = MatMul(xd, wd)
        y = QuantizeLinear(p, s, z)
    }}"""
    x = np.float32([[10, 7]])
    result, program = quantized(graph, chip, {"x": x}, "force_fp16")
    np.testing.assert_array_equal(result, run(read(graph), {"x": x})[0])
    assert [node.metadata_props["precision"] for node in program.graph if node.op_type == "QuantizeLinear"] == [
        "fp16"
    ] * 2


@pytest.mark.parametrize(
    ("product", "scale"),
    [("MatMul(xd, wd)", np.float32([0.5, 0.25])), ("Gemm<alpha = 2.0>(xd, wd)", np.float32(0.5))],
    ids=["scales along the sum", "a factor"],
)
def test_what_the_fixpipe_cannot_scale_stays_in_floating_point(chip, quantized, run, read, product, scale):
    arrays = {"w8": np.int8([[1, 2], [3, 4]]), "s": np.float32(0.5), "z": np.array(0, np.int8), "ws": scale}
    graph = f"""g (float[1, 2] x) => (float[1, 2] y) {{
        {constants(arrays)}
        q = QuantizeLinear(x, s, z)
        xd = DequantizeLinear(q, s, z)
        wd = DequantizeLinear<axis = 0>(w8, ws)
        y = {product}
    }}"""
    x = np.float32([[10, 7]])
    result, program = quantized(graph, chip, {"x": x})
    assert program.graph.node(-1).metadata_props["precision"] == "fp16"
    # ONNX Runtime's optimiser takes scales along the sum for scales along the result: unoptimised it is right.
    np.testing.assert_allclose(result, run(read(graph), {"x": x}, optimize=False)[0], rtol=2.0**-10)
