"""Memory of the port of a Keras model of over 2 GiB against the size of its weights, in a process of its own.

Run by `make bench`; the ratio is printed and written to build/bench/tensorflow_memory.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

OUT = Path("build/bench/tensorflow_memory.json")
# The peak is counted from where the frameworks are loaded and have ported a small model: the model's own variables,
# which are the checkpoint in memory, are part of it.
PORT = """
import json, resource, sys
import keras
from keras import layers
from porters.porting import port_to
from porters.source import SourceOptions

def network(width, depth):
    keras.utils.set_random_seed(0)
    x = tokens = keras.Input((width,), name="x")
    for _ in range(depth):
        x = layers.LayerNormalization()(x + layers.Dense(width, activation="gelu")(x))
    return keras.Model(tokens, layers.Dense(10)(x))

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
port_to(network(64, 2), sys.argv[1] + "/warm-up", SourceOptions())
before = peak()
model = network(4096, 36)
built = peak()
port_to(model, sys.argv[1] + "/port", SourceOptions())
print(json.dumps({"before": before, "built": built, "peak": peak()}))
"""


def test_a_model_of_over_2_gib_takes_little_more_than_its_weights(tmp_path):
    done = subprocess.run([sys.executable, "-c", PORT, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    measured = json.loads(done.stdout.splitlines()[-1])
    size = (tmp_path / "port" / "model.safetensors").stat().st_size
    ratio = (measured["peak"] - measured["before"]) / size
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"weights_bytes": size, **measured, "peak_over_weights": ratio}, indent=2))
    print(f"peak memory above the frameworks' own: {ratio:.2f} times {size / 2**30:.2f} GiB of weights")  # noqa: T201
    assert size > 2 << 30
    assert ratio <= 1.3
