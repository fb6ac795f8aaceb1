"""Weights that stay on disk: the port is the one that loading gives, and what does not fit is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from parity import check
from porters.porting import port, port_to
from porters.pytorch import on_disk
from porters.pytorch.sources import need
from porters.source import SourceOptions
from zoo.artifact import open_artifact
from zoo.errors import UserError

torch = pytest.importorskip("torch")


def checkpoint(folder: Path, *, tied: bool, dtype: Any = None, shards: str = "40KB") -> Path:
    transformers = need("transformers", "text")
    config = transformers.LlamaConfig(
        hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=300, tie_word_embeddings=tied,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).to(dtype or torch.float32)
    model.save_pretrained(folder, max_shard_size=shards)
    return folder


@pytest.fixture
def never_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "LARGEST_LOADED", 0)


@pytest.mark.parametrize(
    ("tied", "kind"),
    [
        pytest.param(False, "float32", marks=pytest.mark.thorough),
        (True, "float32"),
        pytest.param(False, "bfloat16", marks=pytest.mark.thorough),
    ],
)
def test_a_sharded_checkpoint_is_ported_without_loading_it(tmp_path, never_loaded, tied, kind):
    source = checkpoint(tmp_path / "model", tied=tied, dtype=getattr(torch, kind))
    assert len(list(source.glob("*.safetensors"))) > 1
    result = port_to(f"transformers:{source}", tmp_path / "a", SourceOptions())
    assert any("stay on disk" in note for note in result.notes)
    judged = check(open_artifact(tmp_path / "a"))
    assert judged.holds, judged.diagnosis
    assert judged.truth == "float64"


@pytest.mark.thorough
def test_the_port_is_the_one_that_loading_gives(tmp_path, monkeypatch):
    source = checkpoint(tmp_path / "model", tied=False)
    port(f"transformers:{source}", out=tmp_path / "loaded", record_golden=False)
    monkeypatch.setattr(on_disk, "LARGEST_LOADED", 0)
    port(f"transformers:{source}", out=tmp_path / "on-disk")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("loaded", "on-disk")]
    assert weights[0] == weights[1]
    graphs = [open_artifact(tmp_path / name).model().graph for name in ("loaded", "on-disk")]
    operators = [Counter(node.op_type for node in graph) for graph in graphs]
    assert operators[0] == operators[1]


def test_no_tensor_is_read_before_it_is_written(tmp_path):
    source = checkpoint(tmp_path / "model", tied=False, shards="1GB")
    file = source / "model.safetensors"
    tensors = on_disk.read_headers([file])
    name = "model.layers.0.mlp.up_proj.weight"
    assert list(tensors[name].shape.numpy()) == [160, 64]
    before = tensors[name].numpy().copy()
    content = bytearray(file.read_bytes())
    content[-4 * 10 :] = bytes(40)
    file.write_bytes(bytes(content))
    assert any(not np.array_equal(tensors[key].numpy(), before) for key in tensors)


def test_the_graph_alone_needs_no_weights(tmp_path):
    source = checkpoint(tmp_path / "model", tied=False)
    for file in source.glob("*.safetensors*"):
        file.unlink()
    with pytest.raises(UserError, match="no safetensors"):
        port(f"transformers:{source}", out=tmp_path / "a")
    artifact = port(f"transformers:{source}", out=tmp_path / "a", graph_only=True)
    assert not (artifact.path / "model.safetensors").exists()
    model = onnx.load(artifact.path / "model.onnx", load_external_data=False)
    assert {node.op_type for node in model.graph.node} >= {"Attention", "RMSNormalization", "RotaryEmbedding"}
    assert artifact.card()["source"]["checkpoint"] == {"kind": "none"}


@pytest.mark.parametrize("fault", ["missing", "shape", "cut", "dtype"])
def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, never_loaded, fault):
    source = checkpoint(tmp_path / "model", tied=False, shards="1GB")
    file = source / "model.safetensors"
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    name = "model.layers.1.mlp.down_proj.weight"
    if fault == "missing":
        del header[name]
    elif fault == "shape":
        header[name]["shape"] = header[name]["shape"][::-1]
    elif fault == "dtype":
        header[name]["dtype"] = "X7"
    text = json.dumps(header, separators=(",", ":")).encode().ljust(length)
    file.write_bytes(content[:8] + text + (content[8 + length :] if fault != "cut" else b""))
    with pytest.raises(UserError) as caught:
        port(f"transformers:{source}", out=tmp_path / "a")
    assert caught.value.exit_code == 2
    assert fault == "cut" or name in str(caught.value)
    assert not (tmp_path / "a").exists()
