"""``zooport compile``: figures for every batch, all modelled and said so, and what stands in the way of the chip."""

from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from zoo.artifact import open_artifact
from zoo.ascend.calibration import fit, total, workload_of
from zoo.ascend.compatibility import compatibility
from zoo.ascend.compilation import compile_artifact
from zoo.ascend.cost import calibration
from zoo.ascend.hardware import chip_names, load_chip
from zoo.errors import UserError


def test_the_verb_prints_the_contract_and_keeps_it_in_the_artifact(zooport, tiny):
    answer = zooport("compile", tiny, "--target", "ascend310p3", "--batch", "8,1", "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert found["target"] == "ascend310p3"
    assert found["modelled"] is True
    assert [row["batch"] for row in found["batches"]] == [1, 8]
    for row in found["batches"]:
        assert row["throughput"] == pytest.approx(row["batch"] / row["latency_ms"] * 1e3)
        assert row["peak_memory_bytes"] > 0
    assert {"name", "source", "unit", "bound", "time_us"} <= set(found["ops"][0])
    assert {op["bound"] for op in found["ops"]} <= {"cube", "vector", "bandwidth", "launch"}
    # Kernels and the execution's own overhead make the latency.
    kernels = sum(op["time_us"] for op in found["ops"]) / 1e3
    assert 0 < kernels < found["batches"][-1]["latency_ms"]
    assert found["validation"]["chip"] == "ascend310p3"
    assert open_artifact(tiny).result("ascend-310p3") == found


def test_the_text_calls_every_figure_modelled(zooport, tiny):
    answer = zooport("compile", tiny, "--target", "Ascend310P3", "--batch", "1")
    assert answer.code == 0
    assert "modelled, not measured" in answer.out
    assert "published models" in answer.out
    assert "atc --framework=5" in answer.out


def test_programs_and_timelines_are_written_and_run(zooport, tiny, tmp_path):
    answer = zooport("compile", tiny, "--target", "ascend310p3", "--batch", "2", "-o", tmp_path / "out", "--json")
    assert answer.code == 0
    program, timeline = (tmp_path / "out" / f"ascend310p3-b2{end}" for end in (".onnx", ".trace.json"))
    assert json.loads(answer.out)["files"] == [str(program), str(timeline)]
    assert json.loads(timeline.read_text())["traceEvents"]
    feed = {"x": np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)}
    from zoo.executor import load

    (found,) = onnxruntime.InferenceSession(str(program)).run(None, feed)
    with load(open_artifact(tiny).model_path, "ascend310p3", precision="force_fp16") as session:
        (wanted,) = session.run(feed).values()
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--target", "ascend311"), "ascend310"),
        (("--target", "ascend310p3", "--batch", "1,x"), "--batch"),
        (("--target", "ascend310p3", "--batch", "0"), "no samples"),
        (("--target", "ascend310p3", "--size", "length=4"), "length"),
        (("--target", "ascend310p3", "--size", "length"), "--size"),
        (("--target", "ascend310p3", "--precision", "fp5"), "fp5"),
    ],
)
def test_what_cannot_be_compiled_is_said(refused, tiny, options, said):
    assert said in refused("compile", tiny, *options)


def test_every_chip_has_constants_and_says_what_they_rest_on():
    for name in chip_names():
        found = calibration(name)
        assert found.fitted_on in chip_names()
        assert found.how
        assert found.validation is None or found.validation["chip"] == name
        assert found.validation is not None or found.fitted_on != name


def test_compiling_leaves_the_artifact_s_graph_alone(tiny):
    before = open_artifact(tiny).model_path.read_bytes()
    compile_artifact(open_artifact(tiny), "ascend910b4", batches=[1])
    assert open_artifact(tiny).model_path.read_bytes() == before


def test_a_fixed_batch_is_not_changed(read):
    from types import SimpleNamespace

    model = read("g (float[1, 4] x) => (float[1, 4] y) { y = Relu(x) }")
    fixed = SimpleNamespace(model=lambda: model, card=dict)
    assert [row.batch for row in compile_artifact(fixed, "ascend310p3").batches] == [1]
    with pytest.raises(UserError, match="one fixed batch"):
        compile_artifact(fixed, "ascend310p3", batches=[4])


def test_what_the_chip_lacks_is_listed_with_a_way_out(read):
    model = read(
        """g (float[batch, 8] x) => (int64[2, n] at) {
        y = Relu(x)
        at = NonZero(y)
    }"""
    )
    found = compatibility(model, load_chip("ascend310p3"), [1, 4], precision_mode="force_fp16")
    assert found.operators[0].op == "NonZero"
    assert found.operators[0].unit == "aicpu"
    assert "mask" in found.operators[0].rewrite
    assert found.data_dependent
    assert found.dynamic == ("batch",)
    assert not found.atc_opset
    assert "--dynamic_batch_size=1,4" in found.atc
    assert "--precision_mode=force_fp16" in found.atc
    assert "x:-1,8" in found.atc


def test_a_fit_finds_the_constants_that_made_the_measurements(read):
    from types import SimpleNamespace

    chip = load_chip("ascend310p3")
    graphs = {
        key: read(
            f"""g (float[batch, {c}, {s}, {s}] x, float[{c}, {c}, 3, 3] w) => (float[batch, {c}, {s}, {s}] y) {{
            a = Conv<pads = [1, 1, 1, 1]>(x, w)
            b = Relu(a)
            d = Conv<pads = [1, 1, 1, 1]>(b, w)
            y = Add(d, x)
        }}"""
        )
        for key, (c, s) in {"wide": (256, 14), "large": (32, 112), "small": (16, 7), "deep": (512, 28)}.items()
    }
    import dataclasses

    true = dataclasses.replace(calibration("ascend310p3").constants, execution_s=2e-4, cube=1.5)
    samples = [
        SimpleNamespace(key=key, chip=chip, batch=batch, model=model, row=None, seconds=total(work, chip, true))
        for key, model in graphs.items()
        for batch in (1, 4, 16, 64)
        for work in [workload_of(model, chip, batch)]
    ]
    found = fit(samples)
    errors = [found.seconds(item.model, item.chip, item.batch) / item.seconds - 1 for item in samples]
    assert np.abs(errors).max() < 0.15
    assert found.constants.execution_s == pytest.approx(2e-4, rel=0.4)


def test_values_of_functions_have_no_shapes_of_one_kernel(tiny, tmp_path):
    compile_artifact(open_artifact(tiny), "ascend310p3", batches=[1], out=tmp_path)
    model = ir.load(tmp_path / "ascend310p3-b1.onnx")
    assert model.functions
    assert all(
        value.shape is None for function in model.functions.values() for node in function for value in node.outputs
    )
