"""Image classification: labelled images in folders, a CSV or by file name; top-1 and top-5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parity.scores import Scores, counted
from parity.task import Sample
from parity.tasks import images
from parity.tasks.outputs import declared, output
from zoo.inputs import Feed

TOP = 5


class ImageClassification:
    """See ``parity.task.Task``; an answer is the classes with the largest scores, the largest first.

    The card's ``postprocessing`` may name the output (``outputs: {logits: NAME}``), the classes (``labels``) and an
    ``offset``: what the model's class of an image is above the data's, 1 where class 0 is background.
    """

    metric = "top1"

    def samples(self, data: str, card: Mapping[str, Any]) -> Sequence[Sample]:
        """Read labelled images; see ``parity.tasks.images``."""
        return images.samples(data, card)

    def feeds(self, sample: Sample, card: Mapping[str, Any]) -> list[Feed]:
        """Decode, resize, crop, normalise: what the card's ``preprocessing`` says, in its order."""
        return [images.feed(sample.raw, card)]

    def answer(
        self,
        sample: Sample,
        outputs: Sequence[Mapping[str, np.ndarray]],
        feeds: Sequence[Feed],
        card: Mapping[str, Any],
    ) -> list[int]:
        """The classes with the largest scores, as the data counts them."""
        logits = output(outputs[0], card, "logits", 0).ravel()
        # Of equal scores the first class wins, as with argmax.
        best = np.argsort(-logits, kind="stable")[:TOP]
        return [int(index) - int(declared(card).get("offset", 0)) for index in best]

    def scores(self, samples: Sequence[Sample], answers: Sequence[Any]) -> Scores:
        """Shares of images whose class is the first, or among the first five; top-5 of more than five classes only."""
        pairs = [(sample.label, answer) for sample, answer in zip(samples, answers, strict=True)]
        right = {"top1": [answer[0] == label for label, answer in pairs]}
        if len(answers[0]) == TOP:
            right["top5"] = [label in answer for label, answer in pairs]
        return counted(right, [answer[0] for answer in answers])

    def changed(self, original: Any, port: Any) -> bool:
        """Whether the class changed."""
        return bool(original != port)


TASK = ImageClassification()
