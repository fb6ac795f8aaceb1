"""The processing that a card declares, and what it is where the card says nothing and the original's files do."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from parity.preprocessing.affine import fitted
from parity.preprocessing.origin import directory, origin
from parity.preprocessing.upstream import (
    image_processor,
    image_size,
    keras_function,
    timm_config,
    torchvision_transform,
)
from zoo.artifact import Artifact
from zoo.errors import UserError

# Entries of a card that a user may declare after the port.
DECLARED = ("preprocessing", "postprocessing", "evaluation", "task")

# Tokens of a text where neither card nor tokenizer limits them; tokenizers without a limit state an enormous one.
LONGEST = 512
_UNLIMITED = 10**6


def declare(artifact: Artifact, file: Path) -> None:
    """Write the entries in a YAML file (:data:`DECLARED`) into the artifact's card, in place of those of that name.

    Raises:
        UserError: If the file cannot be read or holds anything else.
    """
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError("the declaration cannot be read", place=str(file), got=str(error).splitlines()[0]) from error
    unknown = (
        [str(key) for key in entries if key not in DECLARED] if isinstance(entries, dict) else [repr(entries)[:60]]
    )
    if unknown:
        raise UserError(
            "the declaration holds what a card does not let be declared",
            place=str(file),
            expected=", ".join(DECLARED),
            got=", ".join(unknown),
        )
    artifact.replace_card({**artifact.card(), **entries})


def with_processing(card: Mapping[str, Any], task: str) -> tuple[dict[str, Any], list[str]]:
    """Return the card with its processing completed from the original's own files, and notes on what was completed.

    What the card declares stays as it is: nothing is mixed into a ``preprocessing`` or ``postprocessing`` of its own.
    """
    completed, notes = dict(card), []
    if not card.get("preprocessing"):
        steps, place = _preprocessing(card)
        if steps:
            completed["preprocessing"] = steps
            notes.append(f"the card declares no preprocessing: taken from {place}")
    if not card.get("postprocessing") and task != "language-modelling":
        folder = directory(card)
        labels = _configuration(folder / "config.json").get("id2label") if folder is not None else None
        if labels:
            completed["postprocessing"] = {"labels": labels}
            notes.append("the card declares no classes: their names are those of config.json")
    return completed, notes


def _preprocessing(card: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    scheme, rest = origin(card)
    if scheme == "timm":
        return _of_timm(timm_config(rest)), "timm's data configuration"
    if scheme == "torchvision":
        return _of_torchvision(torchvision_transform(rest)), "the transforms of torchvision's weights"
    if scheme == "keras":
        return _of_keras(keras_function(rest), image_size(card)), "what Keras's preprocess_input does"
    processor, folder = image_processor(card), directory(card)
    if processor is not None:
        return _of_processor(processor), "preprocessor_config.json"
    if folder is not None and (folder / "tokenizer.json").is_file():
        limit = _configuration(folder / "tokenizer_config.json").get("model_max_length", LONGEST)
        steps = {"tokenizer": str(folder / "tokenizer.json"), "max_length": limit if limit < _UNLIMITED else LONGEST}
        return steps, "tokenizer.json"
    return {}, ""


def _configuration(file: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return parsed


def _of_timm(config: Mapping[str, Any]) -> dict[str, Any]:
    height, width = config["input_size"][-2:]
    share = config.get("crop_pct") or 1.0
    sizes = [math.floor(height / share), math.floor(width / share)]
    squash = config.get("crop_mode") == "squash" or height != width
    return {
        "resize": sizes if squash else sizes[0],
        "filter": config["interpolation"],
        "crop": [height, width],
        **_normalisation(255, config["mean"], config["std"]),
    }


def _of_torchvision(transform: Any) -> dict[str, Any]:
    if not hasattr(transform, "crop_size"):  # detection: the model itself resizes and normalises
        return _normalisation(255, 0.0, 1.0) if transform is not None else {}
    return {
        "resize": transform.resize_size[0],
        "filter": transform.interpolation.value,
        "crop": transform.crop_size[0],
        **_normalisation(255, transform.mean, transform.std),
    }


def _of_keras(function: Callable[[np.ndarray], np.ndarray], size: tuple[int, int] | None) -> dict[str, Any]:
    """Read the normalisation off ``preprocess_input``, which only says it in code; ``load_img`` resizes by nearest."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.float32)
    tensor = np.asarray(function(pixels[None].copy()))  # it may write into what it is given
    found = fitted([pixels], [tensor.transpose(0, 3, 1, 2)])
    if found is None:
        raise UserError(
            "preprocess_input is no normalisation", expected="(pixel - mean) / std by channel", got=function
        )
    colour = "".join("RGB"[index] for index in found.order)
    # Fitted in float64 to what was computed in float32: six digits are what is known.
    mean, std = ([float(f"{value:.6g}") for value in values] for values in (found.mean, found.std))
    resize = {"resize": list(size), "filter": "nearest"} if size else {}
    return resize | _normalisation(1.0, mean, std) | {"colour": colour, "layout": "NHWC"}


def _of_processor(processor: Any) -> dict[str, Any]:
    steps: dict[str, Any] = {}
    if processor.do_resize:
        size = {key: value for key, value in dict(processor.size).items() if value}
        if "height" in size:
            steps["resize"] = [size["height"], size["width"]]
        else:
            steps["resize"] = {"shorter": size["shortest_edge"], "longer": size.get("longest_edge")}
        steps["filter"] = _filter(processor.resample)
    if getattr(processor, "do_center_crop", None):
        crop = dict(processor.crop_size)
        steps["crop"] = [crop["height"], crop["width"]]
    scale = 1 / processor.rescale_factor if processor.do_rescale else 1.0
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else (0.0, 1.0)
    return steps | _normalisation(scale, mean, std)


def _filter(resample: Any) -> str:
    from PIL import Image

    return str(Image.Resampling(int(resample)).name).lower()


def _normalisation(scale: float, mean: Any, std: Any) -> dict[str, Any]:
    listed = [list(value) if isinstance(value, (list, tuple)) else value for value in (mean, std)]
    return {"scale": scale, "mean": listed[0], "std": listed[1], "colour": "RGB", "layout": "NCHW"}
