"""The tasks that accuracy can be measured on, and what a task is."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from zoo.inputs import Feed

# task -> module with an object TASK. Kept light: the command line reads it for its help.
TASKS: Mapping[str, str] = {
    "image-classification": "parity.tasks.image_classification",
    "sentence-similarity": "parity.tasks.sentence_similarity",
}


@dataclass(frozen=True)
class Sample:
    """One labelled sample: its name, the raw data by which the task makes tensors, and the label."""

    name: str
    raw: Any
    label: Any


class Task(Protocol):
    """What a task knows; a task never sees which side it judges."""

    metric: str

    def samples(self, data: str) -> Sequence[Sample]:
        """Read the labelled samples at ``data``."""
        ...

    def feeds(self, sample: Sample, card: Mapping[str, Any]) -> list[Feed]:
        """Preprocess a sample, as the card declares, into the feeds it takes."""
        ...

    def answer(self, outputs: Sequence[Mapping[str, np.ndarray]], feeds: Sequence[Feed]) -> Any:
        """Postprocess the outputs for a sample's feeds into an answer."""
        ...

    def score(self, answers: Sequence[Any], labels: Sequence[Any]) -> float:
        """Return the metric."""
        ...

    def resampled(self, answers: Sequence[Any], labels: Sequence[Any], picks: np.ndarray) -> np.ndarray:
        """Return the metric for each row of sample indices, for the bootstrap."""
        ...

    def changed(self, original: Any, port: Any) -> bool:
        """Say whether two answers to the same sample differ."""
        ...


def find_task(name: str) -> Task:
    """Return the task ``name`` of :data:`TASKS`."""
    task: Task = importlib.import_module(TASKS[name]).TASK
    return task
