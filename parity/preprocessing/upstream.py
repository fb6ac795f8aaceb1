"""The original's own preprocessing, run as it is and watched: timm's, torchvision's, transformers' and Keras's."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from parity.preprocessing.origin import directory, origin
from porters.pytorch.sources import need
from porters.tensorflow import runtime


@dataclass(frozen=True)
class Watched:
    """What the original's own transform made of one image after each step.

    Attributes:
        decoded: Pixels as the original's own loader reads them, uint8 [height, width, 3].
        resized: After the last resize.
        cropped: After the last crop.
        tensor: What the model gets, float32, a batch of one.
    """

    decoded: np.ndarray
    resized: np.ndarray
    cropped: np.ndarray
    tensor: np.ndarray


Watch = Callable[[Path], Watched]


def image_transform(card: Mapping[str, Any]) -> Watch | None:
    """Return the original's own image transform, ``None`` where its source has none."""
    scheme, rest = origin(card)
    if scheme == "timm":
        return _torchvision_like(timm_transform(rest))
    if scheme == "torchvision":
        transform = torchvision_transform(rest)
        return _torchvision_like(transform) if transform is not None else None
    if scheme == "keras":
        return _keras(keras_function(rest), image_size(card))
    processor = image_processor(card)
    return _processor(processor) if processor is not None else None


def keras_function(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return ``preprocess_input`` of an application of Keras: float [n, height, width, 3] of 0 to 255 to the same."""
    module = importlib.import_module(getattr(runtime.keras().applications, name).__module__)
    function: Callable[[np.ndarray], np.ndarray] = module.preprocess_input
    return function


def image_size(card: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return (height, width) of a model's input [batch, height, width, 3], ``None`` where it takes any."""
    height, width = card["inputs"][0]["shape"][1:3]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _keras(function: Callable[[np.ndarray], np.ndarray], size: tuple[int, int] | None) -> Watch:
    """Watch what Keras's documentation does: ``load_img`` into the model's size, then ``preprocess_input``."""

    def run(file: Path) -> Watched:
        from keras.utils import img_to_array, load_img

        decoded, resized = load_img(str(file)), load_img(str(file), target_size=size)
        tensor = function(img_to_array(resized)[None])
        return Watched(np.asarray(decoded), np.asarray(resized), np.asarray(resized), np.asarray(tensor))

    return run


def timm_config(name: str) -> dict[str, Any]:
    """Return timm's data configuration of a model: ``input_size, interpolation, mean, std, crop_pct, crop_mode``."""
    timm = need("timm", "vision")
    base, _, tag = name.partition(".")
    known = timm.models.get_pretrained_cfg(name if tag else base)
    config: dict[str, Any] = timm.data.resolve_data_config(pretrained_cfg=known.to_dict() if known else {})
    return config


def timm_transform(name: str) -> Any:
    """Return timm's own transform for inference."""
    return need("timm", "vision").data.create_transform(**timm_config(name), is_training=False)


def torchvision_transform(name: str) -> Any | None:
    """Return the transform of a torchvision model's default weights, ``None`` where it has no weights."""
    weights = need("torchvision", "vision").models.get_model_weights(name)
    return weights.DEFAULT.transforms() if len(weights) else None


def image_processor(card: Mapping[str, Any]) -> Any | None:
    """Return the image processor in a transformers directory, ``None`` where there is none.

    Nor where it makes something else of an image than one tensor of a known size: patches, or as many pixels as fit.
    """
    folder = directory(card)
    if folder is None or not (folder / "preprocessor_config.json").is_file():
        return None
    processor = need("transformers", "text").AutoImageProcessor.from_pretrained(str(folder), local_files_only=True)
    size = {key for key, value in dict(getattr(processor, "size", None) or {}).items() if value}
    sized = size <= {"shortest_edge", "longest_edge"} or size == {"height", "width"}
    known = all(hasattr(processor, step) for step in ("do_resize", "do_rescale", "do_normalize"))
    return processor if known and sized and size != {"longest_edge"} else None


def text_tokenizer(card: Mapping[str, Any]) -> Any | None:
    """Return the tokenizer in a transformers directory, ``None`` where there is none."""
    folder = directory(card)
    if folder is None or not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        return None
    return need("transformers", "text").AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


def _torchvision_like(transform: Any) -> Watch:
    """Watch a transform that goes through torchvision's functions, by listening to them while it runs."""

    def run(file: Path) -> Watched:
        from torchvision.datasets.folder import default_loader

        image = default_loader(str(file))
        decoded = np.asarray(image)
        with _heard("resize") as resizes, _heard("center_crop") as crops:
            made = transform(image)
        resized = _pixels(resizes[-1]) if resizes else decoded
        return Watched(decoded, resized, _pixels(crops[-1]) if crops else resized, made.numpy()[None])

    return run


@contextlib.contextmanager
def _heard(function: str) -> Iterator[list[Any]]:
    """Collect what one of torchvision's functions returns; the function itself is untouched."""
    from torchvision.transforms import functional

    heard: list[Any] = []
    original = getattr(functional, function)

    def listening(*arguments: Any, **keywords: Any) -> Any:
        heard.append(original(*arguments, **keywords))
        return heard[-1]

    with mock.patch.object(functional, function, listening):
        yield heard


def _processor(processor: Any) -> Watch:
    """Watch a transformers image processor, by leaving out the steps that come after the one looked at."""
    after_crop = {"do_rescale": False, "do_normalize": False}
    if getattr(processor, "do_pad", None):
        after_crop["do_pad"] = False
    after_resize = after_crop | ({"do_center_crop": False} if getattr(processor, "do_center_crop", None) else {})

    def run(file: Path) -> Watched:
        from transformers.image_utils import load_image

        image = load_image(str(file))

        def made(**without: bool) -> np.ndarray:
            return np.asarray(processor(images=image, return_tensors="np", **without)["pixel_values"])

        resized, cropped = made(**after_resize)[0], made(**after_crop)[0]
        return Watched(np.asarray(image), resized.transpose(1, 2, 0), cropped.transpose(1, 2, 0), made())

    return run


def _pixels(image: Any) -> np.ndarray:
    """Return a PIL image, or a tensor [3, height, width], as [height, width, 3]."""
    if hasattr(image, "numpy"):
        pixels: np.ndarray = image.numpy().transpose(1, 2, 0)
        return pixels
    return np.asarray(image)
