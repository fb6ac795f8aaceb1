"""Question answering on SQuAD v1.1: the best span of the context, over windows; F1 and exact match as officially."""

from __future__ import annotations

import functools
import json
import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity.preprocessing import texts
from parity.scores import Scores, mean_of
from parity.task import Sample
from parity.tasks.outputs import declared, output
from zoo.errors import UserError
from zoo.inputs import Feed

# The official example's numbers, where the card declares no others.
MAX_LENGTH, STRIDE = 384, 128
BEST, LONGEST = 20, 30


class QuestionAnswering:
    """See ``parity.task.Task``; an answer is a piece of the context.

    The card's ``preprocessing`` declares ``tokenizer``, ``max_length`` and ``stride`` (tokens that windows have in
    common); its ``postprocessing`` may declare ``n_best`` and ``max_answer_length`` (tokens).
    """

    metric = "f1"

    def samples(self, data: str, card: Mapping[str, Any]) -> Sequence[Sample]:
        """Read SQuAD v1.1's JSON: a sample for each question."""
        path = Path(data)
        try:
            found = list(_questions(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                "the questions cannot be read",
                place=data,
                expected="SQuAD v1.1 JSON: data, paragraphs, qas, answers",
                got=f"{type(error).__name__}: {error}",
            ) from error
        if not found:
            raise UserError("there are no questions", place=data, expected="SQuAD v1.1 JSON", got="no qas")
        unanswered = next((sample.name for sample in found if not sample.label), None)
        if unanswered is not None:
            raise UserError(
                "a question has no answer", place=data, expected="SQuAD v1.1, not v2", got=f"question {unanswered}"
            )
        return found

    def feeds(self, sample: Sample, card: Mapping[str, Any]) -> list[Feed]:
        """Tokenise question and context together, a feed for each window over the context."""
        return [texts.feed_of(card, window.ids, window.type_ids) for window in _windows(sample, card)]

    def answer(
        self,
        sample: Sample,
        outputs: Sequence[Mapping[str, np.ndarray]],
        feeds: Sequence[Feed],
        card: Mapping[str, Any],
    ) -> str:
        """The span with the largest sum of logits over all windows; empty where no span is possible."""
        steps = declared(card)
        best, most = int(steps.get("n_best", BEST)), int(steps.get("max_answer_length", LONGEST))
        context, found = sample.raw[1], (-np.inf, "")
        for window, made in zip(_windows(sample, card), outputs, strict=True):
            start, end = output(made, card, "start_logits", 0)[0], output(made, card, "end_logits", 1)[0]
            score, first, last = best_span(start, end, [part == 1 for part in window.sequence_ids], best, most)
            if score > found[0]:
                found = score, context[window.offsets[first][0] : window.offsets[last][1]]
        return found[1]

    def scores(self, samples: Sequence[Sample], answers: Sequence[Any]) -> Scores:
        """F1 of the words and exact match, each the best over the answers that annotators gave."""
        pairs = [(answer, sample.label) for sample, answer in zip(samples, answers, strict=True)]
        exact = np.asarray([max(normalise(given) == normalise(true) for true in label) for given, label in pairs])
        overlap = [max(f1(given, true) for true in label) for given, label in pairs]
        metrics = {"f1": mean_of(overlap), "exact_match": mean_of(exact)}
        return Scores(metrics, list(answers), {"exact_match": exact})

    def changed(self, original: Any, port: Any) -> bool:
        """Whether another piece of the context is the answer."""
        return bool(original != port)


TASK = QuestionAnswering()


def normalise(answer: str) -> str:
    """Return an answer in lower case without punctuation, articles and superfluous blanks, as SQuAD v1.1 has it."""
    kept = "".join(letter for letter in answer.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def f1(given: str, true: str) -> float:
    """Return the F1 of two answers as bags of words."""
    words, truth = normalise(given).split(), normalise(true).split()
    common = sum((Counter(words) & Counter(truth)).values())
    if not common:
        return 0.0
    precision, recall = common / len(words), common / len(truth)
    return 2 * precision * recall / (precision + recall)


def best_span(
    start: np.ndarray, end: np.ndarray, inside: Sequence[bool], best: int, longest: int
) -> tuple[float, int, int]:
    """Return (score, first token, last token) of the best span; the score is ``-inf`` where there is none.

    Args:
        start: Logits that a token is the first, float [tokens], padding included.
        end: Logits that it is the last.
        inside: Which tokens are of the context; padding may be left out.
        best: How many of the largest starts and ends are combined.
        longest: Most tokens of a span.
    """
    tokens = len(inside)
    firsts = np.argsort(-start[:tokens], kind="stable")[:best]
    lasts = np.argsort(-end[:tokens], kind="stable")[:best]
    found = (-np.inf, 0, 0)
    for first in firsts:
        for last in lasts:
            if not (inside[first] and inside[last] and first <= last < first + longest):
                continue
            score = float(start[first]) + float(end[last])
            if score > found[0]:
                found = score, int(first), int(last)
    return found


def _questions(data: Mapping[str, Any]) -> Iterator[Sample]:
    for article in data["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answers = [answer["text"] for answer in question["answers"]]
                # Some questions of SQuAD begin with blanks, which count as tokens to some tokenizers.
                yield Sample(question["id"], (question["question"].lstrip(), paragraph["context"]), answers)


def _windows(sample: Sample, card: Mapping[str, Any]) -> Sequence[Any]:
    steps = card.get("preprocessing") or {}
    file = texts.tokenizer_file(steps)
    return _encoded(file, int(steps.get("max_length", MAX_LENGTH)), int(steps.get("stride", STRIDE)), *sample.raw)


@functools.lru_cache(maxsize=4)
def _encoded(file: Path, max_length: int, stride: int, question: str, context: str) -> Sequence[Any]:
    tokenizer = texts.open_tokenizer(file, max_length, stride, "only_second")
    try:
        first = tokenizer.encode(question, context)
    except Exception as error:  # the library raises nothing narrower: a question that leaves the context no room
        raise UserError(
            "question and context cannot be cut into windows",
            place="card.yaml: preprocessing.max_length, stride",
            expected="room for the question and for more of the context than the stride",
            got=f"{error} (max_length {max_length}, stride {stride}, question {question[:60]!r})",
        ) from error
    return [first, *first.overflowing]
