"""One difference between two reports."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["regression", "improvement", "change"]


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        gate: What it is of: ``parity``, ``accuracy``, ``speed`` or ``graph``.
        model: The model.
        subject: What of the model.
        old: What it was.
        new: What it is.
        kind: ``regression`` where it is worse beyond noise and limit, ``improvement``, else ``change``.
        why: What else is known of it.
        breaks: Whether a gate that is set breaks.
    """

    gate: str
    model: str
    subject: str
    old: str
    new: str
    kind: Kind
    why: str = ""
    breaks: bool = False

    def broken(self, gates: Collection[str]) -> Change:
        """Return it as judged by the gates that are set."""
        return replace(self, breaks=self.kind == "regression" and self.gate in gates)
