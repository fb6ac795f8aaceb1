"""Language modelling on running text, such as WikiText's: perplexity and bits per character over windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity.preprocessing import texts
from parity.scores import Scores, quotient_of
from parity.task import Sample
from parity.tasks.outputs import output
from zoo.errors import UserError
from zoo.inputs import Feed

# What a folder of WikiText holds, the part that is measured first.
FILES = (
    "wiki.test.tokens", "wiki.test.raw", "test.txt", "wiki.valid.tokens", "wiki.valid.raw", "valid.txt",
)  # fmt: skip
MAX_LENGTH = 1024
# A window whose loss for each token moved by more than this, in nats, has changed.
MOVED = 0.01


class LanguageModelling:
    """See ``parity.task.Task``; a sample is a window over the text, an answer the sum of its tokens' losses in nats.

    The card's ``preprocessing`` declares ``tokenizer``, ``max_length`` (tokens of a window), ``stride`` (from one
    window's begin to the next; the default is a whole window) and ``prefix`` (a token to begin the text with, such as
    ``<|endoftext|>``). Each token counts once, in the first window that has it; a window's first token has nothing
    before it and counts nowhere.
    """

    metric = "perplexity"

    def samples(self, data: str, card: Mapping[str, Any]) -> Sequence[Sample]:
        """Read a text file or a folder of WikiText and cut it into windows."""
        path = _file(Path(data))
        steps = card.get("preprocessing") or {}
        tokenizer = texts.tokenizer_of(card, None)
        text = path.read_text(encoding="utf-8")
        encoding = tokenizer.encode(text, add_special_tokens=False)
        ids, ends = list(encoding.ids), [end for _, end in encoding.offsets]
        if "prefix" in steps:
            ids, ends = [_token(tokenizer, steps["prefix"]), *ids], [0, *ends]
        if len(ids) < 2:
            raise UserError("the text is too short", place=str(path), expected="2 tokens", got=len(ids))
        length = int(steps.get("max_length", MAX_LENGTH))
        found = []
        for begin, first, end in windows(len(ids), length, int(steps.get("stride", length))):
            name = f"tokens {begin + first} to {end - 1}"
            label = {"tokens": end - begin - first, "characters": ends[end - 1] - ends[begin + first - 1]}
            begins = ends[begin - 1] if begin else 0
            found.append(Sample(name, (ids[begin:end], first), label, (text[begins : ends[end - 1]],)))
        return found

    def feeds(self, sample: Sample, card: Mapping[str, Any]) -> list[Feed]:
        """The window's tokens."""
        return [texts.feed_of(card, sample.raw[0])]

    def answer(
        self,
        sample: Sample,
        outputs: Sequence[Mapping[str, np.ndarray]],
        feeds: Sequence[Feed],
        card: Mapping[str, Any],
    ) -> float:
        """The sum of the losses of the tokens that count, computed in float64."""
        ids, first = sample.raw
        logits = output(outputs[0], card, "logits", 0)[0, first - 1 : len(ids) - 1].astype(np.float64)
        top = logits.max(axis=-1, keepdims=True)
        normaliser = np.log(np.exp(logits - top).sum(axis=-1)) + top[:, 0]
        return float((normaliser - logits[np.arange(len(logits)), ids[first:]]).sum())

    def scores(self, samples: Sequence[Sample], answers: Sequence[Any]) -> Scores:
        """Perplexity of a token and bits of a character, over the whole text."""
        tokens, characters = (
            np.asarray([sample.label[name] for sample in samples], np.float64) for name in ("tokens", "characters")
        )
        losses = np.asarray(answers, np.float64)
        metrics = {
            "perplexity": quotient_of(losses, tokens, np.exp),
            "bits_per_character": quotient_of(losses / np.log(2), characters),
        }
        return Scores(metrics, [float(loss) for loss in losses / tokens])

    def changed(self, original: Any, port: Any) -> bool:
        """Whether the loss for each token moved by more than a hundredth."""
        return bool(abs(original - port) > MOVED)


TASK = LanguageModelling()


def windows(tokens: int, length: int, stride: int) -> list[tuple[int, int, int]]:
    """Return (begin, first that counts counted from there, end) of each window over ``tokens`` tokens.

    Raises:
        UserError: If tokens between two windows would be left out, or no window could predict anything.
    """
    if not 1 <= stride <= length or length < 2:
        raise UserError(
            "the stride and the length of windows do not fit",
            place="card.yaml: preprocessing.stride, max_length",
            expected="1 <= stride <= max_length, and max_length of at least 2",
            got=f"stride {stride}, max_length {length}",
        )
    found, done = [], 0
    for begin in range(0, tokens, stride):
        end = min(begin + length, tokens)
        first = max(done - begin, 1)
        if begin + first < end:
            found.append((begin, first, end))
        done = end
        if end == tokens:
            break
    return found


def _file(path: Path) -> Path:
    if not path.is_dir():
        if path.is_file():
            return path
        raise UserError("the text does not exist", place=str(path), expected="a text file or a folder of WikiText")
    file = next((path / name for name in FILES if (path / name).is_file()), None)
    if file is None:
        raise UserError("the folder holds no text", place=str(path), expected=", ".join(FILES), got="none of them")
    return file


def _token(tokenizer: Any, token: str) -> int:
    index: int | None = tokenizer.token_to_id(token)
    if index is None:
        raise UserError("the tokenizer has no such token", place="card.yaml: preprocessing.prefix", got=token)
    return index
