"""Finds what others measured of a model on a chip, for models that are exactly the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from reports import read
from reports.facts import PublishedRate

if TYPE_CHECKING:
    from zoo.ascend.published import Row
    from zoo.inputs import InputSpec


def published_rates(card: Mapping[str, Any], chip: str) -> tuple[PublishedRate, ...]:
    """Return the published throughputs on ``chip`` of the model that ``card`` describes, by source and batch.

    Only where the card's source reference and input signature are those of an entry of ``zoo.ascend.published`` whose
    agreement with the published model is ``exact``. Entries with a configuration of their own are left out: a card does
    not say which configuration its reference was built with.
    """
    from zoo.ascend.published import mapped

    reference = read.text(read.mapping(card.get("source")).get("reference"))
    inputs = read.records(card.get("inputs"))
    entries = {
        entry.key
        for entry in mapped()
        if entry.agreement == "exact"
        and entry.config is None
        and entry.source == reference
        and _same(inputs, entry.inputs)
    }
    if not entries:
        return ()
    fixed = _fixed_batch(inputs)
    found = [_rate(row) for row, key in _covered(chip) if key in entries]
    kept = [rate for rate in found if fixed is None or rate.batch == fixed]
    return tuple(sorted(kept, key=lambda rate: (rate.source, rate.model, rate.options, rate.batch)))


@cache
def _covered(chip: str) -> tuple[tuple[Row, str], ...]:
    """Return the usable rows of a chip with the entry that each belongs to; looked up once for all models."""
    from zoo.ascend.published import covering, usable

    return tuple((row, entry.key) for row in usable(chip) if (entry := covering(row)) is not None)


def _rate(row: Row) -> PublishedRate:
    assert row.batch is not None
    assert row.samples_per_s is not None
    # Options of ATC that change the rate.
    options = {"AIPP": row.aipp, "enable_small_channel": row.small_channel}
    return PublishedRate(
        label="published",
        model=row.model,
        batch=row.batch,
        throughput=row.samples_per_s,
        precision=row.precision,
        options=", ".join(name for name, used in options.items() if used),
        source=row.source,
    )


def _same(inputs: Sequence[Mapping[str, Any]], wanted: Sequence[InputSpec]) -> bool:
    """Say whether the card's inputs have these types and shapes; a symbolic size may be fixed in the card."""
    if len(inputs) != len(wanted):
        return False
    return all(
        item.get("dtype") == spec.dtype and _fits(item.get("shape"), spec.shape)
        for item, spec in zip(inputs, wanted, strict=True)
    )


def _fits(shape: Any, wanted: Sequence[int | str]) -> bool:
    if not isinstance(shape, list) or len(shape) != len(wanted):
        return False
    return all(
        size == want or (isinstance(want, str) and isinstance(size, int))
        for size, want in zip(shape, wanted, strict=True)
    )


def _fixed_batch(inputs: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the batch of a card whose batch is fixed: rates at other batches are of other graphs."""
    first = inputs[0]["shape"][0]
    return first if isinstance(first, int) else None
