"""Sentence similarity: pairs of texts with a human score; how the cosine of their embeddings correlates with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity.preprocessing import texts
from parity.scores import Scores
from parity.task import Sample
from parity.tasks.lines import rows
from parity.tasks.pooling import pooled
from zoo.errors import UserError
from zoo.inputs import Feed

# A similarity that moved by more than this has changed.
MOVED = 0.01


class SentenceSimilarity:
    """See ``parity.task.Task``; an answer is the cosine of the two pooled embeddings."""

    metric = "spearman"

    def samples(self, data: str, card: Mapping[str, Any]) -> Sequence[Sample]:
        """Read lines of text, text, score, tab-separated; ``#`` begins a comment."""
        found = [
            Sample(f"{columns[0]} / {columns[1]}", (columns[0], columns[1]), score)
            for _, columns, score in rows(Path(data), lambda c: float(c[2]), "text TAB text TAB score")
        ]
        if len(found) < 3:
            raise UserError("there are too few pairs for a rank correlation", place=data, expected=3, got=len(found))
        return found

    def feeds(self, sample: Sample, card: Mapping[str, Any]) -> list[Feed]:
        """Tokenise each text as the card's ``preprocessing.tokenizer`` says."""
        return [texts.encode(card, text) for text in sample.raw]

    def answer(
        self,
        sample: Sample,
        outputs: Sequence[Mapping[str, np.ndarray]],
        feeds: Sequence[Feed],
        card: Mapping[str, Any],
    ) -> float:
        """Cosine of the two embeddings."""
        first, second = (pooled(one, feed, card) for one, feed in zip(outputs, feeds, strict=True))
        return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))

    def scores(self, samples: Sequence[Sample], answers: Sequence[Any]) -> Scores:
        """Spearman's rank correlation and Pearson's."""
        labels = np.asarray([sample.label for sample in samples], np.float64)
        cosines = np.asarray(answers, np.float64)
        return Scores(
            {
                "spearman": lambda picks: spearman(cosines[picks], labels[picks]),
                "pearson": lambda picks: pearson(cosines[picks], labels[picks]),
            },
            [float(answer) for answer in answers],
        )

    def changed(self, original: Any, port: Any) -> bool:
        """Whether the similarity moved by more than a hundredth."""
        return bool(abs(original - port) > MOVED)


TASK = SentenceSimilarity()


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each row, [rows, n] each: Pearson's of the mean ranks."""
    from scipy.stats import rankdata

    return pearson(rankdata(a, axis=1), rankdata(b, axis=1))


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each row, [rows, n] each; NaN where a row is constant."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: np.ndarray = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return result
