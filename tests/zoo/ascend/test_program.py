"""Compiling for one size: kernels are fused, laid out and tiled as said, and nothing of it changes a number."""

from __future__ import annotations

import itertools
import json

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.ascend.cost import costs
from zoo.ascend.formats import FORMAT
from zoo.ascend.functions import DOMAIN
from zoo.ascend.hardware import load_chip
from zoo.ascend.outline import outline
from zoo.ascend.passes.fold_constants import FoldConstantsPass
from zoo.ascend.products import Product, products_of
from zoo.ascend.program import Options, build
from zoo.ascend.tiling import tile
from zoo.ascend.timeline import trace
from zoo.errors import UserError

CHIP = load_chip("ascend310p3")

# A residual block, a head of attention in its parts, and a seam between the two.
NET = """<ir_version: 10, opset_import: ["": 18]>
g (float[batch, 20, 8, 8] x) => (float[batch, 64, 32] y)
   <float[20, 20, 3, 3] w, float[20] b, int64[3] rows = {0, 20, 64}, int64[3] back = {0, 64, 20}, float[20, 32] f> {
    c0 = Conv<pads = [1, 1, 1, 1]>(x, w, b)
    r0 = Relu(c0)
    c1 = Conv<pads = [1, 1, 1, 1]>(r0, w, b)
    sum = Add(c1, x)
    r1 = Relu(sum)
    flat = Reshape(r1, rows)
    tokens = Transpose<perm = [0, 2, 1]>(flat)
    keys = Transpose<perm = [0, 2, 1]>(tokens)
    scores = MatMul(tokens, keys)
    weights = Softmax<axis = -1>(scores)
    context = MatMul(weights, tokens)
    wide = MatMul(context, f)
    y = Gelu(wide)
}"""


def net():
    # Gelu came with opset 20.
    model = onnx.parser.parse_model(NET.replace('"": 18', '"": 20'))
    rng = np.random.default_rng(0)
    for value in list(model.graph.value_info) + list(model.graph.input):
        if value.name in ("w", "b", "f"):
            shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            data = (rng.standard_normal(shape) / 8).astype(np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(data, value.name))
    return ir.serde.deserialize_model(model)


@pytest.fixture(scope="module")
def program():
    return build(net(), CHIP, {"batch": 2})


def run(model, feed):
    session = onnxruntime.InferenceSession(ir.serde.serialize_model(model).SerializeToString())
    return session.run(None, feed)


def test_a_convolution_takes_bias_residual_and_activation_into_its_kernel(program):
    fused = [kernel.operators for kernel in program.kernels]
    assert ("Conv", "Relu") in fused
    assert ("Conv", "Add", "Relu") in fused
    assert ("MatMul", "Gelu") in fused


def test_a_value_that_others_read_ends_the_kernel(program):
    # ``scores`` alone goes on into the softmax, but the softmax is no elementwise operator.
    assert ("MatMul",) in [kernel.operators for kernel in program.kernels]
    assert all(kernel.operators.count("Softmax") <= 1 for kernel in program.kernels)


def test_the_operand_of_a_product_is_turned_around_by_the_cube(program):
    # Of two transposes one runs; the other is how the cube reads the keys.
    assert sum(kernel.operator == "Transpose" for kernel in program.kernels) == 1


def test_layouts_change_once_at_each_seam(program):
    converted = [kernel for kernel in program.kernels if kernel.operator == "TransData"]
    assert len({(kernel.reads[0].name, kernel.writes[0].format) for kernel in converted}) == len(converted)
    formats = {kernel.operators: str(kernel.writes[0].format) for kernel in program.kernels}
    assert formats["Conv", "Relu"] == "NC1HWC0"
    assert formats["MatMul", "Gelu"] == "FRACTAL_NZ"
    assert program.model.graph.outputs[0].metadata_props[FORMAT] == "ND"


