"""The facts of a port itself: its graph, its weights and their ledger, and what single operators lose on a chip."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tensor:
    """One weight as the artifact holds it, under its upstream name."""

    name: str
    dtype: str | None
    shape: str | None


@dataclass(frozen=True)
class Graph:
    """The graph as it stands in the artifact.

    Attributes:
        operators: How many nodes of each operator.
        tensors: The weights.
    """

    operators: dict[str, int] = field(default_factory=dict)
    tensors: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Posting:
    """One rule of a weight map at work: what it took, what it made, and whether the way back restores every bit."""

    rule: str | None
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    steps: tuple[str, ...]
    exact: bool | None


@dataclass(frozen=True)
class LoneTensor:
    """A tensor that one side has alone, and why."""

    name: str | None
    reason: str | None


@dataclass(frozen=True)
class Ledger:
    """What became of every weight.

    Attributes:
        tensors: How many there are.
        elements: Their elements.
        bytes: Their bytes.
        map: The weight map that carried them over, ``None`` where upstream's own names were kept.
        totals: Tensors by what became of them (``consumed``, ``produced``, ``dropped``, ``initialised``).
        postings: Every rule at work.
        dropped: What the source had alone.
        initialised: What the target has alone.
        identical: Source tensors that came back to the bit on the way back.
        different: Source tensors that came back otherwise.
    """

    tensors: int | None = None
    elements: int | None = None
    bytes: int | None = None
    map: str | None = None
    totals: dict[str, int] = field(default_factory=dict)
    postings: tuple[Posting, ...] = ()
    dropped: tuple[LoneTensor, ...] = ()
    initialised: tuple[LoneTensor, ...] = ()
    identical: int | None = None
    different: int | None = None


@dataclass(frozen=True)
class OperatorLoss:
    """What one operator loses in a chip's precision, on the values it gets there.

    Attributes:
        node: Its node.
        op: Its type.
        module: Module of the original.
        line: Line of the original.
        precision: What it is computed in.
        loss: Relative L2 error of its own.
        overflows: Elements that left the range.
    """

    node: str | None
    op: str | None
    module: str | None
    line: str | None
    precision: str | None
    loss: float | None
    overflows: int | None


@dataclass(frozen=True)
class PrecisionSearch:
    """Which operators have to stay in float32; every figure is of an emulated run.

    Attributes:
        mode: The precision mode that was searched.
        metric: ``error`` or ``loss``.
        limit: Most that it may be.
        before: What it is with nothing kept.
        after: What it is with ``keep``.
        holds: Whether that is within the limit.
        operators: How many operators the mode lowers.
        keep: The operators to keep, as ``node (type)``.
    """

    mode: str | None
    metric: str | None
    limit: float | None
    before: float | None
    after: float | None
    holds: bool | None
    operators: int | None
    keep: tuple[str, ...]
