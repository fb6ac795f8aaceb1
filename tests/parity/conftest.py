"""Small real models, ported once, for the harness to judge."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from porters.porting import port_to
from porters.pytorch.original import TorchOriginal
from porters.pytorch.sources import open_live, recalibrate, seeded
from porters.source import SourceOptions
from zoo.artifact import Artifact, open_artifact
from zoo.inputs import InputSpec


class SmallConvNet(torch.nn.Module):
    """Convolution, batch norm, residual, pooling, dense."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.body = torch.nn.Conv2d(8, 8, 3, padding=1)
        self.head = torch.nn.Linear(8, 10)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        x = x + torch.nn.functional.gelu(self.body(x))
        return self.head(x.mean((2, 3)))


class SmallTransformer(torch.nn.Module):
    """Embedding, attention with a padding mask, layer norm, GELU; two outputs, one of integers."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(50, 32)
        self.norm = torch.nn.LayerNorm(32, eps=1e-5)
        self.qkv = torch.nn.Linear(32, 96)
        self.mlp = torch.nn.Linear(32, 32)

    def forward(self, input_ids, attention_mask):
        x = self.norm(self.words(input_ids))
        q, k, v = (part.unflatten(-1, (4, 8)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        mask = attention_mask.bool()[:, None, None, :]
        x = x + torch.nn.functional.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
        hidden = torch.nn.functional.gelu(self.mlp(x))
        return {"hidden": hidden, "best": hidden.argmax(-1)}


@dataclass
class Ported:
    """A port and its live original."""

    artifact: Artifact
    original: TorchOriginal

    def copy(self, to: Path, edit: Callable[[onnx.ModelProto], None] | None = None) -> Artifact:
        """Return a copy of the artifact, its graph edited; the seal is then broken."""
        shutil.copytree(self.artifact.path, to)
        if edit is not None:
            model = onnx.load(to / "model.onnx", load_external_data=False)
            edit(model)
            (to / "model.onnx").write_bytes(model.SerializeToString())
        return open_artifact(to, unsealed=True)


CONV_INPUTS = [InputSpec("x", "float32", ("batch", 3, 16, 16), "image")]
TEXT_INPUTS = [
    InputSpec("input_ids", "int64", ("batch", "sequence"), "tokens", high=50, sizes={"sequence": 12}),
    InputSpec("attention_mask", "int64", ("batch", "sequence"), "mask", sizes={"sequence": 12}),
]


def make(model: Any, inputs: list[InputSpec], out: Path) -> Ported:
    """Port a live model; its norms stay nodes of their own, so that faults can be put into them."""
    port_to(model, out, SourceOptions(inputs), fold_weights=False)
    return Ported(open_artifact(out), open_live(model, SourceOptions(inputs)))


@pytest.fixture(scope="session")
def conv(tmp_path_factory) -> Ported:
    model = seeded(SmallConvNet, 0)
    recalibrate(model, CONV_INPUTS, 0)
    return make(model, CONV_INPUTS, tmp_path_factory.mktemp("conv") / "artifact")


@pytest.fixture(scope="session")
def transformer(tmp_path_factory) -> Ported:
    return make(seeded(SmallTransformer, 0), TEXT_INPUTS, tmp_path_factory.mktemp("transformer") / "artifact")
