"""Object detection on COCO's annotations: mean average precision by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity.preprocessing.images import covered, decode
from parity.scores import Scores
from parity.task import Sample
from parity.tasks import images
from parity.tasks.average_precision import Accumulator
from parity.tasks.boxes import MOST, categories, detections, overlaps
from zoo.errors import UserError, missing_extra
from zoo.inputs import Feed

# Detections below this are noise to a reader; mean average precision counts them all.
SURE = 0.5
# Two boxes of one class that overlap by this much are the same detection.
SAME = 0.5
# Draws of the bootstrap: each accumulates precision over all categories anew.
RESAMPLES = 500
METRICS = ("map", "map50")


class ObjectDetection:
    """See ``parity.task.Task``; an answer is a list of ``{category_id, bbox, score}`` as in COCO's results.

    ``postprocessing`` says how outputs become boxes (``parity.tasks.boxes``) and how the model's classes are called in
    the data (``labels``, ``label_map``).
    """

    metric = "map"

    def samples(self, data: str, card: Mapping[str, Any]) -> Sequence[Sample]:
        """Read COCO's JSON, or a folder of COCO with annotations/instances_*.json: a sample for each image."""
        file = _annotations(Path(data))
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            by_image: dict[int, list[Any]] = {entry["id"]: [] for entry in content["images"]}
            for entry in content["annotations"]:
                by_image[entry["image_id"]].append({key: entry[key] for key in ("bbox", "category_id")} | _area(entry))
            found = [
                Sample(
                    entry["file_name"],
                    (_image(file, entry["file_name"]), content["categories"]),
                    {"image_id": entry["id"], "annotations": by_image[entry["id"]]},
                    _image(file, entry["file_name"]),
                )
                for entry in content["images"]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                "the annotations cannot be read",
                place=str(file),
                expected="COCO JSON: images, annotations, categories",
                got=f"{type(error).__name__}: {error}",
            ) from error
        if not any(sample.label["annotations"] for sample in found):
            raise UserError("there are no annotated images", place=str(file), expected="annotations", got="none")
        return found

    def feeds(self, sample: Sample, card: Mapping[str, Any]) -> list[Feed]:
        """Decode, resize and normalise the image as the card's ``preprocessing`` says; a crop would lose objects."""
        if (card.get("preprocessing") or {}).get("crop"):
            raise UserError("a crop would lose objects", place="card.yaml: preprocessing.crop", expected="no crop")
        return [images.feed(sample.start, card)]

    def answer(
        self,
        sample: Sample,
        outputs: Sequence[Mapping[str, np.ndarray]],
        feeds: Sequence[Feed],
        card: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """The detections whose class is a category of the data."""
        file, named = sample.raw
        height, width = decode(file).shape[:2]
        found = detections(outputs[0], card, (height, width), covered(file, card["preprocessing"]))
        known = categories(card, named)
        return [
            {"category_id": known[int(label)], "bbox": [float(x) for x in box], "score": float(score)}
            for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True)
            if int(label) in known
        ]

    def scores(self, samples: Sequence[Sample], answers: Sequence[Any]) -> Scores:
        """mAP@[.5:.95] and mAP@0.5 over all areas, 100 detections for each image."""
        evaluated = Evaluated(samples, answers)
        sure = [[found for found in answer if found["score"] >= SURE] for answer in answers]
        metrics = {
            "map": lambda picks: evaluated.over(picks)[:, 0],
            "map50": lambda picks: evaluated.over(picks)[:, 1],
        }
        return Scores(metrics, sure, resamples=RESAMPLES)

    def changed(self, original: Any, port: Any) -> bool:
        """Whether a sure detection of one side is none of the other's: another class, or another place."""
        return not all(_has(port, one) for one in original) or not all(_has(original, one) for one in port)


TASK = ObjectDetection()


