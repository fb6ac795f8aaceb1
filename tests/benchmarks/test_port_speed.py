"""Speed of a whole port against torch.export alone and against torch.onnx, interleaved in one process; ratios only.

Run by `make bench`; the ratios are printed and written to build/bench/port_speed.json.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import time
from pathlib import Path

import pytest
import torch

from porters.porting import port_to
from porters.pytorch.original import to_tensor
from porters.source import SourceOptions, open_source
from zoo.inputs import sample

# Twenty families of timm, a small member of each.
MODELS = (
    "resnet18", "vit_tiny_patch16_224", "efficientnet_b0", "mobilenetv3_small_100", "convnext_atto", "regnetx_002",
    "deit_tiny_patch16_224", "levit_128s", "ghostnet_100", "mixer_s32_224", "poolformer_s12", "edgenext_xx_small",
    "densenet121", "swin_tiny_patch4_window7_224", "repvgg_a0", "mnasnet_small", "coat_lite_tiny",
    "xcit_nano_12_p16_224", "mobilevit_xxs", "gmixer_12_224",
)  # fmt: skip
# A share of them for a quick look: BENCH_MODELS=4 make bench.
COUNT = int(os.environ.get("BENCH_MODELS", len(MODELS)))
OUT = Path("build/bench/port_speed.json")


@contextlib.contextmanager
def quiet():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def timed(action) -> float:
    started = time.perf_counter()
    with quiet():
        action()
    return time.perf_counter() - started


def ported(model, specs, out: Path) -> float:
    """Return the seconds of a whole port without those of writing weights; no golden data are recorded."""
    with quiet():
        result = port_to(model, out, SourceOptions(specs), record_golden=False)
    return result.seconds["total"] - result.seconds["weights"]


def measure(name: str, out: Path) -> dict[str, float]:
    original = open_source(f"timm:{name}")
    feed = {key: to_tensor(array) for key, array in sample(original.inputs, 0).items()}
    dynamic = {spec.name: {0: torch.export.Dim.AUTO} for spec in original.inputs}
    model = original.model
    return {
        "export": timed(lambda: torch.export.export(model, (), feed, dynamic_shapes=dynamic, strict=False)),
        "zooport": ported(model, original.inputs, out),
        "torch.onnx": timed(
            lambda: torch.onnx.export(model, (), kwargs=feed, dynamic_shapes=dynamic, dynamo=True, verbose=False)
        ),
    }


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> dict[str, dict[str, float]]:
    out = tmp_path_factory.mktemp("bench")
    measure("test_vit", out / "warm-up")
    return {name: measure(name, out / name) for name in MODELS[:COUNT]}


def test_ratios(measured):
    rows = {
        name: {
            "ours_over_export": seconds["zooport"] / seconds["export"],
            "torch_onnx_over_ours": seconds["torch.onnx"] / seconds["zooport"],
        }
        for name, seconds in measured.items()
    }
    means = {key: statistics.geometric_mean(row[key] for row in rows.values()) for key in next(iter(rows.values()))}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"rows": rows, "geometric_mean": means}, indent=2))
    print(json.dumps({"rows": rows, "geometric_mean": means}, indent=2))  # noqa: T201
    assert means["ours_over_export"] <= 1.35
    assert means["torch_onnx_over_ours"] >= 3.0
