"""Memory of a port against the size of the checkpoint, each port in a process of its own.

Run by `make bench`; the ratios are printed and written to build/bench/port_memory.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

OUT, LAYERS = Path("build/bench/port_memory.json"), Path("build/bench/check_layers_memory.json")
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

# A Llama of about 4 GiB in shards of 256 MiB, written tensor by tensor.
MAKE_LLAMA = """
import json, sys, torch
from pathlib import Path
from porters.pytorch.sources import need
transformers = need("transformers", "text")
from safetensors.torch import save_file
config = transformers.LlamaConfig(
    hidden_size=2048, intermediate_size=5632, num_hidden_layers=19, num_attention_heads=32, num_key_value_heads=4,
    vocab_size=32000, architectures=["LlamaForCausalLM"],
)
folder = Path(sys.argv[1])
config.save_pretrained(folder)
with torch.device("meta"):
    shapes = {name: item.shape for name, item in transformers.LlamaForCausalLM(config).state_dict().items()}
random, shard, where = torch.Generator().manual_seed(0), {}, {}

def write():
    name = f"model-{len(set(where.values())) + 1:05d}.safetensors"
    where.update(dict.fromkeys(shard, name))
    save_file(shard, folder / name)
    shard.clear()

for name, shape in shapes.items():
    shard[name] = torch.randn(shape, generator=random) * shape[-1] ** -0.5 if len(shape) > 1 else torch.ones(shape)
    if sum(item.nbytes for item in shard.values()) > 1 << 28:
        write()
write()
(folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
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


def zooport(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "zoo.main", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


def test_a_checkpoint_larger_than_memory_is_checked_layer_by_layer(tmp_path):
    run(MAKE_LLAMA, str(tmp_path / "model"))
    size = sum(file.stat().st_size for file in (tmp_path / "model").glob("*.safetensors"))
    zooport("port", f"transformers:{tmp_path / 'model'}", "-o", str(tmp_path / "port"))
    checked = zooport("check", str(tmp_path / "port"), "--layers", "--cases", "1")
    peak = checked["peak_rss_bytes"]
    table = {"checkpoint_bytes": size, "peak": peak, "verdict": checked["verdict"], "layers": len(checked["layers"])}
    LAYERS.parent.mkdir(parents=True, exist_ok=True)
    LAYERS.write_text(json.dumps(table, indent=2))
    print(f"check --layers of {size / 2**30:.2f} GiB: peak {peak / 2**30:.2f} GiB, {checked['verdict']}")  # noqa: T201
    assert peak < 3 << 30
