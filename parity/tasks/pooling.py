"""From a model's hidden states to one embedding, as a card declares under ``preprocessing.pooling``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from parity.tasks.outputs import declared, output
from zoo.errors import UserError
from zoo.inputs import Feed

POOLINGS = ("mean", "cls", "max", "last", "none")


def pooled(outputs: Mapping[str, np.ndarray], feed: Feed, card: Mapping[str, Any]) -> np.ndarray:
    """Return the embedding of one text or image, float64 [width].

    ``pooling`` says how hidden states [1, tokens, width] become one: their mean (the default), maximum, first (cls) or
    last over the tokens that are no padding. An output [1, width] is the embedding as it is.

    Raises:
        UserError: If the pooling is unknown, or the output has another rank.
    """
    hidden = output(outputs, card, "embedding", 0).astype(np.float64)
    kind = declared(card).get("pooling") or (card.get("preprocessing") or {}).get("pooling", "mean")
    if kind not in POOLINGS:
        raise UserError("the pooling is unknown", place="card.yaml", expected=", ".join(POOLINGS), got=kind)
    if hidden.ndim == 2 or kind == "none":
        flat: np.ndarray = hidden[0].ravel()
        return flat
    if hidden.ndim != 3:
        raise UserError(
            "the output is no embedding",
            place="card.yaml: postprocessing.outputs.embedding",
            expected="[batch, width] or [batch, tokens, width]",
            got=str(list(hidden.shape)),
        )
    mask = feed["attention_mask"][0].astype(bool) if "attention_mask" in feed else np.ones(hidden.shape[1], bool)
    tokens = hidden[0][mask]
    picked: Mapping[str, Any] = {"cls": tokens[0], "last": tokens[-1], "max": tokens.max(axis=0)}
    embedding: np.ndarray = tokens.mean(axis=0) if kind == "mean" else picked[kind]
    return embedding
