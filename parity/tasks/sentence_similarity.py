"""Sentence similarity: pairs of texts with a human score; Spearman's rank correlation of the cosine with it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity.task import Sample
from zoo.catalog import package_file
from zoo.errors import UserError, missing_extra
from zoo.inputs import Feed


class SentenceSimilarity:
    """See ``parity.task.Task``."""

    metric = "spearman"

    def samples(self, data: str) -> Sequence[Sample]:
        """Read lines of text, text, score, tab-separated; ``#`` begins a comment."""
        path = Path(data)
        if not path.is_file():
            raise UserError("the file of pairs does not exist", place=data, expected="text TAB text TAB score, by line")
        samples = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = line.split("\t")
            try:
                first, second, score = parts[0], parts[1], float(parts[2])
            except (IndexError, ValueError) as error:
                if number == 1:
                    continue  # the heading
                raise UserError(
                    "the line cannot be read",
                    place=f"{path}:{number}",
                    expected="text TAB text TAB score",
                    got=line[:80],
                ) from error
            samples.append(Sample(f"{first} / {second}", (first, second), score))
        if len(samples) < 3:
            raise UserError("there are too few pairs for a rank correlation", place=data, expected=3, got=len(samples))
        return samples

    def feeds(self, sample: Sample, card: Mapping[str, Any]) -> list[Feed]:
        """Tokenise each text as the card's ``preprocessing.tokenizer`` says."""
        steps = card.get("preprocessing") or {}
        if "tokenizer" not in steps:
            raise UserError(
                "the card declares no tokenizer",
                place="card.yaml: preprocessing",
                expected="tokenizer",
                got=repr(steps),
            )
        tokenizer = _tokenizer(str(package_file(steps["tokenizer"])), int(steps.get("max_length", 128)))
        names = {entry["name"]: entry["dtype"] for entry in card["inputs"]}
        return [_encode(tokenizer, text, names) for text in sample.raw]

    def answer(self, outputs: Sequence[Mapping[str, np.ndarray]], feeds: Sequence[Feed]) -> float:
        """Cosine of the two mean-pooled embeddings."""
        pooled = [_mean_pooled(o, f) for o, f in zip(outputs, feeds, strict=True)]
        return float(pooled[0] @ pooled[1] / (np.linalg.norm(pooled[0]) * np.linalg.norm(pooled[1])))

    def score(self, answers: Sequence[Any], labels: Sequence[Any]) -> float:
        """Spearman's rank correlation."""
        return float(self.resampled(answers, labels, np.arange(len(labels))[None])[0])

    def resampled(self, answers: Sequence[Any], labels: Sequence[Any], picks: np.ndarray) -> np.ndarray:
        """Spearman's rank correlation, for each row of picks: Pearson's of the mean ranks."""
        from scipy.stats import rankdata

        a = rankdata(np.asarray(answers)[picks], axis=1)
        b = rankdata(np.asarray(labels)[picks], axis=1)
        a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
        result: np.ndarray = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
        return result

    def changed(self, original: Any, port: Any) -> bool:
        """Whether the similarity moved by more than a hundredth."""
        return bool(abs(original - port) > 0.01)


TASK = SentenceSimilarity()


@functools.cache
def _tokenizer(file: str, max_length: int) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise missing_extra("tokenizers", "text", "sentence-similarity") from error
    tokenizer = Tokenizer.from_file(file)
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


def _encode(tokenizer: Any, text: str, names: Mapping[str, str]) -> Feed:
    encoding = tokenizer.encode(text)
    values = {
        "input_ids": encoding.ids,
        "attention_mask": encoding.attention_mask,
        "token_type_ids": encoding.type_ids,
    }
    return {name: np.asarray([values[name]], dtype) for name, dtype in names.items() if name in values}


def _mean_pooled(outputs: Mapping[str, np.ndarray], feed: Feed) -> np.ndarray:
    hidden = next(iter(outputs.values()))[0].astype(np.float64)
    mask = feed["attention_mask"][0].astype(np.float64) if "attention_mask" in feed else np.ones(len(hidden))
    pooled: np.ndarray = (hidden * mask[:, None]).sum(axis=0) / mask.sum()
    return pooled
