"""Speed of a port against torch.export alone and against torch.onnx, interleaved in one process; ratios only.

Run by `make bench`; the ratios are printed and written to build/bench/port_speed.json.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import time
from pathlib import Path

import pytest
import torch

from porters.from_pytorch import PORTER
from porters.pytorch.original import to_tensor
from porters.source import open_source
from zoo.inputs import sample

SOURCES = ("torchvision:resnet50", "torchvision:mobilenet_v3_small", "timm:vit_tiny_patch16_224", "torchvision:swin_t")
ROUNDS = 3
OUT = Path("build/bench/port_speed.json")


def timed(action) -> float:
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        action()
    return time.perf_counter() - started


def measure(source: str) -> dict[str, float]:
    original = open_source(source)
    feed = {name: to_tensor(array) for name, array in sample(original.inputs, 0).items()}
    dynamic = {spec.name: {0: torch.export.Dim.AUTO} for spec in original.inputs}
    sides = {
        "export": lambda: torch.export.export(original.model, (), feed, dynamic_shapes=dynamic, strict=False),
        "zooport": lambda: PORTER.translate(original),
        "torch.onnx": lambda: torch.onnx.export(
            original.model, (), kwargs=feed, dynamic_shapes=dynamic, dynamo=True, verbose=False
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(ROUNDS + 1):
        for name, action in sides.items():
            spent = timed(action)
            if turn:  # the first turn warms up
                seconds[name].append(spent)
    return {name: min(values) for name, values in seconds.items()}


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, float]]:
    return {source: measure(source) for source in SOURCES}


def test_ratios(measured):
    rows = {
        source: {
            "ours_over_export": seconds["zooport"] / seconds["export"],
            "torch_onnx_over_ours": seconds["torch.onnx"] / seconds["zooport"],
        }
        for source, seconds in measured.items()
    }
    means = {key: statistics.geometric_mean(row[key] for row in rows.values()) for key in next(iter(rows.values()))}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"rows": rows, "geometric_mean": means}, indent=2))
    print(json.dumps({"rows": rows, "geometric_mean": means}, indent=2))  # noqa: T201
    assert means["ours_over_export"] <= 1.35
    assert means["torch_onnx_over_ours"] >= 3.0
