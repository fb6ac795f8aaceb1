"""A compiled model is legal, says what it did, shares the weights, and leaves the source model alone."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.ascend import precision
from zoo.ascend.compiler import compile_model, passes
from zoo.ascend.functions import DOMAIN, FROM_FINITE, FROM_HELD, add_functions
from zoo.ascend.hardware import load_chip
from zoo.ascend.units import UNITS
from zoo.ascend.verifier import verify
from zoo.errors import InternalError, UserError

NET = """g (float[1, 4, 8, 8] x, float[4, 4, 3, 3] w, float[4] b, float[4, 3] f) => (float[1, 3] y) {
    c0 = Conv<pads = [1, 1, 1, 1]>(x, w, b)
    r0 = Relu(c0)
    c1 = Conv<pads = [1, 1, 1, 1]>(r0, w, b)
    sum = Add(c1, x)
    c2 = Conv<pads = [1, 1, 1, 1]>(sum, w, b)
    both = Add(c2, c1)
    c3 = Conv<pads = [1, 1, 1, 1]>(both, w, b)
    pooled = GlobalAveragePool(c3)
    flat = Flatten(pooled)
    y = Gemm(flat, f)
}"""


def net_feed(seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"x": (1, 4, 8, 8), "w": (4, 4, 3, 3), "b": (4,), "f": (4, 3)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def text_of(model):
    return ir.serde.serialize_model(model).SerializeToString(deterministic=True)


def test_every_node_says_its_unit_and_keeps_its_metadata(chip, read):
    model = read(NET)
    for node in model.graph:
        node.metadata_props["source"] = f"module.{node.op_type}"
    compiled = compile_model(model, chip)
    assert [node.metadata_props["unit"] for node in compiled.graph] == [UNITS[node.op_type] for node in model.graph]
    assert [node.metadata_props["source"] for node in compiled.graph] == [
        node.metadata_props["source"] for node in model.graph
    ]
    assert compiled.metadata_props["ascend.chip"] == chip.name


def test_the_source_model_is_left_as_it_is(chip, read):
    model = read(NET)
    before = text_of(model)
    compiled = compile_model(model, chip)
    assert text_of(model) == before
    assert text_of(compiled) != before
    assert text_of(compile_model(model, chip)) == text_of(compiled)


def test_a_net_differs_from_its_source_by_fp16_only(chip, read, run, compiled_run):
    model, feed = read(NET), net_feed()
    (result,), (source,) = compiled_run(model, chip, feed), run(model, feed)
    assert 0 < np.abs(result - source).max() / np.abs(source).max() < 5e-3


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([1.0, 100.0, 3e4]),
    broken=st.booleans(),
    mode=st.sampled_from(["cube_fp16", "force_fp16", "allow_mix_precision"]),
)
def test_eliding_rounding_changes_no_bit(chip, read, run, seed, size, broken, mode):
    feed = net_feed(seed)
    feed["x"] *= np.float32(size)
    if broken:
        feed["x"][0, 0, 0, 0] = np.nan
    model = read(NET)
    program, plain = compile_model(model, chip, mode), model.clone()
    for step in passes(chip, precision.settings(chip, mode)):
        if type(step).__name__ != "ElideRoundingPass":
            step(plain)
    assert set(program.functions) != set(plain.functions)
    np.testing.assert_array_equal(run(program, feed, optimize=False), run(plain, feed, optimize=False))


def test_which_operands_need_less_rounding(chip, read):
    names = [node.op_type for node in compile_model(read(NET), chip).graph if node.domain == DOMAIN]
    # c1 reads Relu(c0): fp16. x is unknown, so c1 + x is; c2 + c1 is bounded where the cube saturates.
    bounded = FROM_FINITE if chip.saturates else ""
    assert names == ["ConvBias", f"ConvBias{FROM_HELD}", "ConvBias", f"ConvBias{bounded}", f"Gemm{bounded}"]


def test_clip_with_limits_beyond_fp16_is_no_fp16(chip, read):
    template = """g (float[2, 2] x) => (float[2, 2] y) {{
        low = Constant<value_float = {}>()
        p = MatMul(x, x)
        c = Clip(p, low)
        y = MatMul(c, x)
    }}"""
    for low, fp16 in ((0.0, True), (0.1, False)):
        last = compile_model(read(template.format(low)), chip).graph.node(-1)
        assert last.op_type.endswith(FROM_HELD) == fp16


def test_weights_stay_where_they_are(chip, tmp_path):
    weights = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    (tmp_path / "weights.bin").write_bytes(weights.tobytes())
    tensor = ir.ExternalTensor(
        "weights.bin", 0, weights.nbytes, ir.DataType.FLOAT, shape=ir.Shape((64, 64)), name="w", base_dir=tmp_path
    )
    x, w = ir.val("x", ir.DataType.FLOAT, (1, 64)), ir.Value(name="w", const_value=tensor)
    w.type, w.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape((64, 64))
    node = ir.node("MatMul", [x, w])
    node.outputs[0].name = "y"
    node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph([x], node.outputs, nodes=[node], initializers=[w], opset_imports={"": 23}, name="g")
    compiled = compile_model(ir.Model(graph, ir_version=10), chip)
    assert compiled.graph.initializers["w"].const_value is tensor
    ir.save(compiled, tmp_path / "compiled.onnx")
    assert (tmp_path / "compiled.onnx").stat().st_size < weights.nbytes / 2
    onnx.checker.check_model(str(tmp_path / "compiled.onnx"), full_check=True)
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "compiled.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.ones((1, 64), np.float32)})[0].shape == (1, 64)


@pytest.mark.parametrize("kind", ["double", "float16", "bfloat16", "int32"])
def test_other_types_are_left_as_they_are(chip, read, kind):
    model = read(f"g ({kind}[2, 2] x) => ({kind}[2, 2] y) {{ y = MatMul(x, x) }}")
    compiled = compile_model(model, chip)
    assert not compiled.functions
    unit = compiled.graph.node(0).metadata_props["unit"]
    supported = {"double": False, "bfloat16": chip.supports_bfloat16}.get(kind, True)
    assert unit == ("cube" if supported else "unsupported")


def test_float64_of_the_vector_unit_goes_to_the_ai_cpu(chip, read):
    compiled = compile_model(read("g (double[2] x) => (double[2] y) { y = Add(x, x) }"), chip)
    assert compiled.graph.node(0).metadata_props["unit"] == "aicpu"


@pytest.mark.parametrize("operator", ["LSTM", "GRU"])
def test_recurrent_operators_are_kept_and_reported(chip, read, run, operator):
    gates = {"LSTM": 4, "GRU": 3}[operator]
    model = read(
        f"g (float[5, 1, 2] x, float[1, {gates * 3}, 2] w, float[1, {gates * 3}, 3] r) => (float[5, 1, 1, 3] y) "
        f"{{ y = {operator}<hidden_size = 3>(x, w, r) }}"
    )
    compiled = compile_model(model, chip)
    node = compiled.graph.node(0)
    assert (node.op_type, node.metadata_props["unit"]) == (operator, "unsupported")
    assert "fp16" in node.metadata_props["reason"]
    feed = {
        name: np.ones(shape, np.float32)
        for name, shape in {"x": (5, 1, 2), "w": (1, gates * 3, 2), "r": (1, gates * 3, 3)}.items()
    }
    np.testing.assert_array_equal(run(compiled, feed)[0], run(model, feed)[0])


def test_an_unknown_operator_is_reported_and_still_runs(chip, run):
    model = ir.serde.deserialize_model(
        onnx.parser.parse_model(
            '<ir_version: 10, opset_import: ["": 23, "com.microsoft": 1]> g (float[2, 2] x) => (float[2, 2] y) '
            "{ h = com.microsoft.QuickGelu(x)  y = MatMul(h, x) }"
        )
    )
    compiled = compile_model(model, chip)
    unknown, product = compiled.graph
    assert (unknown.metadata_props["unit"], unknown.domain) == ("unsupported", "com.microsoft")
    assert "QuickGelu" in unknown.metadata_props["reason"]
    assert run(compiled, {"x": np.eye(2, dtype=np.float32)})[0].shape == (2, 2)
    # Nobody knows the type of a foreign operator's output: better reported than silently in float32.
    assert product.metadata_props["unit"] == "unsupported"
    assert "types are not known" in product.metadata_props["reason"]


def test_subgraphs_are_compiled(chip, fp16, read, compiled_run):
    model = read("""g (bool c, float[2, 2] x) => (float[2, 2] y) {
        y = If(c) <
            then_branch = t () => (float[2, 2] p) { p = MatMul(x, x) },
            else_branch = e () => (float[2, 2] n) { n = Neg(x) }
        >
    }""")
    x = np.float32([[1.0001, 0], [0, 3.0001]])
    (result,) = compiled_run(model, chip, {"c": np.array(True), "x": x})
    np.testing.assert_array_equal(result, fp16(fp16(x, chip) @ fp16(x, chip), chip))


def test_functions_of_the_source_are_inlined(chip, fp16, compiled_run):
    model = ir.serde.deserialize_model(
        onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["": 23, "mine": 1]>
        g (float[2, 2] x) => (float[2, 2] y) { y = mine.Square(x) }
        <domain: "mine", opset_import: ["": 23]> Square (a) => (b) { b = MatMul(a, a) }
    """)
    )
    x = np.float32([[1.0001, 0], [0, 3.0001]])
    (result,) = compiled_run(model, chip, {"x": x})
    np.testing.assert_array_equal(result, fp16(fp16(x, chip) @ fp16(x, chip), chip))


