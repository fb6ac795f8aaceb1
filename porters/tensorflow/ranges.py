"""Integers that stand for floats between two limits, in the arithmetic of TensorFlow's kernels, so that ties agree.

The kernels convert in two ways (quantization_utils.h): one number at a time in float64, and arrays in float32. Limits
are float32 scalars of the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from porters.tensorflow.formula import Formula

FLOAT, DOUBLE = ir.DataType.FLOAT, ir.DataType.DOUBLE
INT, LONG = ir.DataType.INT32, ir.DataType.INT64
# The largest float32 below 2**31: what the kernels clamp a float to before it becomes a 32-bit integer.
_BELOW = 2147483520.0


def half_away(x: Formula) -> Formula:
    """Round, the halves away from zero; in float64, where half of one can be added to any float32."""
    return (x.fn("Sign").cast(DOUBLE) * (x.fn("Abs").cast(DOUBLE) + 0.5).fn("Floor")).cast(x.dtype)


@dataclass(frozen=True)
class Integers:
    """What a quantised type holds.

    Attributes:
        lowest: Its smallest number.
        highest: Its largest number.
        bits: Its width.
    """

    lowest: float
    highest: float
    bits: int

    @staticmethod
    def of(dtype: ir.DataType) -> Integers:
        """Return those of an integer type."""
        limits = np.iinfo(dtype.numpy())
        return Integers(float(limits.min), float(limits.max), limits.bits)

    @property
    def half(self) -> float:
        """By how much signed numbers are moved to begin at zero."""
        return (self.highest - self.lowest + 1.0) / 2.0 if self.lowest < 0 else 0.0

    @property
    def steps(self) -> float:
        """How many numbers there are."""
        return 2.0**self.bits


@dataclass(frozen=True)
class Range:
    """What an integer type stands for.

    Attributes:
        kind: The type.
        low: The float that its smallest number is.
        high: The float that its largest number is.
    """

    kind: Integers
    low: Formula
    high: Formula

    @staticmethod
    def of(dtype: ir.DataType, low: Formula, high: Formula) -> Range:
        """Return the range of an integer type."""
        return Range(Integers.of(dtype), low, high)

    @property
    def level(self) -> Formula:
        """The distance of two neighbours, in float32."""
        return (self.high - self.low) / (self.kind.highest - self.kind.lowest)

    @property
    def _double_spread(self) -> Formula:
        """Twice the range with one step more: ONNX Runtime's optimiser takes a factor as near to one for a one."""
        steps = self.kind.steps
        return (self.high - self.low).cast(DOUBLE) * (2.0 * (steps / (steps - 1.0)))

    def unclamped(self, x: Formula) -> Formula:
        """Return the INT64 that stands for ``x``, which may lie outside of the type."""
        low, high = self.low.cast(DOUBLE), self.high
        flat = self.low.equals(high)
        scale = 2.0 * self.kind.steps / flat.where(1.0, self._double_spread)
        found = half_away(x.cast(DOUBLE) * scale) - half_away(low * scale)
        return flat.where(0.0, found).cast(LONG) + int(self.kind.lowest)

    def integer(self, x: Formula) -> Formula:
        """Return the number of the type that stands for ``x``, as INT64."""
        return self.unclamped(x).maximum(int(self.kind.lowest)).minimum(int(self.kind.highest))

    def real(self, x: Formula) -> Formula:
        """Return the float that an integer stands for, computed in float64."""
        scale = self._double_spread / (2.0 * self.kind.steps)
        flat = self.low.equals(self.high)
        narrow = flat.where(1.0, scale.cast(FLOAT))
        first = half_away(self.low / narrow) * narrow
        # TensorFlow's own integer types become a float on their way to a double.
        found = first.cast(DOUBLE) + (x.cast(FLOAT).cast(DOUBLE) - self.kind.lowest) * scale
        return flat.where(self.low, found.cast(FLOAT))

    def real_fast(self, x: Formula) -> Formula:
        """Return the float that an integer stands for, computed in float32."""
        scale = ((self.high - self.low).cast(DOUBLE) / (self.kind.steps - 1.0)).cast(FLOAT)
        flat = self.low.equals(self.high)
        first = flat.where(self.low, half_away(self.low / flat.where(1.0, scale)) * scale)
        return (first - scale * self.kind.lowest) + x.cast(FLOAT) * scale

    def integer_fast(self, x: Formula) -> Formula:
        """Return the number of the type that stands for ``x``, computed in float32, as INT64."""
        spread = (self.high - self.low).cast(DOUBLE)
        flat = spread.equals(0.0)
        scale = flat.where(0.0, (self.kind.steps - 1.0) / flat.where(1.0, spread)).cast(FLOAT)
        found = half_away(x * scale) - (half_away(self.low * scale) - self.kind.lowest)
        return found.maximum(self.kind.lowest).minimum(min(self.kind.highest, _BELOW)).cast(LONG)


def of_product(a: Range, b: Range) -> tuple[Formula, Formula]:
    """Return the limits of 32-bit integers that are products of numbers of two ranges."""
    level = a.level * b.level
    kind = Integers.of(INT)
    return level * kind.lowest, level * kind.highest


def wrapped(x: Formula, dtype: ir.DataType) -> Formula:
    """Return an INT64 in a narrower type, what does not fit going round."""
    kind = Integers.of(dtype)
    moved = (x - int(kind.lowest)).of("Mod", int(kind.steps))
    return (moved + int(kind.lowest)).cast(dtype)


def floored(x: Formula, power: int) -> Formula:
    """Return an INT64 shifted to the right by ``power`` bits, its sign staying."""
    size = 1 << power
    return (x - x.of("Mod", size)) / size