def test_a_chip_that_packs_rows_itself_spares_the_fractals():
    found = build(net(), load_chip("ascend910b4"), {"batch": 2})
    assert "FRACTAL_NZ" not in {str(tensor.format) for kernel in found.kernels for tensor in kernel.writes}


def test_padding_of_channels_counts_as_storage(program):
    first = next(kernel for kernel in program.kernels if kernel.operator == "Conv")
    # 20 channels take two blocks of 16.
    assert first.writes[0].bytes == 2 * 32 * 64 * 2


def test_structure_changes_no_bit(program):
    from zoo.ascend.compiler import compile_model

    feed = {"x": np.random.default_rng(1).standard_normal((2, 20, 8, 8)).astype(np.float32)}
    (plain,) = run(compile_model(net(), CHIP, program.precision), feed)
    (structured,) = run(program.model, feed)
    (outlined,) = run(outline(program), feed)
    assert np.array_equal(plain, structured)
    assert np.array_equal(plain, outlined)


def test_the_outlined_program_is_one_legal_file_of_annotated_functions(program, tmp_path):
    model = outline(program)
    ir.save(model, tmp_path / "program.onnx")
    onnx.checker.check_model(str(tmp_path / "program.onnx"))
    calls = [node for node in model.graph if "ascend.unit" in node.metadata_props]
    assert all(call.domain == DOMAIN for call in calls)
    assert len(calls) == len(program.kernels)
    for call in calls:
        assert {"ascend.bytes_read", "ascend.modelled.us"} <= set(call.metadata_props)
        assert json.loads(call.outputs[0].metadata_props["ascend.storage_shape"])
    cube = [call for call in calls if "Conv" in call.op_type or "MatMul" in call.op_type]
    assert all(int(call.metadata_props["ascend.cube_cycles"]) > 0 for call in cube)


def test_the_timeline_is_a_trace_that_covers_every_kernel(program):
    events = json.loads(json.dumps(trace(program)))["traceEvents"]
    kernels = [event for event in events if event["ph"] == "X" and event["tid"] == 0]
    assert [event["name"] for event in kernels] == [kernel.name for kernel in program.kernels]
    ends = kernels[-1]["ts"] + kernels[-1]["dur"]
    assert ends == pytest.approx(program.seconds * 1e6, rel=1e-3)
    assert all(one["ts"] + one["dur"] <= other["ts"] + 1e-3 for one, other in itertools.pairwise(kernels))


def test_more_samples_take_longer_but_less_than_in_proportion():
    times = [build(net(), CHIP, {"batch": batch}).seconds for batch in (1, 4, 64, 512)]
    assert times == sorted(times)
    assert times[2] < 64 * times[0]


def test_a_slower_memory_is_never_faster(program):
    import dataclasses

    slow = dataclasses.replace(CHIP, dram_bytes_per_s=CHIP.dram_bytes_per_s / 10)
    constants = program.calibration.constants
    assert (costs(program.workload, slow, constants).seconds >= program.costs.seconds).all()


def test_a_dimension_without_a_size_is_refused():
    with pytest.raises(UserError, match="has no size"):
        build(net(), CHIP, {})


