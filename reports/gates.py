"""What a comparison holds against: which gates are set, and how much each lets pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.errors import UserError

# How much a median may grow beside its noise, and a graph in nodes: small changes of either are everyday work.
SPEED, GRAPH = 0.10, 0.05
NAMES = ("parity", "accuracy", "speed", "graph")


@dataclass(frozen=True)
class Gates:
    """The gates of a comparison.

    Attributes:
        names: Those that are set; what goes beyond a limit elsewhere is listed and breaks nothing.
        accuracy: Points (shares of right answers) or units of the metric that accuracy may fall beyond its noise;
            ``None`` where no limit was given, so that a fall without an interval cannot be judged.
        speed: Share that a median, or a modelled latency, may grow beyond its noise.
        graph: Share that the number of nodes may grow.
    """

    names: frozenset[str] = frozenset(NAMES)
    accuracy: float | None = None
    speed: float = SPEED
    graph: float = GRAPH


def parse_gates(options: Sequence[str] | None) -> Gates:
    """Return the gates that ``--gate NAME[=LIMIT]`` set; without any option all four.

    Raises:
        UserError: If a name or a limit is not understood.
    """
    if not options:
        return Gates()
    limits: dict[str, float] = {}
    names = []
    for option in options:
        name, given, limit = option.partition("=")
        if name == "none" and not given and len(options) == 1:
            return Gates(frozenset())
        if name not in NAMES or (given and name == "parity"):
            raise UserError(
                "there is no such gate",
                place="--gate",
                expected="parity, accuracy[=POINTS], speed[=PERCENT], graph[=PERCENT], or none alone",
                got=option,
            )
        names.append(name)
        if given:
            limits[name] = _limit(option, limit)
    return Gates(
        frozenset(names),
        limits["accuracy"] / 100 if "accuracy" in limits else None,
        limits.get("speed", 100 * SPEED) / 100,
        limits.get("graph", 100 * GRAPH) / 100,
    )


def _limit(option: str, text: str) -> float:
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UserError("a gate's limit is a number from 0", place="--gate", expected="such as speed=10", got=option)
    return value
