"""The engine: tensors of a checkpoint through the entries of a plan, one entry in memory at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from weight_maps.rules.rule import MisfitError
from weight_maps.tensors import same_bits, spec_of
from zoo.errors import InternalError, UserError

if TYPE_CHECKING:
    import numpy as np

    from weight_maps.checkpoint import Checkpoint
    from weight_maps.plan import Alone, Entry, Plan
    from weight_maps.tensors import Spec


class Mapped:
    """A checkpoint seen through a plan: itself a checkpoint, so that maps compose by standing behind each other.

    Of what was made only the last entry's tensors are held, so that a fused group is computed once where its parts
    are read in turn.
    """

    def __init__(self, source: Checkpoint, plan: Plan) -> None:
        self._source = source
        self._specs = plan.targets()
        self._entries: dict[str, Entry] = {name: entry for entry in plan.entries for name in entry.targets}
        self._alone = {alone.name: alone for alone in plan.initialised if alone.made}
        self._last: tuple[Entry, dict[str, np.ndarray]] | None = None

    def specs(self) -> Mapping[str, Spec]:
        """Return the specs of everything that the plan makes."""
        return self._specs

    def read(self, name: str) -> np.ndarray:
        """Make one tensor.

        Raises:
            UserError: If the elements of the source are not what a rule promises.
        """
        if name in self._alone:
            return constant(self._alone[name])
        entry = self._entries[name]
        if self._last is None or self._last[0] is not entry:
            made = run(entry, [self._source.read(source) for source in entry.sources])
            self._last = entry, dict(zip(entry.targets, made, strict=True))
        return self._last[1][name]


def run(entry: Entry, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Return what an entry makes of its sources' elements.

    Raises:
        UserError: If they are not what a rule promises (copies that differ, padding that is not).
        InternalError: If a result has another shape or dtype than was planned.
    """
    for step in entry.steps:
        try:
            arrays = step.apply(arrays)
        except MisfitError as error:
            raise UserError(
                "the checkpoint is not what the map says", place=", ".join(entry.sources), got=str(error)
            ) from error
    if [spec_of(array) for array in arrays] != list(entry.made):
        raise InternalError(f"{entry.rule} made {[str(spec_of(a)) for a in arrays]}, planned {entry.made}")
    return arrays


def constant(alone: Alone) -> np.ndarray:
    """Return a tensor that is made anew."""
    import numpy as np

    from weight_maps.tensors import numpy_dtype

    dtype = numpy_dtype(alone.spec.dtype)
    if alone.value == "arange":
        # Indices along the last axis: position ids.
        return np.broadcast_to(np.arange(alone.spec.shape[-1], dtype=dtype), alone.spec.shape).copy()
    return np.full(alone.spec.shape, alone.value, dtype=dtype)


def check_dropped(alone: Alone, array: np.ndarray) -> None:
    """Hold a dropped tensor against what the map says that it is.

    Raises:
        UserError: If it is something else, so that dropping it would lose something.
    """
    import numpy as np

    if not alone.made:
        return
    wanted = constant(alone)
    if same_bits(array, wanted) or (array.dtype.kind == "f" and np.array_equal(array, wanted)):
        return
    raise UserError(
        f"the tensor {alone.name} would be lost",
        place=f"drop, because {alone.reason}",
        expected=f"{alone.spec} that is {alone.value} everywhere",
        got=f"values from {array.min()} to {array.max()}",
        hint="the two models differ here: no map can carry this tensor over",
    )
