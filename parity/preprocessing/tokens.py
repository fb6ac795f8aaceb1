"""Tokenisation beside the original's own: normalisation, splitting, ids, special tokens, cutting, segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parity.preprocessing import texts

# (step, max_abs, verdict, card, original)
Found = tuple[str, float, str, str, str]


def compare_texts(card: Mapping[str, Any], original: Any, samples: Sequence[tuple[str, ...]]) -> list[Found]:
    """Compare the card's tokenizer with a transformers tokenizer on samples of one or two texts, step by step.

    Every step sees what the original's step before it made, where the library lets one step run alone.
    """
    whole = texts.tokenizer_of(card, None)
    length = int((card.get("preprocessing") or {}).get("max_length", texts.MAX_LENGTH))
    cut = texts.tokenizer_of(card)
    alone = [text for sample in samples for text in sample]
    steps = [*_before_tokens(whole, original, alone)]
    pairs = [
        (whole.encode(text, add_special_tokens=False).ids, original.encode(text, add_special_tokens=False))
        for text in alone
    ]
    steps.append(_worst("tokens", pairs))
    ours, theirs = [whole.encode(*sample) for sample in samples], [original(*sample) for sample in samples]
    steps.append(_worst("special tokens", _ids(ours, theirs)))
    shortened = [original(*sample, truncation=True, max_length=length) for sample in samples]
    short = [cut.encode(*sample) for sample in samples]
    steps.append(_truncation(_ids(short, shortened), length, original))
    segments = [
        (mine.type_ids, made["token_type_ids"])
        for mine, made in zip(short, shortened, strict=True)
        if "token_type_ids" in made
    ]
    return [*steps, _worst("segments", segments)] if segments else steps


def _before_tokens(whole: Any, original: Any, alone: Sequence[str]) -> list[Found]:
    """Compare what comes before tokens, where both sides show it: only a tokenizer of the library does."""
    backend = getattr(original, "backend_tokenizer", None)
    if backend is None:
        return []
    ours, theirs = [[_normalised(side, text) for text in alone] for side in (whole, backend)]
    found = [_same("normalise", list(zip(ours, theirs, strict=True)))]
    if whole.pre_tokenizer is not None and backend.pre_tokenizer is not None:
        split = [[_words(side, text) for text in theirs] for side in (whole, backend)]
        found.append(_same("split", list(zip(*split, strict=True))))
    return found


def _normalised(tokenizer: Any, text: str) -> str:
    return str(tokenizer.normalizer.normalize_str(text)) if tokenizer.normalizer is not None else text


def _words(tokenizer: Any, text: str) -> list[str]:
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def _ids(ours: Sequence[Any], theirs: Sequence[Any]) -> list[tuple[Sequence[int], Sequence[int]]]:
    return [(mine.ids, made["input_ids"]) for mine, made in zip(ours, theirs, strict=True)]


def _truncation(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], length: int, original: Any) -> Found:
    limit = int(original.model_max_length)
    if length > limit:
        return "truncation", float("inf"), "fail", f"up to {length} tokens", f"up to {limit} tokens"
    return _worst("truncation", pairs)


def _worst(step: str, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Found:
    """Return the largest difference of ids; infinite where there are more or fewer of them."""
    largest, shown = 0.0, ("", "")
    for mine, theirs in pairs:
        apart = (
            max((float(abs(a - b)) for a, b in zip(mine, theirs, strict=True)), default=0.0)
            if len(mine) == len(theirs)
            else float("inf")
        )
        if apart > largest:
            largest, shown = apart, (_start(mine), _start(theirs))
    return step, largest, "fail" if largest else "pass", *shown


def _same(step: str, pairs: Sequence[tuple[Any, Any]]) -> Found:
    other = next(((str(a)[:80], str(b)[:80]) for a, b in pairs if a != b), None)
    return (step, float("inf"), "fail", *other) if other else (step, 0.0, "pass", "", "")


def _start(ids: Sequence[int]) -> str:
    return " ".join(map(str, ids[:12])) + (" ..." if len(ids) > 12 else "")
