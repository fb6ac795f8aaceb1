"""The round-trip proof: the written file goes back through the plan and is held against the source, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from weight_maps.engine import run
from weight_maps.ledger import Journal, RoundTrip
from weight_maps.rules.rule import NoInverseError
from weight_maps.tensors import sha256_of

if TYPE_CHECKING:
    from weight_maps.checkpoint import Checkpoint
    from weight_maps.plan import Plan


def round_trip(
    written: Checkpoint, plan: Plan, journal: Journal, progress: Callable[[str], None] = lambda name: None
) -> RoundTrip:
    """Go back from a written checkpoint and compare with the fingerprints of the source.

    Args:
        written: The checkpoint, read from the file that was written.
        plan: The plan that made it.
        journal: Fingerprints of what was read and of what was made.
        progress: Hears the rule of each entry.
    """
    identical: list[str] = []
    different: list[str] = []
    expected: list[str] = []
    damaged: list[str] = []
    one_way: dict[str, str] = {}
    for entry in plan.entries:
        progress(entry.rule)
        arrays = [written.read(name) for name in entry.targets]
        damaged += [
            name for name, array in zip(entry.targets, arrays, strict=True) if sha256_of(array) != journal.targets[name]
        ]
        try:
            back = entry.inverse()
        except NoInverseError as error:
            one_way |= dict.fromkeys(entry.sources, str(error))
            continue
        for name, array in zip(entry.sources, run(back, arrays), strict=True):
            same = sha256_of(array) == journal.sources[name]
            (identical if same else different).append(name)
            expected += [] if entry.exact else [name]
    for alone in (alone for alone in plan.initialised if alone.made):
        damaged += [alone.name] if sha256_of(written.read(alone.name)) != journal.targets[alone.name] else []
    not_back = [alone.name for alone in plan.dropped if not alone.made]
    return RoundTrip(identical, different, expected, one_way, not_back, damaged)
