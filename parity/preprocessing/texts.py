"""Texts to token ids as a card declares under ``preprocessing``, and to the inputs that a model has."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.catalog import package_file
from zoo.errors import UserError, missing_extra
from zoo.inputs import Feed

MAX_LENGTH = 128


def tokenizer_file(steps: Mapping[str, Any] | None) -> Path:
    """Return the tokenizer file that the card declares.

    Raises:
        UserError: If it declares none, or the file is not there.
    """
    declared = (steps or {}).get("tokenizer")
    if not declared:
        raise UserError(
            "the card declares no tokenizer", place="card.yaml: preprocessing", expected="tokenizer", got=repr(steps)
        )
    path = Path(declared) if isinstance(declared, str) else package_file(declared)
    if not path.is_file():
        raise UserError("the tokenizer file does not exist", place="card.yaml: preprocessing.tokenizer", got=str(path))
    return path


def tokenizer_of(card: Mapping[str, Any], max_length: int | None = MAX_LENGTH) -> Any:
    """Return the card's tokenizer, which cuts texts at the card's ``max_length``; ``None`` never cuts."""
    steps = card.get("preprocessing")
    return open_tokenizer(tokenizer_file(steps), max_length and int((steps or {}).get("max_length", max_length)))


@functools.cache
def open_tokenizer(file: Path, max_length: int | None, stride: int = 0, strategy: str = "longest_first") -> Any:
    """Return the tokenizer in ``file``, without padding.

    Args:
        file: What the library ``tokenizers`` wrote.
        max_length: Most tokens of a text, special ones included; ``None`` never cuts.
        stride: Tokens that a window over a long text has in common with the next.
        strategy: Which of two texts is cut (``only_second`` ...).

    Raises:
        UserError: If the file is no tokenizer of the library ``tokenizers``, or the lengths do not fit together.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise missing_extra("tokenizers", "text", "tokenising texts") from error
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise UserError("the tokenizer cannot be read", place=str(file), got=str(error)) from error
    tokenizer.no_padding()
    try:
        if max_length:
            tokenizer.enable_truncation(max_length, stride=stride, strategy=strategy)
        else:
            tokenizer.no_truncation()
    except ValueError as error:  # special tokens and stride leave no room
        raise UserError(
            "texts cannot be cut so",
            place="card.yaml: preprocessing.max_length, stride",
            got=f"max_length {max_length}, stride {stride}: {error}",
        ) from error
    return tokenizer


def encode(card: Mapping[str, Any], text: str, pair: str | None = None) -> Feed:
    """Return the feed of a text, or of a pair of texts."""
    encoding = tokenizer_of(card).encode(text, pair)
    return feed_of(card, encoding.ids, encoding.type_ids)


def feed_of(card: Mapping[str, Any], ids: Sequence[int], segments: Sequence[int] | None = None) -> Feed:
    """Return the feed of a batch of one for token ids; inputs of a fixed length are filled with padding.

    Raises:
        UserError: If the model has an input that tokens do not fill, or a length that is too short for them.
    """
    feed: Feed = {}
    steps = card.get("preprocessing") or {}
    for spec in card["inputs"]:
        length = spec["shape"][-1] if isinstance(spec["shape"][-1], int) else len(ids)
        if length < len(ids):
            raise UserError(
                "the model takes fewer tokens than the text has",
                place=f"card.yaml: inputs.{spec['name']}",
                expected=f"preprocessing.max_length of at most {length}",
                got=f"{len(ids)} tokens",
            )
        kind = _kind(spec)
        values = list(range(length)) if kind == "positions" else list(_values(spec, ids, segments))
        padding = int(steps.get("pad_id", 0)) if kind == "tokens" else 0
        feed[spec["name"]] = np.asarray([values + [padding] * (length - len(values))], spec["dtype"])
    return feed


def _kind(spec: Mapping[str, Any]) -> str:
    by_name = {
        "attention_mask": "mask",
        "token_type_ids": "segments",
        "input_ids": "tokens",
        "position_ids": "positions",
    }
    return by_name.get(spec["name"]) or str(spec.get("kind", ""))


def _values(spec: Mapping[str, Any], ids: Sequence[int], segments: Sequence[int] | None) -> Sequence[int]:
    kind = _kind(spec)
    if kind == "tokens":
        return ids
    if kind == "mask":
        return [1] * len(ids)
    if kind == "segments":
        return segments or [0] * len(ids)
    raise UserError(
        "an input of the model is not filled by tokens",
        place=f"card.yaml: inputs.{spec['name']}",
        expected="input_ids, attention_mask, token_type_ids or position_ids, by name or kind",
        got=kind or spec["name"],
    )
