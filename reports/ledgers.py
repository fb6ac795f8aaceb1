"""Reads what an artifact says of its weights (card, ``weight-map.json``, graph) into facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports import read
from reports.port_facts import Ledger, LoneTensor, Posting

# The file that a port with a weight map leaves in the artifact; porters.foreign writes it.
WEIGHT_MAP = "weight-map"


def ledger(card: Mapping[str, Any], applied: Mapping[str, Any]) -> Ledger:
    """Return the ledger from the card's weights and, where a map was applied, its own ledger."""
    weights, back = read.mapping(card.get("weights")), read.mapping(applied.get("round_trip"))
    totals = {str(key): read.integer(value) for key, value in read.mapping(applied.get("totals")).items()}
    return Ledger(
        tensors=read.integer(weights.get("tensors")),
        elements=read.integer(weights.get("elements")),
        bytes=read.integer(weights.get("bytes")),
        map=read.text(applied.get("map")),
        totals={key: value for key, value in totals.items() if value is not None},
        postings=tuple(_posting(item) for item in read.records(applied.get("entries"))),
        dropped=_alone(applied.get("dropped")),
        initialised=_alone(applied.get("initialised")),
        identical=len(read.sequence(back.get("identical"))) if back else None,
        different=len(read.sequence(back.get("different"))) if back else None,
    )


def _posting(data: Mapping[str, Any]) -> Posting:
    exact = data.get("exact")
    return Posting(
        rule=read.plain(data.get("rule")),
        sources=_lines(data.get("sources")),
        targets=_lines(data.get("targets")),
        steps=read.texts(data.get("steps") or []),
        exact=exact if isinstance(exact, bool) else None,
    )


def _lines(value: Any) -> tuple[str, ...]:
    return tuple(read.text(item.get("name")) or "unnamed" for item in read.records(value))


def _alone(value: Any) -> tuple[LoneTensor, ...]:
    return tuple(LoneTensor(read.text(item.get("name")), read.text(item.get("reason"))) for item in read.records(value))
