"""Speed of a whole TensorFlow port against tf2onnx, tracing included on both sides, and of the graphs they write.

Run by `make bench`; both sides of a model run in one process, each model in its own, for TensorFlow gives no memory
back; ratios only, printed and written to build/bench/tensorflow_speed.json.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
tf2onnx = pytest.importorskip("tf2onnx")
import keras  # noqa: E402
import onnxruntime as ort  # noqa: E402

from porters.porting import port_to  # noqa: E402
from porters.source import SourceOptions  # noqa: E402

# The smallest variant of each family of keras.applications; those that take tf2onnx the most memory or time come last.
MODELS = (
    "MobileNet", "MobileNetV2", "MobileNetV3Small", "ResNet50", "ResNet50V2", "DenseNet121", "EfficientNetB0",
    "Xception", "InceptionV3", "EfficientNetV2B0", "NASNetMobile", "ConvNeXtTiny", "VGG16", "InceptionResNetV2",
)  # fmt: skip
# A share of them for a quick look: BENCH_MODELS=4 make bench.
COUNT = int(os.environ.get("BENCH_MODELS", len(MODELS)))
OUT = Path("build/bench/tensorflow_speed.json")
# Where memory happens to lie moves the latency of one session against another's by 1 %: each is opened this often.
SESSIONS = 5
ROUNDS = 9
# The image that a model is timed on that takes any.
SIZE = 224


@contextlib.contextmanager
def quiet():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def theirs(model, out: Path) -> float:
    """Return the seconds that tf2onnx takes from the Keras model to its proto."""
    signature = [tf.TensorSpec(model.input_shape, tf.float32, name="x")]
    started = time.perf_counter()
    with quiet():
        proto, _ = tf2onnx.convert.from_function(
            tf.function(lambda x: model(x, training=False)), input_signature=signature, opset=18
        )
    seconds = time.perf_counter() - started
    out.write_bytes(proto.SerializeToString())
    return seconds


def theirs_by_saved_model(model, out: Path) -> None:
    """Write tf2onnx's graph of the SavedModel."""
    folder = out.with_suffix(".saved")
    with quiet():
        model.export(folder, verbose=False)
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(folder), "--opset", "18"]
    subprocess.run([*command, "--output", str(out)], check=True, capture_output=True)


def ours(model, out: Path) -> float:
    """Return the seconds of a whole port without those of writing weights."""
    with quiet():
        result = port_to(model, out, SourceOptions(), record_golden=False)
    return result.seconds["total"] - result.seconds["weights"]


def quietly() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return options


def stands_alone(graph: Path) -> bool:
    """Say whether a graph loads and asks for the image alone.

    tf2onnx leaves constants of some functions as inputs, and calls of others as they are.
    """
    try:
        return len(ort.InferenceSession(str(graph), quietly()).get_inputs()) == 1
    except Exception:
        return False


def latency_ratios(left: Path, right: Path, shape) -> list[float]:
    """Return the latency of ``left`` over that of ``right`` on ONNX Runtime, one figure for each pair of sessions.

    A figure is the ratio of two medians of CPU time of one thread, run in turns.
    """
    x = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    ratios = []
    for opening in range(SESSIONS):
        files = (left, right) if opening % 2 else (right, left)
        sessions = {file: ort.InferenceSession(str(file), quietly()) for file in files}
        times: dict[Path, list[int]] = {left: [], right: []}
        for turn in range(ROUNDS + 2):
            for file in files if turn % 2 else reversed(files):
                name = sessions[file].get_inputs()[0].name
                started = time.thread_time_ns()
                sessions[file].run(None, {name: x})
                if turn > 1:
                    times[file].append(time.thread_time_ns() - started)
        ratios.append(statistics.median(times[left]) / statistics.median(times[right]))
    return ratios


def opened(name: str):
    """Return an application whose biases, scales and statistics are no zeros and ones.

    Those of an untrained model are, and tf2onnx drops an addition of zeros, which no trained model has.
    """
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None)
    random = np.random.default_rng(0)
    for variable in model.variables:
        if len(variable.shape) == 1 and variable.dtype == "float32":
            variable.assign(variable.numpy() + random.uniform(-0.2, 0.2, variable.shape))
    return model


def seconds_and_cpu(convert, *operands) -> tuple[float, float]:
    """Return what ``convert`` says that it took, and its CPU seconds on all threads."""
    started = time.process_time()
    return convert(*operands), time.process_time() - started


def measure(name: str, folder: Path) -> dict[str, float]:
    """Return a model's ratios; what each side does once in a process is done on a small model before."""
    warm_up(folder / "warm-up")
    model = opened(name)
    port, graph = folder / "port" / "model.onnx", folder / "theirs.onnx"
    own, own_cpu = seconds_and_cpu(ours, model, port.parent)
    their, their_cpu = seconds_and_cpu(theirs, model, graph)
    row = {"tf2onnx_over_ours": their / own, "in_cpu_time": their_cpu / own_cpu, "seconds": own}
    if not stands_alone(graph):
        theirs_by_saved_model(model, graph)
    ratios = latency_ratios(port, graph, [size or SIZE for size in model.input_shape[1:]])
    spread = statistics.stdev(ratios) / len(ratios) ** 0.5
    return {**row, "our_latency_over_theirs": statistics.geometric_mean(ratios), "standard_error": spread}


def warm_up(folder: Path) -> None:
    folder.mkdir(parents=True)
    small = keras.applications.MobileNet(input_shape=(32, 32, 3), alpha=0.25, weights=None)
    ours(small, folder / "port")
    theirs(small, folder / "theirs.onnx")
    keras.backend.clear_session()


def test_ratios(tmp_path):
    rows = {}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes:
        for name in MODELS[:COUNT]:
            rows[name] = processes.submit(measure, name, tmp_path / name).result()
            print(name, json.dumps(rows[name]), flush=True)  # noqa: T201
            means = write(rows)
            shutil.rmtree(tmp_path / name)
    print(json.dumps(means, indent=2))  # noqa: T201
    assert means["tf2onnx_over_ours"] >= 5.0
    assert means["our_latency_over_theirs"] <= 1.0


def write(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    """Write what has been measured so far, so that a run that is ended leaves it; return the means."""
    keys = ("tf2onnx_over_ours", "in_cpu_time", "our_latency_over_theirs")
    means = {key: statistics.geometric_mean(row[key] for row in rows.values()) for key in keys}
    means["standard_error_of_the_latency"] = sum(row["standard_error"] ** 2 for row in rows.values()) ** 0.5 / len(rows)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"rows": rows, "geometric_mean": means}, indent=2))
    return means
