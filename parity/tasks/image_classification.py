"""Image classification: labelled images in folders, a CSV or by file name; top-1."""

from __future__ import annotations

import csv
import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity.task import Sample
from zoo.errors import UserError, missing_extra
from zoo.inputs import Feed

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_LABEL_IN_NAME = re.compile(r"_(\d+)$")


class ImageClassification:
    """See ``parity.task.Task``."""

    metric = "top1"

    def samples(self, data: str) -> Sequence[Sample]:
        """Read images: class folders (named by index, or in sorted order), a CSV, or names that end in _LABEL."""
        path = Path(data)
        if path.suffix == ".csv":
            samples = _from_csv(path)
        elif path.is_dir() and any(child.is_dir() for child in path.iterdir()):
            samples = _from_folders(path)
        else:
            files = sorted(path.iterdir()) if path.is_dir() else [Path(name) for name in sorted(glob.glob(data))]
            samples = _from_names([file for file in files if file.suffix.lower() in SUFFIXES])
        if not samples:
            raise UserError(
                "there are no labelled images",
                place=data,
                expected="class folders, a CSV with file,label, or files named NAME_LABEL.jpg",
                got="nothing that fits",
            )
        return samples

    def feeds(self, sample: Sample, card: Mapping[str, Any]) -> list[Feed]:
        """Decode, resize, crop, normalise: what the card's ``preprocessing`` says, in its order."""
        steps = card.get("preprocessing")
        if not steps or "crop" not in steps:
            raise UserError(
                "the card declares no image preprocessing",
                place="card.yaml: preprocessing",
                expected="resize, filter, crop, scale, mean, std",
                got=repr(steps),
            )
        spec = card["inputs"][0]
        array = preprocess(Path(sample.raw), steps)
        return [{spec["name"]: array.astype(spec["dtype"])}]

    def answer(self, outputs: Sequence[Mapping[str, np.ndarray]], feeds: Sequence[Feed]) -> int:
        """The class with the largest score."""
        return int(np.argmax(next(iter(outputs[0].values())).ravel()))

    def score(self, answers: Sequence[Any], labels: Sequence[Any]) -> float:
        """Share of right answers."""
        return float(np.mean(np.equal(answers, labels)))

    def resampled(self, answers: Sequence[Any], labels: Sequence[Any], picks: np.ndarray) -> np.ndarray:
        """Share of right answers, for each row of picks."""
        right: np.ndarray = np.equal(answers, labels)[picks].mean(axis=1)
        return right

    def changed(self, original: Any, port: Any) -> bool:
        """Whether the class changed."""
        return bool(original != port)


TASK = ImageClassification()


def preprocess(file: Path, steps: Mapping[str, Any]) -> np.ndarray:
    """Return an image as a float32 batch of one.

    Args:
        file: The image.
        steps: ``resize`` (shorter side, pixels), ``filter`` (bilinear, bicubic, lanczos), ``crop`` (square, pixels),
            ``scale`` (values of 0 to 255 are divided by it first), ``mean``, ``std``, ``layout`` (NCHW, NHWC).
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise missing_extra("pillow", "vision", "image-classification") from error
    filters = {
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
        "lanczos": Image.Resampling.LANCZOS,
        "nearest": Image.Resampling.NEAREST,
    }
    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise UserError("the image cannot be read", place=str(file), got=str(error)) from error
    image = _resize(image, steps.get("resize"), filters[steps.get("filter", "bilinear")])
    image = _crop(image, int(steps["crop"]))
    array: np.ndarray = np.asarray(image, np.float32) / np.float32(steps.get("scale", 1.0))
    array = (array - np.asarray(steps.get("mean", 0.0), np.float32)) / np.asarray(steps.get("std", 1.0), np.float32)
    return array[None] if steps.get("layout", "NCHW") == "NHWC" else array.transpose(2, 0, 1)[None]


def _resize(image: Any, shorter: int | None, resample: Any) -> Any:
    if not shorter:
        return image
    width, height = image.size
    # torchvision's rule: the longer side is truncated, not rounded.
    size = (shorter, int(shorter * height / width)) if width <= height else (int(shorter * width / height), shorter)
    return image.resize(size, resample)


def _crop(image: Any, side: int) -> Any:
    width, height = image.size
    left, top = round((width - side) / 2), round((height - side) / 2)
    return image.crop((left, top, left + side, top + side))


def _from_folders(path: Path) -> list[Sample]:
    folders = sorted(child for child in path.iterdir() if child.is_dir())
    samples = []
    for index, folder in enumerate(folders):
        label = int(folder.name) if folder.name.isdigit() else index
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
        samples += [Sample(f"{folder.name}/{file.name}", file, label) for file in files]
    return samples


def _from_names(files: Sequence[Path]) -> list[Sample]:
    labelled = [(file, _LABEL_IN_NAME.search(file.stem)) for file in files]
    return [Sample(file.name, file, int(match[1])) for file, match in labelled if match]


def _from_csv(path: Path) -> list[Sample]:
    if not path.is_file():
        raise UserError("the CSV does not exist", place=str(path))
    samples = []
    with path.open(newline="", encoding="utf-8") as stream:
        for number, row in enumerate(csv.reader(stream), 1):
            if not row or (number == 1 and not row[-1].strip().isdigit()):
                continue  # an empty line, or the heading
            if len(row) < 2 or not row[1].strip().isdigit():
                raise UserError(
                    "the row cannot be read", place=f"{path}:{number}", expected="file,label", got=",".join(row)
                )
            samples.append(Sample(row[0], path.parent / row[0], int(row[1])))
    return samples
