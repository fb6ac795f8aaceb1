"""Rules that make one tensor of several, several of one, or a part of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from weight_maps.rules.rule import MisfitError, NoInverseError, axis_of, only

if TYPE_CHECKING:
    import numpy as np

    from weight_maps.tensors import Spec


@dataclass(frozen=True)
class Concat:
    """Joins tensors along an axis, in the order in which the rule names them.

    Attributes:
        axis: The axis.
        sizes: The size of each along the axis, where the map says it.
        count: How many there are, where it is known.
    """

    axis: int
    sizes: tuple[int, ...] | None = None
    count: int | None = None

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the spec of the tensor joined."""
        axis = axis_of(given[0], self.axis, "concat")
        rest = {(spec.dtype, spec.shape[:axis], spec.shape[axis + 1 :]) for spec in given}
        if len(rest) > 1:
            raise MisfitError(f"concat joins along axis {self.axis} what differs elsewhere: {_listed(given)}")
        sizes = tuple(spec.shape[axis] for spec in given)
        if self.sizes is not None and sizes != self.sizes:
            raise MisfitError(f"concat joins the sizes {list(self.sizes)}, got {list(sizes)}")
        shape = given[0].shape
        return [replace(given[0], shape=(*shape[:axis], sum(sizes), *shape[axis + 1 :]))]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the arrays joined."""
        import numpy as np

        return [np.concatenate(arrays, self.axis)]

    def inverse(self, given: Sequence[Spec] | None) -> Split:
        """Return the split at the same places; without shapes the parts are taken for equal."""
        if given is not None:
            return Split(self.axis, tuple(spec.shape[axis_of(spec, self.axis, "concat")] for spec in given))
        if self.sizes is None and self.count is None:
            raise NoInverseError("how many tensors were joined is not known")
        return Split(self.axis, self.sizes, None if self.sizes else self.count)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost."""
        return True


