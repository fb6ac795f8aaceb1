"""The ledger: what became of every tensor, with fingerprints before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from weight_maps.plan import Alone, Entry
from weight_maps.tensors import Spec
from zoo.record import to_json


@dataclass(frozen=True)
class Line:
    """One tensor as it was read or written.

    Attributes:
        name: Its name.
        shape: Sizes of its axes.
        dtype: Its dtype.
        sha256: Of its elements.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    sha256: str

    @classmethod
    def of(cls, name: str, spec: Spec, sha256: str) -> Line:
        """Return the line of a tensor."""
        return cls(name, spec.shape, spec.dtype, sha256)


@dataclass(frozen=True)
class Posting:
    """One rule at work.

    Attributes:
        rule: The rule.
        sources: What it took.
        targets: What it made.
        steps: What it did.
        exact: Whether the way back restores every bit.
        one_way: Why there is no way back, empty where there is one.
    """

    rule: str
    sources: Sequence[Line]
    targets: Sequence[Line]
    steps: Sequence[str]
    exact: bool
    one_way: str = ""


@dataclass(frozen=True)
class LonePosting:
    """A tensor on one side alone: dropped from the source, or initialised in the target."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    sha256: str
    reason: str

    @classmethod
    def of(cls, alone: Alone, sha256: str) -> LonePosting:
        """Return the posting of a tensor."""
        return cls(alone.name, alone.spec.shape, alone.spec.dtype, sha256, alone.reason)


@dataclass(frozen=True)
class RoundTrip:
    """What the way back over the written file gave.

    Attributes:
        identical: Source tensors that came back to the bit.
        different: Source tensors that came back otherwise.
        expected_different: Those of them whose rule says that bits are lost.
        one_way: Source tensors whose rule has no inverse -> why.
        not_back: Source tensors that were dropped and are not remade.
        damaged: Target tensors whose bytes in the file are not those that were computed.
    """

    identical: Sequence[str]
    different: Sequence[str]
    expected_different: Sequence[str]
    one_way: Mapping[str, str]
    not_back: Sequence[str]
    damaged: Sequence[str]

    @property
    def holds(self) -> bool:
        """Whether everything that should come back to the bit did, and the file is what was computed."""
        return not self.damaged and set(self.different) <= set(self.expected_different)


@dataclass(frozen=True)
class Ledger:
    """The whole account of one application of a map.

    Attributes:
        map: Name of the map.
        map_sha256: Fingerprint of its file.
        parameters: Values of its parameters.
        source: The file that was read.
        against_target: Whether names, shapes and dtypes were held against those of a target.
        entries: Every rule at work.
        dropped: What the source had alone.
        initialised: What the target has alone.
        round_trip: The way back, ``None`` where it was not gone.
    """

    map: str
    map_sha256: str
    parameters: Mapping[str, Any]
    source: str
    against_target: bool
    entries: Sequence[Posting] = ()
    dropped: Sequence[LonePosting] = ()
    initialised: Sequence[LonePosting] = ()
    round_trip: RoundTrip | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, with the totals."""
        data: dict[str, Any] = to_json(self)
        data["totals"] = {
            "consumed": sum(len(entry.sources) for entry in self.entries),
            "produced": sum(len(entry.targets) for entry in self.entries),
            "dropped": len(self.dropped),
            "initialised": len(self.initialised),
        }
        return data


@dataclass
class Journal:
    """Fingerprints as they come in.

    Attributes:
        sources: sha256 of each source tensor that was read.
        targets: sha256 of each target tensor that was made.
    """

    sources: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)

    def posting(self, entry: Entry, one_way: str) -> Posting:
        """Return the posting of an entry whose tensors all came in."""
        return Posting(
            entry.rule,
            [Line.of(n, spec, self.sources[n]) for n, spec in zip(entry.sources, entry.given, strict=True)],
            [Line.of(n, spec, self.targets[n]) for n, spec in zip(entry.targets, entry.made, strict=True)],
            [str(step) for step in entry.steps],
            not one_way and entry.exact,
            one_way,
        )
