"""Sources from torchvision and timm: their models by name, with the input that each was made for."""

from __future__ import annotations

import inspect
from typing import Any

from porters.pytorch.original import TorchOriginal
from porters.pytorch.sources import IMAGE_SIZE, finish, need, seeded, unknown
from porters.source import SourceOptions
from zoo.inputs import InputSpec

# torchvision's modules of models that do not classify images -> the card's task.
FAMILIES = {
    "segmentation": "image-segmentation",
    "detection": "object-detection",
    "video": "video-classification",
    "optical_flow": "optical-flow",
}
# Frames of a clip: what torchvision's video models were trained on; more than the least that each of them takes.
FRAMES = 16
# RAFT's correlation pyramid takes no smaller image.
FLOW_SIZE = 128


def list_torchvision() -> list[tuple[str, str]]:
    """Return (name, family) of every float model of torchvision; see :data:`FAMILIES`, the others classify images.

    Raises:
        UserError: If torchvision is not installed.
    """
    models = need("torchvision", "vision").models
    special = {name: family for family in FAMILIES for name in models.list_models(module=getattr(models, family))}
    quantized = set(models.list_models(module=models.quantization))
    return [(name, special.get(name, "classification")) for name in models.list_models() if name not in quantized]


def open_torchvision(name: str, options: SourceOptions) -> TorchOriginal:
    """Return a model of torchvision with seeded weights.

    Raises:
        UserError: If torchvision is not installed or has no float model of that name.
    """
    torchvision = need("torchvision", "vision")
    known = dict(list_torchvision())
    if name not in known:
        raise unknown("torchvision model", name, list(known))
    builder = torchvision.models.get_model_builder(name)
    keywords = {"weights_backbone": None} if "weights_backbone" in inspect.signature(builder).parameters else {}
    model = seeded(lambda: torchvision.models.get_model(name, weights=None, **keywords), options.seed)
    height, width = _image_size(model, torchvision.models.get_model_weights(name))
    first = next(iter(inspect.signature(model.forward).parameters))
    specs, call = _signature(known[name], first, height, width)
    return finish(
        model,
        f"torchvision:{name}",
        name,
        FAMILIES.get(known[name], "image-classification"),
        specs,
        options,
        packages=("torch", "torchvision"),
        call=call,
        even=known[name] == "detection",
    )


def _image_size(model: Any, weights: Any) -> tuple[int, int]:
    """Return (height, width): what the model was built for, else what its pretrained weights' transforms crop to."""
    built = getattr(model, "image_size", None)
    if isinstance(built, int):
        return built, built
    resizing = getattr(model, "transform", None)
    if resizing is not None:  # a detector resizes what it is given: it gets what stays as it is
        width, height = resizing.fixed_size or (resizing.min_size[-1],) * 2
        return height, width
    for entry in weights:
        crop = getattr(entry.transforms, "keywords", {}).get("crop_size")
        if crop is not None:
            return (crop, crop) if isinstance(crop, int) else (crop[0], crop[1])
    return IMAGE_SIZE, IMAGE_SIZE


def _signature(family: str, name: str, height: int, width: int) -> tuple[list[InputSpec], Any]:
    """Return the inputs of a family of models as torchvision documents them, and how ``forward`` takes them."""
    if family == "detection":
        # A list of images with values around [0, 1], each of its own size; the port has one image of one size.
        return [InputSpec("image", "float32", (3, height, width), "scene", mean=0.5, std=0.25)], {name: ["image"]}
    if family == "video":
        return [InputSpec(name, "float32", ("batch", 3, FRAMES, height, width), "video")], None
    if family == "optical_flow":
        pair = ("image1", "image2")
        return [InputSpec(one, "float32", ("batch", 3, FLOW_SIZE, FLOW_SIZE), "image", std=0.5) for one in pair], None
    return [InputSpec(name, "float32", ("batch", 3, height, width), "image")], None


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
