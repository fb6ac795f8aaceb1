"""The record of what one operator loses to a chip's precision."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OperatorLoss:
    """What one operator makes of the values it gets on the chip, against the same operator in float64 on those values.

    Attributes:
        node: The node's name.
        op: Its operator in the port.
        module: The module of the source that it comes from.
        line: The line of the source.
        precision: What it computes in.
        loss: ``||y - t|| / ||t||`` over its results, 1 where an overflow leaves nothing finite to compare.
        overflows: How many elements are finite in float64 and beyond the format.
        elements: How many there are.
    """

    node: str
    op: str
    module: str
    line: str
    precision: str
    loss: float
    overflows: int
    elements: int
