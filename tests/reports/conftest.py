"""Artifacts as plain dictionaries, one for each state a report has to show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reports import collect, render_report
from reports.facts import Report, Sweep, SweepRow
from reports.html import site
from reports.language import LANGUAGES
from reports.port_facts import Graph, Tensor
from reports.sources import Source
from tests.reports.browsing import browser, visit

__all__ = ["browser", "visit"]  # fixtures

HOSTILE = '<script>alert("x")</script>|</script><img src=x onerror=alert(1)> `_a_` [b](javascript:c)\n## d'
MACHINE = {"cpu": "Test CPU 2.5 GHz", "cores": 2, "memory_bytes": 8 * 2**30, "os": "Linux 6.1", "python": "3.11.2"}


def output(name: str = "logits", ratio: Any = 1.02, verdict: str = "pass", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "shape": [1, 1000],
        "dtype": "float32",
        "max_abs": 3.4571e-06,
        "rel_l2": 4.1234e-07,
        "cosine": 0.9999999999,
        "sqnr_db": 127.6543,
        "ulp_p99": 12.0,
        "budget": {
            "original_error": 3.9e-07,
            "port_error": 3.9e-07 * ratio if isinstance(ratio, float) else ratio,
            "ratio": ratio,
            "limit": 3.0,
            "max_abs_ratio": 1.37,
            "max_abs_limit": 6.0,
        },
        "power": {"signal_over_noise": 184000.0, "budget_width": 4.2e-07},
        "verdict": verdict,
        "notes": [],
        **more,
    }


def parity(executor: str = "onnxruntime", verdict: str = "pass", **more: Any) -> dict[str, Any]:
    return {
        "executor": executor,
        "verdict": verdict,
        "cases": 12,
        "truth": "float64",
        "outputs": [output(verdict=verdict)],
        "guards": [{"output": "logits", "guard": "finite", "verdict": "pass", "detail": "no NaN or infinity"}],
        "first_divergence": None,
        "diagnosis": None,
        "machine": MACHINE,
        **more,
    }


def bench_row(side: str, route: str, threads: int, p50: float, **more: Any) -> dict[str, Any]:
    return {
        "side": side,
        "route": route,
        "threads": threads,
        "p50_ms": p50,
        "p90_ms": p50 * 1.08,
        "p99_ms": p50 * 1.31,
        "throughput": 1000 / p50,
        "peak_rss_bytes": 412 * 2**20,
        "load_s": 0.412,
        "samples": 200,
        **more,
    }


def card(name: str, task: str, reference: str, **more: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": name,
        "task": task,
        "source": {
            "framework": "pytorch",
            "reference": reference,
            "versions": {"torch": "2.13.0", "torchvision": "0.28.0"},
            "licence": "BSD-3-Clause",
            "checkpoint": {"kind": "package", "files": [{"name": "weights.pth", "sha256": "ab" * 32}]},
        },
        "port": {"fallback": False, "opset": 23, "nodes": 124, "notes": []},
        "inputs": [{"name": "image", "dtype": "float32", "shape": [1, 3, 224, 224], "kind": "image"}],
        "outputs": [{"name": "logits", "dtype": "float32", "shape": [1, 1000]}],
        **more,
    }


def _accuracy() -> dict[str, Any]:
    row = {"n": 20, "original": 0.85, "port": 0.85, "delta": 0.0, "interval": [0.0, 0.0], "flipped": []}
    flip = {"sample": "n02123045_118.jpg", "original": "tabby cat", "port": "tiger cat"}
    chip = {"n": 20, "original": 0.85, "port": 0.8, "delta": -0.05, "interval": [-0.15, 0.05], "flipped": [flip]}
    return {
        "task": "imagenet",
        "metric": "top1",
        **row,
        "reference": {"value": 0.7613, "source": "torchvision 0.28 documentation, IMAGENET1K_V1"},
        "executors": {"onnxruntime": row, "ascend310p3": chip},
    }


def kernel(op: str, bound: str, time_us: float, intensity: float = 50.0, **more: Any) -> dict[str, Any]:
    return {
        "name": f"layer1/{op}",
        "op": op,
        "source": "layer1 torchvision/models/resnet.py:92",
        "unit": "cube" if bound == "cube" else "vector",
        "bound": bound,
        "time_us": time_us,
        "bytes": 1000,
        "intensity": intensity,
        "gops": 1e-3 * intensity * 1000 / time_us,
        **more,
    }


def batch_row(batch: int, latency_ms: float, mebibytes: int, **more: Any) -> dict[str, Any]:
    return {
        "batch": batch,
        "latency_ms": latency_ms,
        "throughput": 1e3 * batch / latency_ms,
        "peak_memory_bytes": mebibytes * 2**20,
        "utilisation": 0.2437,
        "energy_j": 0.072 * latency_ms,
        **more,
    }


def _compatibility() -> dict[str, Any]:
    obstacle = {
        "op": "NonZero",
        "count": 1,
        "unit": "aicpu",
        "reason": "its size depends on data",
        "rewrite": "replace the selection by a mask",
        "examples": ["select/NonZero select model.py:7"],
    }
    convolutions = {"op": "Conv", "count": 53, "unit": "cube", "reason": "", "rewrite": "", "examples": []}
    return {
        "operators": [obstacle, convolutions],
        "dynamic": ["batch"],
        "data_dependent": ["select/NonZero"],
        "int64": 3,
        "float64": 0,
        "opset": 23,
        "atc_opset": False,
        "notes": ["ATC reads opset 11 to 18, the graph has 23"],
        "atc": "atc --framework=5 --model=model.onnx --soc_version=Ascend310P3",
    }


def compiled(**more: Any) -> dict[str, Any]:
    """What ``zooport compile`` writes: kernels of 800 us at batch 8, which takes 1000 us."""
    ops = [
        kernel("TransData", "bandwidth", 50.0, 0.0),
        kernel("Conv + Relu", "cube", 500.0),
        kernel("Conv + Relu", "cube", 100.0),
        kernel("MaxPool", "bandwidth", 120.0, 0.9),
        kernel("NonZero", "launch", 30.0, 0.3, unit="aicpu"),
    ]
    return {
        "target": "ascend310p3",
        "precision": "cube_fp16",
        "modelled": True,
        "batches": [batch_row(1, 0.3, 61), batch_row(8, 1.0, 180)],
        "ops": ops,
        "roofline": {"cube_gops": 69468.16, "vector_gops": 2035.2, "dram_bytes_per_s": 204.8e9},
        "unsupported": [],
        "compatibility": _compatibility(),
        "advice": ["23% of the modelled time is a convolution of few channels"],
        "validation": {
            "chip": "ascend310p3",
            "models": 14,
            "rows": 112,
            "median_ape": 0.182,
            "within_1.5x": 0.871,
            "spearman": 0.97,
            "families_apart": {"median_ape": 0.251},
        },
        "calibration": "constants of ascend310p3: fitted on 112 published rows",
        "files": [],
        **more,
    }


def layer(place: int, **more: Any) -> dict[str, Any]:
    return {
        "source": "aten.conv2d.default",
        "module": f"layer{place}.conv",
        "line": "torchvision/models/resnet.py:92",
        "node": f"Conv_{place}",
        "op": "Conv",
        "inherited": 1e-7 * place,
        "injected": 4e-7 / (1 + place % 3),
        "amplified": 0.9 + place % 4 / 10,
        "ratio": 0.5,
        "limit": 3.0,
        "verdict": "pass",
        **more,
    }


def weight_map() -> dict[str, Any]:
    lines = {"sources": [{"name": "conv1/kernel"}], "targets": [{"name": "conv1.weight"}]}
    posting = {"rule": "conv", **lines, "steps": ["transpose 3 2 0 1"], "exact": True}
    return {
        "map": "keras-resnet50-to-torchvision",
        "entries": [posting],
        "dropped": [{"name": "optimizer/step", "reason": "of training alone"}],
        "initialised": [],
        "round_trip": {"identical": ["conv1/kernel"], "different": []},
        "totals": {"consumed": 1, "produced": 1, "dropped": 1, "initialised": 0},
    }


def training(verdict: str = "pass", **more: Any) -> dict[str, Any]:
    gradient = {
        "name": "fc.weight",
        "elements": 2048000,
        "norm": 18.7,
        "original_error": 3.73e-05,
        "port_error": 6.15e-05,
        "ratio": 1.6461,
        "limit": 3.0,
        "decides": True,
        "verdict": verdict,
        "note": "no gradient reaches it" if verdict == "fail" else "",
    }
    curves = {"original": [7.9008, 5.5546, 4.5698], "truth": [7.900801, 5.554602, 4.569803]}
    return {
        "executor": "mindspore:graph",
        "verdict": verdict,
        "loss": "cross entropy of the output logits",
        "statistics": "frozen",
        "batch": 2,
        "batches": 3,
        "steps": 3,
        "learning_rate": 0.001,
        "losses": {**curves, "port": [7.900799, 5.554603, 4.569798]},
        "loss_parity": {"original_error": 2e-6, "port_error": 4e-6, "ratio": 2.0, "limit": 6.0, "verdict": "pass"},
        "weight_parity": None,
        "gradients": [gradient],
        "diagnosis": "fc.weight: no gradient reaches it" if verdict == "fail" else "",
        "notes": ["the steps decide nothing"],
        **more,
    }


def beside(target: str = "mindcv:resnet50", **more: Any) -> dict[str, Any]:
    row = {"name": "output", "verdict": "pass", "rel_l2": 2.7e-06, "max_abs": 5.4e-06, "ratio": 1.6225, "limit": 3.0}
    off = {**row, "verdict": "fail", "rel_l2": 0.0957, "ratio": 325000.0}
    sides = [
        {"side": "port", "model": "mindspore", "verdict": "pass", "outputs": [row], "diagnosis": ""},
        {"side": "target", "model": target, "verdict": "fail", "outputs": [off], "diagnosis": "off"},
    ]
    return {
        "target": target, "map": "torchvision-resnet-to-mindcv", "verdict": "fail", "sides": sides, "tensors": 267,
        "where": "4 pairs of layers agree; the first that do not are maxpool and max_pool",
        "cases": 4, "seed": 1, **more,
    }  # fmt: skip


def search() -> dict[str, Any]:
    kept = [{"node": "fc/Gemm", "op": "Gemm", "module": "fc", "line": "torchvision/models/resnet.py:280"}]
    return {
        "mode": "force_fp16", "metric": "error", "limit": 1e-3, "before": 2e-3, "after": 8e-4, "holds": True,
        "operators": 55, "keep": kept,
    }  # fmt: skip


def complete() -> Source:
    lost = {
        "node": "fc/Gemm",
        "op": "Gemm",
        "module": "fc",
        "line": "x.py:1",
        "precision": "fp16",
        "loss": 5e-4,
        "overflows": 0,
    }
    emulated = parity(
        "ascend310p3", outputs=[output(ratio=2.31)], machine=MACHINE, operators=[lost], precision="fp16_cube"
    )
    rows = [
        bench_row("original", "eager", 1, 71.2),
        bench_row("original", "eager", 2, 41.7),
        bench_row("original", "torch.compile", 2, 33.9, calls_ms=[33.9 + place % 5 / 10 for place in range(30)]),
        bench_row("port", "onnxruntime", 1, 38.4),
        bench_row("port", "onnxruntime", 2, 21.3),
        bench_row("port", "openvino", 2, 17.8, calls_ms=[17.8 + place % 7 / 10 for place in range(30)]),
        bench_row("port", "ascend310p3", 2, 64.0),
    ]
    found = {
        "parity": parity(layers=[layer(place) for place in range(1, 61)]),
        "weight-map": weight_map(),
        "beside-mindcv-resnet50": beside(),
        "training": training(gradients=[*training()["gradients"] * 60]),
        "parity-ascend310p3": emulated,
        "accuracy": _accuracy(),
        "bench": {"rows": rows, "machine": MACHINE},
        "ascend-310p3": compiled(search=search()),
    }
    about = card("resnet50", "image-classification", "torchvision:resnet50")
    about["weights"] = {"tensors": 161, "elements": 25557032, "bytes": 102228128}
    graph = Graph({"Conv": 53, "Relu": 49}, (Tensor("conv1.weight", "float32", "64 × 3 × 7 × 7"),))
    return Source("resnet50", about, found, graph=graph)


def failed() -> Source:
    outputs = [
        output("last_hidden_state", 41.7, "fail", notes=["error grows from layer 3 on"]),
        output("pooler_output", "inf", "fail", max_abs="inf", cosine="nan", sqnr_db="-inf"),
        output("attention_0", 1.2),
    ]
    result = parity(
        verdict="fail",
        outputs=outputs,
        diagnosis="the port's GELU uses tanh where the original uses erf",
        first_divergence={"source": "encoder.layer.3.intermediate", "node": "Gelu_3", "injected": 2.1e-4},
        layers=[
            {
                "source": "encoder.layer.3",
                "node": "Gelu_3",
                "inherited": 1e-7,
                "injected": 2.1e-4,
                "amplified": 1.1,
                "verdict": "fail",
            }
        ],
    )
    rows = [bench_row("original", "eager", 2, 12.2), bench_row("port", "onnxruntime", 2, 7.4)]
    scores = {
        "task": "sts",
        "metric": "spearman",
        "n": 1379,
        "original": 0.8203,
        "port": 0.8017,
        "delta": -0.0186,
        "interval": [-0.031, -0.006],
        "flipped": [],
        "reference": None,
    }
    found = {"parity": result, "bench": {"rows": rows, "machine": MACHINE}, "accuracy": scores}
    about = card("all-MiniLM-L6-v2", "sentence-embedding", "transformers:all-MiniLM-L6-v2")
    return Source("minilm", about, found)


def seeded() -> Source:
    about = card("convnextv2_nano.fcmae_ft_in22k_in1k_384", "image-classification", "timm:convnextv2_nano")
    about["source"]["checkpoint"] = {"kind": "seeded", "seed": 7, "recalibrated": True}
    about["port"] = {
        "fallback": "aten::grid_sampler_3d has no translator",
        "opset": 23,
        "nodes": 1893,
        "notes": ["batch-norm statistics were recalibrated on seeded inputs"],
    }
    names = ["logits", *(f"past_key_values.{layer}.{kind}" for layer in range(12) for kind in ("key", "value"))]
    outputs = [output(name, 0.6 + 0.08 * place) for place, name in enumerate(names)]
    return Source("convnextv2", about, {"parity": parity(outputs=outputs)})


def empty() -> Source:
    about = card("MobileNetV2", "image-classification", "keras:MobileNetV2")
    about["source"]["framework"] = "tensorflow"
    return Source("mobilenet v2", about)


def _hostile_compiled() -> dict[str, Any]:
    names = dict.fromkeys(("name", "op", "source", "unit", "bound"), HOSTILE)
    obstacle = {**dict.fromkeys(("op", "reason", "rewrite"), HOSTILE), "unit": "unsupported", "examples": [HOSTILE]}
    return compiled(
        target=HOSTILE,
        precision=HOSTILE,
        ops=[{**kernel("", "", 10.0), **names}, {**kernel("", "", 90.0), **names, "op": f"{HOSTILE} 2"}],
        unsupported=[HOSTILE],
        compatibility={"operators": [obstacle], "dynamic": [HOSTILE], "notes": [HOSTILE], "atc": HOSTILE},
        advice=[HOSTILE],
        validation={"chip": HOSTILE, "median_ape": 0.1},
        calibration=HOSTILE,
    )


def hostile() -> Source:
    about = card(HOSTILE, HOSTILE, HOSTILE, inputs=[{"name": HOSTILE, "dtype": HOSTILE, "shape": [HOSTILE]}])
    about["source"]["versions"] = {HOSTILE: HOSTILE}
    about["source"]["checkpoint"] = {"kind": "file", "files": [{"name": HOSTILE, "sha256": HOSTILE}]}
    about["port"]["notes"] = [HOSTILE]
    outputs = [output(HOSTILE, notes=[HOSTILE])]
    guards = [{"output": HOSTILE, "guard": HOSTILE, "verdict": HOSTILE, "detail": HOSTILE}]
    flips = [{"sample": HOSTILE, "original": HOSTILE, "port": HOSTILE}]
    found = {
        "parity": parity(outputs=outputs, guards=guards, diagnosis=HOSTILE, machine={"cpu": HOSTILE}),
        "accuracy": {
            **_accuracy(),
            "flipped": flips,
            "metric": HOSTILE,
            "executors": {HOSTILE: {**_accuracy(), "flipped": flips}},
            "reference": {"value": 1, "source": HOSTILE},
        },
        "bench": {"rows": [bench_row(HOSTILE, HOSTILE, 1, 5.0), bench_row("port", HOSTILE, 1, 4.0)]},
        "ascend-x": _hostile_compiled(),
        "beside-x": beside(HOSTILE, map=HOSTILE, where=HOSTILE),
        "training": training(
            executor=HOSTILE,
            loss=HOSTILE,
            diagnosis=HOSTILE,
            notes=[HOSTILE],
            gradients=[{**training()["gradients"][0], "name": HOSTILE, "note": HOSTILE}],
        ),
    }
    return Source(HOSTILE, about, found)


def whole_site(report: Report, **options: Any) -> str:
    """All pages of the site in one text, without the chart library."""
    return "\n".join(text for path, text in site(report, **options) if path.endswith(".html"))


@pytest.fixture(scope="session")
def page() -> Callable[..., str]:
    return whole_site


@pytest.fixture(scope="session")
def sources() -> list[Source]:
    return [complete(), failed(), seeded(), empty()]


@pytest.fixture(scope="session")
def hostile_source() -> Source:
    return hostile()


def swept(number: int) -> list[SweepRow]:
    """So many rows of a sweep: every fifth fails in translation, every fiftieth has an original that does not run."""
    return [_swept(place) for place in range(number)]


def _swept(place: int) -> SweepRow:
    source, family = f"timm:model_{place:04}.in1k", f"family{place % 40}"
    if place % 5:
        return SweepRow(
            source, family, "checked", "check", "pass", 0.5 + place % 7 / 4, 3.0 + place % 11, 5e8, 120, None, None
        )
    stage = "translate" if place % 50 else "original"
    error = f"aten.op_{place}.default has no translator at 'block.{place}' <b>bold</b>"
    return SweepRow(source, family, "failed", stage, None, None, 1.5, None, None, None, error)


@pytest.fixture(scope="session")
def report(sources: list[Source], hostile_source: Source) -> Report:
    """Every state that a report has to show, a sweep among them."""
    return collect([*sources, hostile_source], [Sweep("night", tuple(swept(30)))])


@pytest.fixture(scope="session")
def built(report: Report, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report as it is written, once in each language."""
    folders = {lang: tmp_path_factory.mktemp(lang) for lang in LANGUAGES}
    for lang, folder in folders.items():
        render_report(report, folder, lang=lang, flagships=True)
    return folders


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The builders, for tests that need one value to be otherwise."""
    return SimpleNamespace(
        output=output,
        parity=parity,
        bench_row=bench_row,
        card=card,
        complete=complete,
        empty=empty,
        hostile=HOSTILE,
        compiled=compiled,
        kernel=kernel,
        training=training,
        beside=beside,
        swept=swept,
    )