class Evaluated:
    """pycocotools' evaluation, image by image once, accumulated over any choice of images."""

    def __init__(self, samples: Sequence[Sample], answers: Sequence[Any]) -> None:
        try:
            from pycocotools.coco import COCO
            from pycocotools.cocoeval import COCOeval
        except ImportError as error:
            raise missing_extra("pycocotools", "accuracy", "object-detection") from error
        true, found = [sample.label["annotations"] for sample in samples], answers
        with contextlib.redirect_stdout(io.StringIO()):  # it reports every step on standard output
            self._run = COCOeval(_indexed(COCO(), true, true), _indexed(COCO(), found, true), "bbox")
            parameters = self._run.params
            parameters.areaRng, parameters.areaRngLbl = parameters.areaRng[:1], parameters.areaRngLbl[:1]
            parameters.maxDets = [MOST]
            self._run.evaluate()
        self._images = list(self._run.evalImgs)
        count = max(len(samples), 1)
        by_kind = [self._images[start : start + count] for start in range(0, len(self._images), count)]
        self._drawn = Accumulator(by_kind, len(parameters.iouThrs), parameters.recThrs, MOST)
        # By the images drawn: each metric asks for the same draws.
        self._known: dict[bytes, np.ndarray] = {}

    def over(self, picks: np.ndarray) -> np.ndarray:
        """Return :data:`METRICS` over each row of image indices, [rows, 2]; an image drawn twice counts twice.

        All images, each once, are pycocotools' own; draws are accumulated here, some hundred times faster.
        """
        key = picks.tobytes()
        if key not in self._known:
            with contextlib.redirect_stdout(io.StringIO()):
                self._known[key] = np.asarray([self._measured(pick) for pick in picks])
        return self._known[key]

    def _measured(self, pick: np.ndarray) -> tuple[float, float]:
        if np.array_equal(pick, np.arange(len(pick))):
            return self._accumulated(pick)
        precision = self._drawn.precision(pick)
        return _mean(precision), _mean(precision[:1])

    def _accumulated(self, pick: np.ndarray) -> tuple[float, float]:
        run, count = self._run, len(pick)
        kinds = len(self._images) // count
        run.evalImgs = [self._images[kind * count + index] for kind in range(kinds) for index in pick]
        run.params.imgIds = run._paramsEval.imgIds = list(range(count))  # each draw is an image of its own
        run.accumulate()
        precision = run.eval["precision"]
        return _mean(precision), _mean(precision[:1])


def _mean(precision: np.ndarray) -> float:
    known = precision[precision > -1]  # categories that no image drawn has are -1
    return float(known.mean()) if known.size else float("nan")


def _indexed(coco: Any, by_image: Sequence[Sequence[Mapping[str, Any]]], true: Sequence[Any]) -> Any:
    """Fill one of pycocotools' data sets: the images by their place, the categories of the true annotations."""
    kinds = sorted({entry["category_id"] for entries in true for entry in entries})
    entries = [
        {"iscrowd": 0, **entry, "area": entry.get("area", entry["bbox"][2] * entry["bbox"][3]), "image_id": index}
        for index, found in enumerate(by_image)
        for entry in found
    ]
    coco.dataset = {
        "images": [{"id": index} for index in range(len(by_image))],
        "categories": [{"id": kind, "name": str(kind)} for kind in kinds],
        # Identifiers begin at 1: pycocotools takes a match with annotation 0 for none.
        "annotations": [{**entry, "id": number} for number, entry in enumerate(entries, 1)],
    }
    coco.createIndex()
    return coco


def _has(answer: Sequence[Mapping[str, Any]], one: Mapping[str, Any]) -> bool:
    boxes = [other["bbox"] for other in answer if other["category_id"] == one["category_id"]]
    return bool(boxes) and bool((overlaps(np.asarray([one["bbox"]]), np.asarray(boxes)) >= SAME).any())


def _area(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("area", "iscrowd") if key in entry}


def _annotations(path: Path) -> Path:
    if path.is_dir():
        found = sorted(path.glob("annotations/instances_*.json")) or sorted(path.glob("instances_*.json"))
        path = next((file for file in found if "val" in file.stem), found[0] if found else path / "instances.json")
    if not path.is_file():
        raise UserError("the annotations do not exist", place=str(path), expected="COCO JSON")
    return path


def _image(file: Path, name: str) -> Path:
    """Return where the image lies: beside the JSON, or in a folder called images or as the annotations."""
    part = file.stem.removeprefix("instances_")
    places = [file.parent / name, file.parent / "images" / name]
    places += [root / folder / name for root in (file.parent, file.parent.parent) for folder in (part, "images")]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UserError("an image does not exist", place=str(file), expected=f"{part}/{name}, or images/{name}")
    return found
