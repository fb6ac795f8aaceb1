"""Memory of a port against the size of the checkpoint, each port in a process of its own.

Run by `make bench`; the ratios are printed and written to build/bench/port_memory.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

OUT = Path("build/bench/port_memory.json")
MAKE = """
import sys, torch
from porters.pytorch.sources import need
transformers = need("transformers", "text")
config = transformers.BertConfig(
    hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096, architectures=["BertModel"]
)
torch.manual_seed(0)
transformers.BertModel(config).save_pretrained(sys.argv[1])
"""
PORT = """
import json, resource, sys
from porters.pytorch.sources import need
transformers = need("transformers", "text")
import onnxruntime, torch.export, torch._dynamo, transformers.models.bert.modeling_bert
import porters.from_pytorch
from porters.porting import port_to
from porters.source import SourceOptions
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
port_to("transformers:" + sys.argv[1] + "/warm-up", sys.argv[1] + "/warm-up-port", SourceOptions(graph_only=True))
before = peak()
port_to("transformers:" + sys.argv[1], sys.argv[2], SourceOptions())
print(json.dumps({"before": before, "peak": peak()}))
"""


def run(script: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def bert_large(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bert-large")
    run(MAKE, str(folder))
    small = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": 1, "hidden_size": 64}
    (folder / "warm-up").mkdir()
    (folder / "warm-up" / "config.json").write_text(json.dumps(small))
    return folder


def test_bert_large_takes_little_more_than_its_checkpoint(bert_large, tmp_path):
    measured = json.loads(run(PORT, str(bert_large), str(tmp_path / "port")).splitlines()[-1])
    size = (bert_large / "model.safetensors").stat().st_size
    ratio = (measured["peak"] - measured["before"]) / size
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"checkpoint_bytes": size, **measured, "peak_over_checkpoint": ratio}, indent=2))
    print(f"peak memory above the import baseline: {ratio:.2f} times the checkpoint")  # noqa: T201
    assert ratio <= 1.3
