"""Speed of a whole TensorFlow port against tf2onnx, tracing included on both sides, and of the graphs they write.

Run by `make bench`; interleaved in one process, ratios only, printed and written to build/bench/tensorflow_speed.json.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
tf2onnx = pytest.importorskip("tf2onnx")
import keras  # noqa: E402
import onnxruntime as ort  # noqa: E402

from porters.porting import port_to  # noqa: E402
from porters.source import SourceOptions  # noqa: E402

# The smallest variant of each family of keras.applications, the quickest of tf2onnx first.
MODELS = (
    "MobileNet", "MobileNetV2", "VGG16", "ResNet50", "MobileNetV3Small", "ResNet50V2", "DenseNet121", "EfficientNetB0",
    "Xception", "InceptionV3", "EfficientNetV2B0", "NASNetMobile", "ConvNeXtTiny", "InceptionResNetV2",
)  # fmt: skip
# A share of them for a quick look: BENCH_MODELS=4 make bench.
COUNT = int(os.environ.get("BENCH_MODELS", len(MODELS)))
OUT = Path("build/bench/tensorflow_speed.json")
ROUNDS = 15


@contextlib.contextmanager
def quiet():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def theirs(model, out: Path) -> float:
    """Return the seconds that tf2onnx takes from the Keras model to its proto."""
    size = model.input_shape[1:]
    signature = [tf.TensorSpec([None, *size], tf.float32, name="x")]
    started = time.perf_counter()
    with quiet():
        proto, _ = tf2onnx.convert.from_function(
            tf.function(lambda x: model(x, training=False)), input_signature=signature, opset=18
        )
    seconds = time.perf_counter() - started
    out.write_bytes(proto.SerializeToString())
    return seconds


def ours(model, out: Path) -> float:
    """Return the seconds of a whole port without those of writing weights."""
    with quiet():
        result = port_to(model, out, SourceOptions(), record_golden=False)
    return result.seconds["total"] - result.seconds["weights"]


def latency_ratio(left: Path, right: Path, shape) -> float:
    """Return the median latency of ``left`` over that of ``right`` on ONNX Runtime, one thread, interleaved."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    sessions = [ort.InferenceSession(str(file), options) for file in (left, right)]
    x = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    times: list[list[float]] = [[], []]
    for turn in range(ROUNDS + 2):
        for place, session in enumerate(sessions):
            started = time.perf_counter()
            session.run(None, {session.get_inputs()[0].name: x})
            if turn > 1:
                times[place].append(time.perf_counter() - started)
    return statistics.median(times[0]) / statistics.median(times[1])


def measure(name: str, folder: Path) -> dict[str, float]:
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None)
    folder.mkdir()
    port, convert = ours(model, folder / "port"), theirs(model, folder / "theirs.onnx")
    try:
        latency = latency_ratio(folder / "port" / "model.onnx", folder / "theirs.onnx", model.input_shape[1:])
    except Exception:  # their graph does not load, or leaves constants as inputs
        latency = float("nan")
    return {"tf2onnx_over_ours": convert / port, "our_latency_over_theirs": latency, "seconds": port}


def test_ratios(tmp_path):
    measure("MobileNet", tmp_path / "warm-up")
    rows = {name: measure(name, tmp_path / name) for name in MODELS[:COUNT]}
    speed = statistics.geometric_mean(row["tf2onnx_over_ours"] for row in rows.values())
    known = [row["our_latency_over_theirs"] for row in rows.values() if np.isfinite(row["our_latency_over_theirs"])]
    means = {"tf2onnx_over_ours": speed, "our_latency_over_theirs": statistics.geometric_mean(known)}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"rows": rows, "geometric_mean": means}, indent=2))
    print(json.dumps({"rows": rows, "geometric_mean": means}, indent=2))  # noqa: T201
    assert means["tf2onnx_over_ours"] >= 5.0
    assert means["our_latency_over_theirs"] <= 1.0
    assert len(known) >= len(rows) / 2
