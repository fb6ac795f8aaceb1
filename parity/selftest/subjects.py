"""The ports that the checker is tried on: convolution, transformer, recurrent and detection models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import torch


@dataclass(frozen=True)
class Subject:
    """One model to port and to put faults into.

    Attributes:
        source: Its source reference.
        kind: ``convolution``, ``transformer``, ``recurrent`` or ``detection``.
        inputs: Inputs as ``--input`` takes them, where the source's own are larger than they need to be.
    """

    source: str
    kind: str
    inputs: tuple[str, ...] = ()


_PICTURE = ("x=batch,3,64,64:float32",)
# Every operator that the faults are made at is in at least one of them; small, so that hundreds of checks take minutes.
SUBJECTS = (
    Subject("timm:test_resnet", "convolution", _PICTURE),
    Subject("timm:test_efficientnet", "convolution", _PICTURE),
    Subject("timm:test_convnext", "convolution", _PICTURE),
    Subject("torchvision:shufflenet_v2_x0_5", "convolution", _PICTURE),
    Subject("timm:test_vit", "transformer"),
    Subject("transformers:BertForQuestionAnswering@tiny", "transformer"),
    Subject("transformers:GPT2LMHeadModel@tiny", "transformer"),
    Subject("transformers:LlamaForCausalLM@tiny", "transformer"),
    Subject("python:parity.selftest.subjects:recurrent", "recurrent"),
    Subject("transformers:YolosForObjectDetection@tiny", "detection"),
    Subject("python:parity.selftest.subjects:detector", "detection"),
    Subject("keras:MobileNetV2", "convolution", ("input_layer=batch,96,96,3:float32",)),
    Subject("python:parity.selftest.subjects:keras_tagger", "transformer"),
)


def recurrent() -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """Return a tagger of two recurrent layers, one of them in both directions, with its example input."""
    import torch

    class Tagger(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.LSTM(16, 24, batch_first=True, bidirectional=True)
            self.second = torch.nn.GRU(48, 24, batch_first=True)
            self.head = torch.nn.Linear(24, 12)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.relu(self.second(self.first(x)[0])[0]))

    return Tagger(), {"x": torch.randn(2, 20, 16)}


def detector() -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """Return a detector of one stage with its example input: it selects rows by a threshold and by suppression.

    Half of its 64 boxes pass the threshold, and about half of these are suppressed.
    """
    import torch
    from torchvision.ops import nms

    class Detector(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(3, 16, 3, stride=2, padding=1)
            self.norm = torch.nn.BatchNorm2d(16)
            self.second = torch.nn.Conv2d(16, 24, 3, stride=4, padding=1)
            self.where = torch.nn.Conv2d(24, 4, 3, padding=1)
            self.what = torch.nn.Conv2d(24, 5, 3, padding=1)
            self.size = 8.0
            line = (torch.arange(8.0) + 0.5) * self.size
            self.register_buffer("centres", torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).reshape(-1, 2))

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            x = torch.relu(self.second(torch.relu(self.norm(self.first(x)))))
            places = self.where(x).flatten(2).transpose(1, 2)[0]
            odds = (6.0 * self.what(x)).flatten(2).transpose(1, 2)[0].softmax(-1)
            centres = self.centres + self.size * places[:, :2].tanh()
            sides = 2.0 * self.size * places[:, 2:].exp()
            boxes = torch.cat([centres - sides / 2, centres + sides / 2], -1)
            scores, labels = odds.max(-1)
            sure = torch.nonzero(scores > 0.36)[:, 0]
            boxes, scores, labels = boxes[sure], scores[sure], labels[sure]
            kept = nms(boxes, scores, 0.3)
            return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}

    return Detector(), {"x": torch.randn(1, 3, 64, 64)}


def keras_tagger() -> keras.Model:
    """Return a tagger of words in Keras: a recurrent layer, a transformer block and a head."""
    import keras
    from keras import layers

    words = keras.Input((6,), dtype="int32", name="words")
    x = layers.Embedding(60, 32, name="embedding")(words)
    x = layers.LSTM(32, return_sequences=True, unroll=True, name="recurrent")(x)
    attended = layers.MultiHeadAttention(4, 8, name="attention")(x, x)
    x = layers.LayerNormalization(name="norm")(x + attended)
    hidden = layers.Dense(64, activation="gelu", name="hidden")(x)
    x = layers.LayerNormalization(name="last_norm")(x + layers.Dense(32, name="projection")(hidden))
    return keras.Model(words, layers.Dense(12, name="tags")(x), name="tagger")
