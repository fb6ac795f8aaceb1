"""Embeddings of labelled texts or images: whether the nearest other sample, by cosine, has the same label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parity.preprocessing import texts
from parity.scores import Scores, mean_of
from parity.task import Sample
from parity.tasks import images
from parity.tasks.pooling import pooled
from parity.tasks.text_classification import labelled_texts
from zoo.errors import UserError
from zoo.inputs import Feed

# Rows of the matrix of similarities that are held at once.
BLOCK = 1024


class Embeddings:
    """See ``parity.task.Task``; an answer is the embedding, float64 [width], of length 1.

    A sample is looked up among all others. The bootstrap draws what is looked up, never what it is looked up among: a
    sample drawn twice would be its own nearest neighbour.
    """

    metric = "precision_at_1"

    def samples(self, data: str, card: Mapping[str, Any]) -> Sequence[Sample]:
        """Read labelled texts where the card declares a tokenizer, else labelled images."""
        if "tokenizer" in (card.get("preprocessing") or {}):
            found: Sequence[Sample] = labelled_texts(data, card, pairs=False)
        else:
            found = images.samples(data, card)
        labels = [sample.label for sample in found]
        if len(set(labels)) < 2 or len(set(labels)) == len(labels):
            raise UserError(
                "nothing can be looked up among these labels",
                place=data,
                expected="two labels or more, one of them of several samples",
                got=f"{len(labels)} samples with {len(set(labels))} labels",
            )
        return found

    def feeds(self, sample: Sample, card: Mapping[str, Any]) -> list[Feed]:
        """Tokenise the text, or preprocess the image, as the card declares."""
        return [texts.encode(card, *sample.raw) if isinstance(sample.raw, tuple) else images.feed(sample.raw, card)]

    def answer(
        self,
        sample: Sample,
        outputs: Sequence[Mapping[str, np.ndarray]],
        feeds: Sequence[Feed],
        card: Mapping[str, Any],
    ) -> np.ndarray:
        """The embedding."""
        embedding = pooled(outputs[0], feeds[0], card)
        unit: np.ndarray = embedding / (np.linalg.norm(embedding) or 1.0)
        return unit

    def scores(self, samples: Sequence[Sample], answers: Sequence[Any]) -> Scores:
        """Share of samples whose nearest other has their label; mean precision among the R nearest (R of that label).

        Samples that are the only one of their label are looked up in vain and count as wrong for every side alike.
        """
        labels = np.asarray([sample.label for sample in samples])
        vectors = np.stack(answers)
        nearest = np.zeros(len(labels), np.int64)
        precision = np.zeros(len(labels))
        for start in range(0, len(labels), BLOCK):
            block = vectors[start : start + BLOCK] @ vectors.T
            rows = np.arange(len(block))
            block[rows, start + rows] = -np.inf
            order = np.argsort(-block, axis=1, kind="stable")
            nearest[start : start + BLOCK] = order[:, 0]
            for row in rows:
                same = labels == labels[start + row]
                many = int(same.sum()) - 1
                precision[start + row] = same[order[row, :many]].mean() if many else 0.0
        right = labels[nearest] == labels
        metrics = {"precision_at_1": mean_of(right), "r_precision": mean_of(precision)}
        return Scores(metrics, [samples[int(index)].name for index in nearest], {"precision_at_1": right})

    def changed(self, original: Any, port: Any) -> bool:
        """Whether another sample is the nearest."""
        return bool(original != port)


TASK = Embeddings()
