"""Published models that a package builds only with other arguments than its names stand for; `python:` sources.

Each takes no argument and returns the model, as upstream's constructors make it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

ANCHORS, CLASSES = 3, 80


def resnet50_cifar() -> torch.nn.Module:
    """Return ResNet-50 for 32 x 32 images: a 3 x 3 stem of stride 1, no pooling behind it, 100 classes."""
    from porters.pytorch.sources import need

    model = need("torchvision", "vision").models.resnet50(num_classes=100)
    model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = torch.nn.Identity()
    return model


class _Ssd(torch.nn.Module):
    """The maps and the heads of a detector of torchvision, without what it does to its images and its boxes."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone, self.head = detector.backbone, detector.head

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.head(list(self.backbone(x).values()))


def ssd300_vgg16() -> torch.nn.Module:
    """Return SSD300 on VGG-16, up to its scores and offsets."""
    from porters.pytorch.sources import need

    return _Ssd(need("torchvision", "vision").models.detection.ssd300_vgg16(weights=None, weights_backbone=None))


class _WhisperEncoder(torch.nn.Module):
    """Whisper's encoder and what each layer of its decoder makes of the result once."""

    def __init__(self, whisper: Any) -> None:
        super().__init__()
        self.encoder = whisper.encoder
        attentions = [layer.encoder_attn for layer in whisper.decoder.layers]
        self.keys = torch.nn.ModuleList(attention.k_proj for attention in attentions)
        self.values = torch.nn.ModuleList(attention.v_proj for attention in attentions)

    def forward(self, mel: torch.Tensor) -> list[torch.Tensor]:
        states = self.encoder(mel).last_hidden_state
        return [project(states) for project in (*self.keys, *self.values)]


def _whisper_base(frames: int) -> torch.nn.Module:
    from porters.pytorch.sources import need

    transformers = need("transformers", "text")
    config = transformers.WhisperConfig(
        d_model=512,
        encoder_layers=6,
        decoder_layers=6,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
        max_source_positions=frames // 2,
    )
    return _WhisperEncoder(transformers.WhisperModel(config))


def whisper_base_mel1000() -> torch.nn.Module:
    """Return the encoder of Whisper base for 10 seconds."""
    return _whisper_base(1000)


def whisper_base_mel2000() -> torch.nn.Module:
    """Return the encoder of Whisper base for 20 seconds."""
    return _whisper_base(2000)


class _SuperPoint(torch.nn.Module):
    """SuperPoint up to its maps of scores and descriptors, before points are chosen by their scores."""

    def __init__(self, superpoint: Any) -> None:
        super().__init__()
        self.encoder = superpoint.encoder
        scores, descriptors = superpoint.keypoint_decoder, superpoint.descriptor_decoder
        self.score = torch.nn.Sequential(scores.conv_score_a, torch.nn.ReLU(), scores.conv_score_b)
        self.describe = torch.nn.Sequential(
            descriptors.conv_descriptor_a, torch.nn.ReLU(), descriptors.conv_descriptor_b
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.encoder(x).last_hidden_state
        return self.score(states), torch.nn.functional.normalize(self.describe(states), dim=1)


def superpoint() -> torch.nn.Module:
    """Return SuperPoint for one channel."""
    from porters.pytorch.sources import need

    transformers = need("transformers", "text")
    return _SuperPoint(transformers.SuperPointForKeypointDetection(transformers.SuperPointConfig()))


class _Yolo(torch.nn.Module):
    """YOLOv5 as its first seven releases had it: one 1 x 1 convolution predicts from each of three maps."""

    def __init__(self, layers: torch.nn.Sequential, levels: Sequence[int]) -> None:
        super().__init__()
        self.layers, self.levels = layers, levels
        channels = [_last_convolution(layers[level]).out_channels for level in levels]
        self.predict = torch.nn.ModuleList(torch.nn.Conv2d(c, ANCHORS * (CLASSES + 5), 1) for c in channels)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        results: list[torch.Tensor] = []
        for layer in self.layers:
            inputs = [results[i] if i != -1 else x for i in layer.f] if isinstance(layer.f, list) else None
            x = layer(inputs if inputs is not None else x if layer.f == -1 else results[layer.f])
            results.append(x)
        return [conv(results[level]) for conv, level in zip(self.predict, self.levels, strict=True)]


def _last_convolution(block: Any) -> torch.nn.Conv2d:
    """Return the convolution that makes a block's result: the fourth of BottleneckCSP, the third of C3."""
    return (block.cv4 if hasattr(block, "cv4") else block.cv3).conv


def _neck(block: str) -> list[Any]:
    """Return the layers 10 to 23, which every release has; each is [from, number, module, arguments]."""
    return [
        [-1, 1, "Conv", [512, 1, 1]],
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 6], 1, "Concat", [1]],
        [-1, 3, block, [512, False]],
        [-1, 1, "Conv", [256, 1, 1]],
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 3, block, [256, False]],
        [-1, 1, "Conv", [256, 3, 2]],
        [[-1, 14], 1, "Concat", [1]],
        [-1, 3, block, [512, False]],
        [-1, 1, "Conv", [512, 3, 2]],
        [[-1, 10], 1, "Concat", [1]],
        [-1, 3, block, [1024, False]],
    ]