def test_shape_arithmetic_is_folded_away():
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 18]> g (float[2, 3, 4] x) => (float[a, b] y) <int64[1] rest = {-1}> {
        shape = Shape<start = 0, end = 1>(x)
        wanted = Concat<axis = 0>(shape, rest)
        y = Reshape(x, wanted)
    }"""
    )
    found = ir.serde.deserialize_model(model)
    FoldConstantsPass()(found)
    assert [node.op_type for node in found.graph if node.op_type != "Constant"] == ["Reshape"]
    assert run(found, {"x": np.zeros((2, 3, 4), np.float32)})[0].shape == (2, 12)


products = st.builds(
    lambda count, m, k, n: Product(count, m, 16 * k, 16 * n, count * m * 16 * k * 16 * n),
    st.integers(1, 30),
    st.integers(1, 5000),
    st.integers(1, 80),
    st.integers(1, 80),
)


@settings(max_examples=60)
@given(products, st.sampled_from(["ascend310p3", "ascend310", "ascend310b1", "ascend910b4"]))
def test_a_tiling_fits_the_chip_and_does_all_the_work(product, name):
    chip = load_chip(name)
    found = tile(product, chip)
    assert 1 <= found.cores <= chip.ai_cores
    m, k, n = found.tile
    assert 2 * m * n * 4 <= chip.l0c_bytes
    assert min(2 * m * k * 2, 2 * k * n * 2) <= chip.l0a_bytes
    # The busiest core does at least its share of the multiplications.
    assert found.cube_cycles * 4096 * found.cores >= product.macs * (1 - 1e-9)


def test_a_depthwise_convolution_leaves_most_of_the_cube_idle():
    node = ir.node("Conv", [ir.Value(), ir.Value()], {"group": 64}, num_outputs=1)
    node.inputs[0].shape, node.inputs[1].shape = ir.Shape([1, 64, 10, 10]), ir.Shape([64, 1, 3, 3])
    node.outputs[0].shape = ir.Shape([1, 64, 8, 8])
    (product,) = products_of(node)
    assert product.macs == 64 * 64 * 9
    assert product.count * product.m * product.k * product.n == 16 * product.macs


def test_few_channels_kept_in_fours_spare_three_quarters_of_the_first_convolution(read):
    model = read("g (float[1, 3, 32, 32] x, float[16, 3, 7, 7] w) => (float[1, 16, 26, 26] y) { y = Conv(x, w) }")
    model.graph.inputs[1].const_value = ir.tensor(np.zeros((16, 3, 7, 7), np.float32), name="w")
    model.graph.register_initializer(model.graph.inputs.pop(1))
    padded, small = (build(model, CHIP, {}, Options(small_channel=option)) for option in (False, True))
    (before,), (after,) = ([kernel for kernel in found.kernels if kernel.products] for found in (padded, small))
    assert after.products[0].k < before.products[0].k / 3.5
    assert [str(tensor.format) for tensor in after.reads if not tensor.constant] == ["NC1HWC0_C04"]
    assert small.seconds < padded.seconds


def test_zeros_around_a_picture_are_loaded_by_the_convolution_itself(read):
    text = """g (float[1, 16, 9, 9] x, float[16, 16, 3, 3] w) => (float[1, 16, 5, 5] y)
        <int64[8] around = {{0, 0, {first}, 0, 0, 0, 1, 1}}> {{
        wide = Pad(x, around)
        y = Conv<strides = [2, 2]>(wide, w)
    }}"""
    kernels = [kernel.operator for kernel in build(read(text.format(first=1)), CHIP, {}).kernels]
    assert "Pad" not in kernels
    assert kernels.count("Conv") == 1


def test_a_border_that_something_else_reads_is_a_kernel(read):
    model = read(
        """g (float[1, 16, 9, 9] x, float[16, 16, 3, 3] w) => (float[1, 16, 9, 9] y, float[1, 16, 11, 11] z)
        <int64[8] around = {0, 0, 1, 1, 0, 0, 1, 1}> {
        wide = Pad(x, around)
        y = Conv(wide, w)
        z = Relu(wide)
    }"""
    )
    assert "Pad" in [kernel.operator for kernel in build(model, CHIP, {}).kernels]


def test_channels_last_pictures_are_brought_into_blocks_as_other_ones_are(read):
    last = read(
        """g (float[8, 64, 64, 3] x, float[16, 3, 3, 3] w) => (float[8, 16, 62, 62] y) {
        first = Transpose<perm = [0, 3, 1, 2]>(x)
        y = Conv(first, w)
    }"""
    )
    first = read("g (float[8, 3, 64, 64] x, float[16, 3, 3, 3] w) => (float[8, 16, 62, 62] y) { y = Conv(x, w) }")
    assert build(last, CHIP, {}).seconds < 1.5 * build(first, CHIP, {}).seconds
