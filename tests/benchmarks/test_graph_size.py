"""Nodes of a port against torch.onnx's optimised export, for each flagship.

Run by `make bench`; the counts are printed and written to build/bench/graph_size.json.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from porters.folding import fold
from porters.from_pytorch import PORTER
from porters.pytorch.original import to_tensor
from porters.pytorch.sources import need, open_live
from porters.source import SourceOptions, open_source
from zoo.inputs import InputSpec, sample

OUT = Path("build/bench/graph_size.json")
TOKENS = [
    InputSpec("input_ids", "int64", ("batch", "sequence"), "tokens", high=1000, sizes={"sequence": 16}),
    InputSpec("attention_mask", "int64", ("batch", "sequence"), "mask", sizes={"sequence": 16}),
]
# Depth is what node counts grow with: it is the flagship's own. Widths are small, so that nothing large is written.
WIDTH = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 1000}
LLAMA = {**WIDTH, "num_hidden_layers": 16, "num_key_value_heads": 2, "use_cache": False}
GPT = {"n_embd": 64, "n_head": 4, "n_layer": 24, "vocab_size": 1000, "bos_token_id": 0, "eos_token_id": 0}


def transformer(kind: str, config: str, **keywords: Any) -> Callable[[], Any]:
    def build() -> Any:
        transformers = need("transformers", "text")
        torch.manual_seed(0)
        model = getattr(transformers, kind)(getattr(transformers, config)(**keywords)).eval()
        return open_live(model, SourceOptions(TOKENS))

    return build


FLAGSHIPS: dict[str, Callable[[], Any]] = {
    "ResNet-50": lambda: open_source("torchvision:resnet50"),
    "ViT-B/16": lambda: open_source("torchvision:vit_b_16"),
    "Swin-T": lambda: open_source("torchvision:swin_t"),
    "ConvNeXt-T": lambda: open_source("torchvision:convnext_tiny"),
    "BERT-Large": transformer("BertForQuestionAnswering", "BertConfig", **WIDTH, num_hidden_layers=24),
    "GPT-2 medium": transformer("GPT2LMHeadModel", "GPT2Config", **GPT, use_cache=False),
    "Llama-3.2-1B": transformer("LlamaForCausalLM", "LlamaConfig", **LLAMA),
    "YOLOv5s": lambda: open_source("python:tests.coverage.ultralytics_models:yolov5s"),
}


def counted(original: Any) -> dict[str, int]:
    feed = original.arguments({name: to_tensor(array) for name, array in sample(original.inputs, 0).items()})
    dynamic = {
        spec.name: {axis: torch.export.Dim.AUTO for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
        for spec in original.inputs
    }
    translation = PORTER.translate(original)
    fold(translation.model)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        program = torch.onnx.export(
            original.model, (), kwargs=feed, dynamic_shapes=dynamic, dynamo=True, optimize=True, verbose=False
        )
    return {
        "zooport": sum(1 for _ in translation.model.graph.all_nodes()),
        "torch.onnx": sum(1 for _ in program.model.graph.all_nodes()),
        "attention": sum(node.op_type == "Attention" for node in translation.model.graph.all_nodes()),
    }


@pytest.mark.parametrize("name", FLAGSHIPS)
def test_fewer_nodes_than_torch_onnx(name):
    if name == "YOLOv5s":
        pytest.importorskip("ultralytics", reason="the extra 'upstream' brings it")
    nodes = counted(FLAGSHIPS[name]())
    OUT.parent.mkdir(parents=True, exist_ok=True)
    table = json.loads(OUT.read_text()) if OUT.exists() else {}
    OUT.write_text(json.dumps({**table, name: nodes}, indent=2))
    print(f"{name}: {nodes['zooport']} nodes, torch.onnx {nodes['torch.onnx']}")  # noqa: T201
    assert nodes["zooport"] < nodes["torch.onnx"]