@dataclass(frozen=True)
class Split:
    """Cuts a tensor along an axis.

    Attributes:
        axis: The axis.
        sizes: The size of each part.
        parts: How many equal parts, where the sizes are not given.
    """

    axis: int
    sizes: tuple[int, ...] | None = None
    parts: int | None = None

    def _sizes(self, spec: Spec) -> tuple[int, ...]:
        whole = spec.shape[axis_of(spec, self.axis, "split")]
        if self.sizes is None:
            parts = self.parts or 0
            if parts < 1 or whole % parts:
                raise MisfitError(f"split cuts axis {self.axis} into {parts} equal parts, the tensor is {spec}")
            return (whole // parts,) * parts
        if sum(self.sizes) != whole:
            raise MisfitError(f"split cuts axis {self.axis} into {list(self.sizes)}, the tensor is {spec}")
        return self.sizes

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the specs of the parts."""
        spec = only(given, "split")
        axis = axis_of(spec, self.axis, "split")
        return [replace(spec, shape=(*spec.shape[:axis], size, *spec.shape[axis + 1 :])) for size in self._sizes(spec)]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the parts."""
        import numpy as np

        from weight_maps.tensors import spec_of

        ends = list(accumulate(self._sizes(spec_of(arrays[0]))))
        return list(np.split(arrays[0], ends[:-1], self.axis))

    def inverse(self, given: Sequence[Spec] | None) -> Concat:
        """Return the rule that joins the parts."""
        return Concat(self.axis, self.sizes, self.parts)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost."""
        return True


@dataclass(frozen=True)
class Stack:
    """Makes one tensor of equal ones along a new axis."""

    axis: int = 0

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the spec of the tensor with the new axis."""
        if len(set(given)) > 1:
            raise MisfitError(f"stack takes tensors of one shape and dtype, got {_listed(given)}")
        shape = list(given[0].shape)
        shape.insert(self.axis % (len(shape) + 1), len(given))
        return [replace(given[0], shape=tuple(shape))]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the arrays stacked."""
        import numpy as np

        return [np.stack(arrays, self.axis)]

    def inverse(self, given: Sequence[Spec] | None) -> Unstack:
        """Return the rule that takes them apart."""
        return Unstack(self.axis)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost."""
        return True


@dataclass(frozen=True)
class Unstack:
    """Takes a tensor apart along an axis, which goes away."""

    axis: int = 0

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the spec of each part."""
        spec = only(given, "unstack")
        axis = axis_of(spec, self.axis, "unstack")
        return [replace(spec, shape=spec.shape[:axis] + spec.shape[axis + 1 :])] * spec.shape[axis]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the parts."""
        import numpy as np

        return list(np.moveaxis(arrays[0], self.axis, 0))

    def inverse(self, given: Sequence[Spec] | None) -> Stack:
        """Return the rule that stacks them again."""
        return Stack(self.axis)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost."""
        return True


@dataclass(frozen=True)
class Copy:
    """One tensor under several names: tied weights of a naming that writes both."""

    count: int

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the operand's spec, once for each name."""
        return [only(given, "copy")] * self.count

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the array, once for each name."""
        return [arrays[0]] * self.count

    def inverse(self, given: Sequence[Spec] | None) -> Same:
        """Return the rule that makes one of them, if they are equal."""
        return Same(self.count)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost."""
        return True


@dataclass(frozen=True)
class Same:
    """Several names of one tensor become one; what differs is refused."""

    count: int

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the spec of the one tensor."""
        if len(given) != self.count or len(set(given)) > 1:
            raise MisfitError(f"same takes {self.count} equal tensors, got {_listed(given)}")
        return [given[0]]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the one array.

        Raises:
            MisfitError: If they differ in any bit.
        """
        from weight_maps.tensors import same_bits

        if not all(same_bits(arrays[0], array) for array in arrays[1:]):
            raise MisfitError("same takes tensors that are equal to the bit, these differ")
        return [arrays[0]]

    def inverse(self, given: Sequence[Spec] | None) -> Copy:
        """Return the rule that writes it under every name."""
        return Copy(self.count)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost."""
        return True


@dataclass(frozen=True)
class Slice:
    """Keeps the part of a tensor from ``start`` to ``stop`` along an axis."""

    axis: int
    start: int
    stop: int

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the spec of the part."""
        spec = only(given, "slice")
        axis = axis_of(spec, self.axis, "slice")
        if not 0 <= self.start < self.stop <= spec.shape[axis]:
            raise MisfitError(f"slice keeps {self.start} to {self.stop} of axis {self.axis}, the tensor is {spec}")
        return [replace(spec, shape=(*spec.shape[:axis], self.stop - self.start, *spec.shape[axis + 1 :]))]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the part."""
        import numpy as np

        return [np.take(arrays[0], range(self.start, self.stop), self.axis)]

    def inverse(self, given: Sequence[Spec] | None) -> Slice:
        """Say that there is none, unless nothing was cut off."""
        if given is not None:
            spec = only(given, "slice")
            if (self.start, self.stop) == (0, spec.shape[axis_of(spec, self.axis, "slice")]):
                return self
        raise NoInverseError("what a slice cuts off is gone; `pad` on the other side says what stood there")

    def exact(self, given: Sequence[Spec]) -> bool:
        """What is cut off is gone."""
        return False


@dataclass(frozen=True)
class Pad:
    """Adds a constant before and after a tensor along an axis (rows of an embedding that is made larger)."""

    axis: int
    before: int
    after: int
    value: float = 0.0

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the spec of the larger tensor."""
        spec = only(given, "pad")
        axis = axis_of(spec, self.axis, "pad")
        size = self.before + spec.shape[axis] + self.after
        return [replace(spec, shape=(*spec.shape[:axis], size, *spec.shape[axis + 1 :]))]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the larger array."""
        import numpy as np

        widths = [(0, 0)] * arrays[0].ndim
        widths[self.axis] = (self.before, self.after)
        return [np.pad(arrays[0], widths, constant_values=self.value)]

    def inverse(self, given: Sequence[Spec] | None) -> Unpad:
        """Return the rule that takes the constant away."""
        return Unpad(self.axis, self.before, self.after, self.value)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost."""
        return True


@dataclass(frozen=True)
class Unpad:
    """Takes a constant away from both ends of an axis; anything else that stands there is refused."""

    axis: int
    before: int
    after: int
    value: float = 0.0

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the spec of the smaller tensor."""
        spec = only(given, "unpad")
        axis = axis_of(spec, self.axis, "unpad")
        size = spec.shape[axis] - self.before - self.after
        if size < 1:
            raise MisfitError(f"unpad takes {self.before} and {self.after} off axis {self.axis}, the tensor is {spec}")
        return [replace(spec, shape=(*spec.shape[:axis], size, *spec.shape[axis + 1 :]))]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the smaller array.

        Raises:
            MisfitError: If what is taken away is not the constant.
        """
        import numpy as np

        from weight_maps.tensors import same_bits

        end = arrays[0].shape[self.axis] - self.after
        ends = [*range(self.before), *range(end, arrays[0].shape[self.axis])]
        taken = np.take(arrays[0], ends, self.axis)
        if not same_bits(taken, np.full_like(taken, self.value)):
            raise MisfitError(f"unpad takes {self.value} away, something else stands there")
        return [np.take(arrays[0], range(self.before, end), self.axis)]

    def inverse(self, given: Sequence[Spec] | None) -> Pad:
        """Return the rule that adds the constant again."""
        return Pad(self.axis, self.before, self.after, self.value)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost: what is taken away is the constant to the bit."""
        return True


def _listed(given: Sequence[Spec]) -> str:
    return ", ".join(str(spec) for spec in given[:6])