def test_missing_types_are_inferred(chip, read):
    model = read("g (float[2, 2] x) => (float[2, 2] y) { h = Relu(x)  y = MatMul(h, h) }")
    model.graph.node(0).outputs[0].type = None
    assert compile_model(model, chip).graph.node(1).domain == DOMAIN


def test_user_errors(read):
    chip, model = load_chip("ascend310p3"), read(NET)
    with pytest.raises(UserError, match="cube_fp16"):
        compile_model(model, chip, "cube_fp61")
    with pytest.raises(UserError, match="compiled already"):
        compile_model(compile_model(model, chip), chip)
    with pytest.raises(UserError, match="opset 11"):
        compile_model(read(NET, opset=11), chip)


class TestVerifier:
    """The verifier fails on what it is there for."""

    def test_use_before_definition(self, read):
        model = read(NET)
        first, second = model.graph.node(0), model.graph.node(1)
        model.graph.remove(second)
        first.prepend(second)
        with pytest.raises(InternalError, match="before it is defined"):
            verify(model, "test")

    def test_one_name_twice(self, read):
        model = read(NET)
        model.graph.node(1).outputs[0].name = "c0"
        with pytest.raises(InternalError, match="defined twice"):
            verify(model, "test")

    @pytest.mark.parametrize(("domain", "message"), [("", "no such operator"), (DOMAIN, "not imported")])
    def test_unknown_operator(self, read, domain, message):
        model = read(NET)
        model.graph.node(1).op_type, model.graph.node(1).domain = "Reluu", domain
        with pytest.raises(InternalError, match=message):
            verify(model, "test")

    def test_wrong_type_for_a_function(self, read):
        model = read("g (float16[2, 2] x) => (float16[2, 2] y) { y = MatMul(x, x) }")
        model.graph.node(0).domain = DOMAIN
        add_functions(model, ["MatMul"], saturates=True)
        with pytest.raises(InternalError, match="wants FLOAT, gets FLOAT16"):
            verify(model, "test")
