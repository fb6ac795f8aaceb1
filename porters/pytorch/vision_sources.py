"""Sources from torchvision and timm: their models by name, with the input that each was made for."""

from __future__ import annotations

import inspect
from typing import Any

from porters.pytorch.original import TorchOriginal
from porters.pytorch.sources import IMAGE_SIZE, finish, need, seeded, unknown
from porters.source import SourceOptions
from zoo.inputs import InputSpec


def open_torchvision(name: str, options: SourceOptions) -> TorchOriginal:
    """Return a model of torchvision with seeded weights.

    Raises:
        UserError: If torchvision is not installed or has no model of that name.
    """
    torchvision = need("torchvision", "vision")
    known = torchvision.models.list_models()
    if name not in known:
        raise unknown("torchvision model", name, known)
    weights = torchvision.models.get_model_weights(name)
    builder = torchvision.models.get_model_builder(name)
    keywords = {"weights_backbone": None} if "weights_backbone" in inspect.signature(builder).parameters else {}
    model = seeded(lambda: torchvision.models.get_model(name, weights=None, **keywords), options.seed)
    size = _crop_size(weights)
    return finish(
        model,
        f"torchvision:{name}",
        name,
        _torchvision_task(name, torchvision),
        [InputSpec("x", "float32", ("batch", 3, size, size), "image")],
        options,
        packages=("torch", "torchvision"),
    )


def _crop_size(weights: Any) -> int:
    for entry in weights:
        crop = getattr(entry.transforms, "keywords", {}).get("crop_size")
        if isinstance(crop, int):
            return crop
    return IMAGE_SIZE


def _torchvision_task(name: str, torchvision: Any) -> str:
    models = torchvision.models
    for module, task in (
        ("segmentation", "image-segmentation"),
        ("detection", "object-detection"),
        ("video", "video-classification"),
        ("optical_flow", "optical-flow"),
    ):
        if name in models.list_models(module=getattr(models, module)):
            return task
    return "image-classification"


def open_timm(name: str, options: SourceOptions) -> TorchOriginal:
    """Return a model of timm with seeded weights.

    Raises:
        UserError: If timm is not installed or has no model of that name.
    """
    timm = need("timm", "vision")
    known = timm.list_models()
    if name.partition(".")[0] not in known:
        raise unknown("timm model", name, known)
    try:
        model = seeded(lambda: timm.create_model(name, pretrained=False), options.seed)
    except RuntimeError as error:  # the architecture is there, the tag behind the dot is not
        raise unknown("timm model", name, timm.list_pretrained(f"{name.partition('.')[0]}.*")) from error
    channels, *size = timm.data.resolve_model_data_config(model)["input_size"]
    first = next(iter(inspect.signature(model.forward).parameters))
    return finish(
        model,
        f"timm:{name}",
        name,
        "image-classification",
        [InputSpec(first, "float32", ("batch", channels, *size), "image")],
        options,
        packages=("torch", "timm"),
    )
