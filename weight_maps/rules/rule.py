"""What a rule is: arrays in, arrays out, shapes known beforehand, and an inverse or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from weight_maps.tensors import Spec


class NoInverseError(Exception):
    """The rule cannot be undone; the message says why."""


class MisfitError(Exception):
    """The rule does not fit the tensors that it is given; the message says what it wants and what it got."""


class Rule(Protocol):
    """One step of a program that turns the tensors of one naming into those of another.

    A rule never looks at a name and never at more than the tensors that it is given.
    """

    def specs(self, given: Sequence[Spec]) -> list[Spec]:
        """Return shapes and dtypes of the results for those of the operands.

        Raises:
            MisfitError: If the rule does not fit them.
        """
        ...

    def apply(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the results; the operands are left as they are.

        Raises:
            MisfitError: If the elements are not what the rule promises (a copy that differs, padding that is not).
        """
        ...

    def inverse(self, given: Sequence[Spec] | None) -> Rule:
        """Return the rule that undoes this one.

        Args:
            given: Shapes and dtypes of the operands, ``None`` where they are not known.

        Raises:
            NoInverseError: If there is none, or ``given`` is needed and not known.
        """
        ...

    def exact(self, given: Sequence[Spec]) -> bool:
        """Return whether the inverse gives back every bit of operands of these dtypes."""
        ...


def only(given: Sequence[Spec], rule: str) -> Spec:
    """Return the one operand of a rule that takes one.

    Raises:
        MisfitError: If there are more.
    """
    if len(given) != 1:
        raise MisfitError(f"{rule} takes one tensor, got {len(given)}")
    return given[0]


def axis_of(spec: Spec, axis: int, rule: str) -> int:
    """Return an axis counted from the front.

    Raises:
        MisfitError: If the tensor has no such axis.
    """
    rank = len(spec.shape)
    if not -rank <= axis < rank:
        raise MisfitError(f"{rule} works on axis {axis}, the tensor is {spec}")
    return axis % rank


def divided(total: int, sizes: Sequence[int], rule: str) -> list[int]:
    """Return sizes whose product is ``total``, the one that is -1 worked out.

    Raises:
        MisfitError: If they cannot be.
    """
    known = 1
    for size in sizes:
        known *= size if size != -1 else 1
    if list(sizes).count(-1) > 1 or known < 1 or total % known or (-1 not in sizes and known != total):
        raise MisfitError(f"{rule} cuts an axis into {list(sizes)}, its size is {total}")
    return [total // known if size == -1 else size for size in sizes]
