"""Translated values: each knows its logical shape, and in which order of axes the graph holds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np

from porters.tensorflow.dims import Shape

if TYPE_CHECKING:
    import onnx_ir as ir

    from porters.tensorflow.handles import Result

# order[p] is the logical axis that the graph's value holds at axis p: (0, 3, 1, 2) for NHWC held as NCHW.
Order: TypeAlias = tuple[int, ...]


def logical(rank: int) -> Order:
    """Return the order of a value held as TensorFlow has it."""
    return tuple(range(rank))


def channels_first(rank: int) -> Order:
    """Return the order that holds a channels-last value as ONNX's convolutions want it."""
    return (0, rank - 1, *range(1, rank - 1)) if rank > 1 else logical(rank)


def permuted(items: Sequence[Any], order: Order) -> tuple[Any, ...]:
    """Return ``items`` (one for each logical axis) in the order of the value's axes."""
    return tuple(items[axis] for axis in order)


def inverse(order: Order) -> Order:
    """Return where each logical axis stands: ``inverse(order)[logical] == physical``."""
    return tuple(order.index(axis) for axis in range(len(order)))


@dataclass(eq=False)
class Tensor:
    """What every translated value has; the subclasses say where its contents are.

    Attributes:
        shape: The logical shape, as TensorFlow has it.
        dtype: The element type.
        cache: What was emitted for it already, by order.
        result: Which result of the source's graph it is, where it is one.
    """

    shape: Shape
    dtype: ir.DataType
    cache: dict[Order, ir.Value] = field(default_factory=dict, kw_only=True, repr=False)
    result: Result | None = field(default=None, kw_only=True, repr=False)

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def order(self) -> Order:
        """The order in which the value costs nothing."""
        return logical(self.rank)

    @property
    def array(self) -> np.ndarray | None:
        """The contents where they are known now (integers may be symbolic), else ``None``."""
        return None


@final
@dataclass(eq=False)
class Held(Tensor):
    """A value of the graph: computed, or an input."""

    value: ir.Value
    held_order: Order

    @property
    def order(self) -> Order:
        """The order in which the graph holds it."""
        return self.held_order


@final
@dataclass(eq=False)
class Constant(Tensor):
    """Contents known while translating; an object array holds symbolic sizes."""

    contents: np.ndarray

    @property
    def array(self) -> np.ndarray | None:
        """The contents."""
        return self.contents

    @property
    def symbolic(self) -> bool:
        """Whether some element is known only when the model runs."""
        return self.contents.dtype == object


@final
@dataclass(eq=False)
class Filled(Tensor):
    """One number in every element: where it meets a value of its shape, the number alone is enough."""

    number: np.ndarray


@final
@dataclass(eq=False)
class Weight(Tensor):
    """A variable of the model, written under its own name; ``read`` returns its contents.

    ``layout`` and ``stored`` are set when it is first used: how the weights file holds it.
    """

    name: str
    read: Callable[[], np.ndarray]
    stored: ir.Value | None = None
    layout: Order | None = None


@final
@dataclass(eq=False)
class Converted(Tensor):
    """A weight in another type: the cast follows the weight in whatever order it is written."""

    base: Weight


@final
@dataclass(eq=False)
class Reshaped(Tensor):
    """A reshape that has not been emitted: a chain of them collapses, and one that is undone costs nothing."""

    base: Tensor

    @property
    def order(self) -> Order:
        """The order in which it costs one Reshape at most."""
        found = follow_units(self.base, self.shape)
        return found if found is not None else logical(self.rank)


@final
@dataclass(eq=False)
class Complex(Tensor):
    """A complex value as its real and its imaginary part: ONNX has the type and next to no operator for it."""

    real: Tensor
    imag: Tensor

    @property
    def parts(self) -> tuple[Tensor, Tensor]:
        """Both parts."""
        return self.real, self.imag

    @staticmethod
    def of(real: Tensor, imag: Tensor) -> Complex:
        """Return the complex value of two parts of one shape."""
        return Complex(real.shape, Complex.dtype_of(real), real, imag)

    @staticmethod
    def dtype_of(part: Tensor) -> ir.DataType:
        """Return the complex type whose parts are of the type of ``part``."""
        import onnx_ir as ir

        return ir.DataType.COMPLEX128 if part.dtype == ir.DataType.DOUBLE else ir.DataType.COMPLEX64


def is_complex(dtype: np.dtype[Any] | None) -> bool:
    """Say whether TensorFlow's type is a complex one."""
    return dtype is not None and dtype.kind == "c"


def follow_units(base: Tensor, shape: Shape) -> Order | None:
    """Return the order of ``base`` seen through a reshape that only adds or removes axes of size one.

    ``None`` if the reshape does more than that.
    """
    mine = [axis for axis, dim in enumerate(shape) if dim != 1]
    theirs = [axis for axis, dim in enumerate(base.shape) if dim != 1]
    if [shape[axis] for axis in mine] != [base.shape[axis] for axis in theirs]:
        return None
    moved = [mine[theirs.index(axis)] for axis in base.order if axis in theirs]
    # Where axes of size one stand does not change the contents, so a usual order is taken if one fits.
    for usual in (logical(len(shape)), channels_first(len(shape))):
        if [axis for axis in usual if axis in mine] == moved:
            return usual
    return (*moved, *(axis for axis in range(len(shape)) if axis not in mine))