def _backbone(stem: Any, block: str, repeats: int, end: list[Any]) -> list[Any]:
    """Return the layers 0 to 9."""
    return [
        stem,
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 3, block, [128]],
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, repeats, block, [256]],
        [-1, 1, "Conv", [512, 3, 2]],
        [-1, 9, block, [512]],
        [-1, 1, "Conv", [1024, 3, 2]],
        *end,
    ]


def _yolov5s(backbone: list[Any], block: str, activation: str) -> torch.nn.Module:
    """Build the small scale (depth 0.33, width 0.50) from ultralytics' own layers."""
    from ultralytics.nn import tasks

    config = {"nc": CLASSES, "scales": {"s": [0.33, 0.50, 1024]}, "scale": "s", "activation": activation}
    before = tasks.Conv.default_act
    try:
        layers, _ = tasks.parse_model({**config, "backbone": backbone, "head": _neck(block)}, ch=3, verbose=False)
    finally:
        tasks.Conv.default_act = before
    model = _Yolo(layers, (17, 20, 23))
    for module in model.modules():
        # BottleneckCSP's activation is its own: LeakyReLU in the releases that had it.
        if type(module).__name__ == "BottleneckCSP":
            module.act = torch.nn.LeakyReLU(0.1)
    return model


_FOCUS = [-1, 1, "Focus", [64, 3]]
_SPP = [-1, 1, "SPP", [1024, [5, 9, 13]]]


def yolov5s_v2() -> torch.nn.Module:
    """Return YOLOv5s of the release 2.0."""
    block = "BottleneckCSP"
    end = [_SPP, [-1, 3, block, [1024, False]]]
    return _yolov5s(_backbone(_FOCUS, block, 9, end), block, "torch.nn.LeakyReLU(0.1)")


def yolov5s_v3() -> torch.nn.Module:
    """Return YOLOv5s of the releases 3.0 and 3.1."""
    block = "BottleneckCSP"
    end = [_SPP, [-1, 3, block, [1024, False]]]
    return _yolov5s(_backbone(_FOCUS, block, 9, end), block, "torch.nn.Hardswish()")


def yolov5s_v5() -> torch.nn.Module:
    """Return YOLOv5s of the releases 4.0 and 5.0."""
    end = [_SPP, [-1, 3, "C3", [1024, False]]]
    return _yolov5s(_backbone(_FOCUS, "C3", 9, end), "C3", "torch.nn.SiLU()")


def yolov5s_v6() -> torch.nn.Module:
    """Return YOLOv5s of the releases 6.0 to 7.0."""
    end = [[-1, 3, "C3", [1024]], [-1, 1, "SPPF", [1024, 5]]]
    return _yolov5s(_backbone([-1, 1, "Conv", [64, 6, 2, 2]], "C3", 6, end), "C3", "torch.nn.SiLU()")


def _detector(name: str) -> torch.nn.Module:
    """Return a detector of ultralytics, its head told that it is exported, as upstream's own exporter does."""
    from ultralytics.nn import tasks

    model = tasks.DetectionModel(f"{name}.yaml", verbose=False).eval().float()
    for module in model.modules():
        if hasattr(type(module), "export"):
            module.export, module.dynamic, module.format = True, True, "onnx"
    return model


def yolov8l() -> torch.nn.Module:
    """Return YOLOv8l."""
    return _detector("yolov8l")


def yolov8x() -> torch.nn.Module:
    """Return YOLOv8x."""
    return _detector("yolov8x")
