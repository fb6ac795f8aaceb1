"""Rules on the axes of a tensor: transpose and permute, reshape, squeeze, and the order of elements along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weight_maps.rules.rule import MisfitError, NoInverseError, Rule, axis_of, divided, only

if TYPE_CHECKING:
    import numpy as np

    from weight_maps.tensors import Spec


@dataclass(frozen=True)
class Permute:
    """Puts the axes of each tensor into another order; without an order they are reversed (a matrix's transpose)."""

    order: tuple[int, ...] | None = None

    def _order(self, rank: int) -> tuple[int, ...]:
        order = self.order or tuple(reversed(range(rank)))
        if sorted(order) != list(range(rank)):
            raise MisfitError(f"permute orders the axes {list(order)}, the tensor has {rank}")
        return order

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the operands' specs with their axes in the other order."""
        return [replace(spec, shape=tuple(spec.shape[axis] for axis in self._order(len(spec.shape)))) for spec in given]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return each array with its axes in the other order."""
        return [array.transpose(self._order(array.ndim)) for array in arrays]

    def inverse(self, given: Sequence[Spec] | None) -> Permute:
        """Return the permutation that brings the axes back."""
        if self.order is None:
            return self
        return Permute(tuple(self.order.index(axis) for axis in range(len(self.order))))

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost: elements move."""
        return True


@dataclass(frozen=True)
class Reshape:
    """Gives a tensor another shape; the order of its elements stays.

    Attributes:
        to: The new shape; one size may be -1.
        back: The old shape, where the map says it.
    """

    to: tuple[int, ...]
    back: tuple[int, ...] | None = None

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the operand's spec with the new shape."""
        spec = only(given, "reshape")
        return [replace(spec, shape=tuple(divided(spec.elements, self.to, "reshape")))]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the array in the new shape."""
        return [arrays[0].reshape(self.to)]

    def inverse(self, given: Sequence[Spec] | None) -> Reshape:
        """Return the reshape into the old shape."""
        back = only(given, "reshape").shape if given else self.back
        if back is None:
            raise NoInverseError("the shape before the reshape is not known; say it in the map as `from:`")
        return Reshape(back, self.to)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost: elements stay in order."""
        return True


@dataclass(frozen=True)
class Squeeze:
    """Takes an axis of size 1 away."""

    axis: int

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the operand's spec without the axis."""
        spec = only(given, "squeeze")
        axis = axis_of(spec, self.axis, "squeeze")
        if spec.shape[axis] != 1:
            raise MisfitError(f"squeeze takes axis {self.axis} of size 1 away, the tensor is {spec}")
        return [replace(spec, shape=spec.shape[:axis] + spec.shape[axis + 1 :])]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the array without the axis."""
        return [arrays[0].squeeze(self.axis)]

    def inverse(self, given: Sequence[Spec] | None) -> Unsqueeze:
        """Return the rule that puts the axis back."""
        return Unsqueeze(self.axis)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost."""
        return True


@dataclass(frozen=True)
class Unsqueeze:
    """Puts an axis of size 1 in."""

    axis: int

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the operand's spec with the axis."""
        spec = only(given, "unsqueeze")
        rank = len(spec.shape) + 1
        if not -rank <= self.axis < rank:
            raise MisfitError(f"unsqueeze puts axis {self.axis} in, the tensor is {spec}")
        axis = self.axis % rank
        return [replace(spec, shape=(*spec.shape[:axis], 1, *spec.shape[axis:]))]

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the array with the axis."""
        import numpy as np

        return [np.expand_dims(arrays[0], self.axis)]

    def inverse(self, given: Sequence[Spec] | None) -> Squeeze:
        """Return the rule that takes the axis away again."""
        return Squeeze(self.axis)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost."""
        return True


@dataclass(frozen=True)
class Reorder:
    """Reads one axis as a block of several, puts those into another order, and makes one axis of them again.

    This is what a rotary embedding's halves and pairs, interleaved and stacked q/k/v, and a dense layer behind a
    flatten of (height, width, channels) instead of (channels, height, width) differ by.

    Attributes:
        axis: The axis.
        sizes: The sizes of the axes in it, slowest first; one may be -1.
        order: Their order in the result.
        name: The rule's name in maps, for messages.
    """

    axis: int
    sizes: tuple[int, ...]
    order: tuple[int, ...]
    name: str = "reorder"

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the operands' specs: shapes stay."""
        if sorted(self.order) != list(range(len(self.sizes))):
            raise MisfitError(f"{self.name} orders {list(self.order)} axes, it has {len(self.sizes)}")
        for spec in given:
            divided(spec.shape[axis_of(spec, self.axis, self.name)], self.sizes, self.name)
        return list(given)

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return each array with its axis in the other order."""
        return [self._apply(array) for array in arrays]

    def _apply(self, array: np.ndarray) -> np.ndarray:
        axis = self.axis % array.ndim
        sizes = divided(array.shape[axis], self.sizes, self.name)
        before, after = array.shape[:axis], array.shape[axis + 1 :]
        front, back = len(before), len(before) + len(sizes)
        order = (*range(front), *(front + item for item in self.order), *range(back, back + len(after)))
        return array.reshape(*before, *sizes, *after).transpose(order).reshape(array.shape)

    def inverse(self, given: Sequence[Spec] | None) -> Rule:
        """Return the reordering that brings the elements back."""
        sizes = tuple(self.sizes[item] for item in self.order)
        return Reorder(self.axis, sizes, tuple(self.order.index(item) for item in range(len(self.order))), self.name)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost: elements move."""
        return True


@dataclass(frozen=True)
class Gates:
    """Puts the blocks of a recurrent layer's gates along one axis into another order.

    Attributes:
        axis: The axis along which the gates stand.
        before: A letter for each gate in the source's order, such as ``ifco``.
        after: The same letters in the target's order.
    """

    axis: int
    before: str
    after: str

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return the operands' specs: shapes stay."""
        if sorted(self.before) != sorted(self.after) or len(set(self.before)) < len(self.before):
            raise MisfitError(f"gates go from {self.before!r} to {self.after!r}, which are not the same letters")
        for spec in given:
            divided(spec.shape[axis_of(spec, self.axis, "gates")], (len(self.before), -1), "gates")
        return list(given)

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return each array with its gates in the other order."""
        import numpy as np

        order = [self.before.index(gate) for gate in self.after]
        return [
            np.concatenate([np.split(array, len(order), self.axis)[gate] for gate in order], self.axis)
            for array in arrays
        ]

    def inverse(self, given: Sequence[Spec] | None) -> Gates:
        """Return the rule with both orders changed over."""
        return Gates(self.axis, self.after, self.before)

    def exact(self, given: Sequence[Spec]) -> bool:
        """Nothing is lost: blocks move."""
        return True


def flatten_order(axis: int, before: str, sizes: dict[str, int], after: str) -> Reorder:
    """Return the rule for a dense layer behind a flatten whose axes stand in another order, ``hwc`` to ``chw``.

    Args:
        axis: The dense layer's axis of inputs.
        before: A letter for each flattened axis in the source's order.
        sizes: The size of each letter; one may be -1.
        after: The same letters in the target's order.
    """
    return Reorder(
        axis, tuple(sizes[letter] for letter in before), tuple(before.index(letter) for letter in after), "flatten"
    )


def rope(axis: int, heads: int, before: str) -> Reorder:
    """Return the rule between the two layouts of a rotary embedding's projections, along the axis of outputs.

    ``halves`` rotates element i of a head with element i + d/2 (transformers), ``pairs`` element 2i with 2i + 1
    (Meta). transformers' own conversion from Meta is ``view(heads, d/2, 2, in).transpose(1, 2)``.
    """
    sizes = (heads, 2, -1) if before == "halves" else (heads, -1, 2)
    return Reorder(axis, sizes, (0, 2, 1), "rope")


def interleave(axis: int, heads: int, parts: int, before: str) -> Reorder:
    """Return the rule between q/k/v head by head (``heads``) and all of q, all of k, all of v (``parts``)."""
    sizes = (heads, parts, -1) if before == "heads" else (parts, heads, -1)
    return Reorder(axis, sizes, (1, 0, 2), "qkv")
