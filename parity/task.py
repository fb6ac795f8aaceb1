"""The tasks that accuracy can be measured on, and what a task is."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from zoo.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from parity.scores import Scores
    from zoo.inputs import Feed

# task -> module with an object TASK. Kept light: the command line reads it for its help.
TASKS: Mapping[str, str] = {
    "embeddings": "parity.tasks.embeddings",
    "image-classification": "parity.tasks.image_classification",
    "language-modelling": "parity.tasks.language_modelling",
    "object-detection": "parity.tasks.object_detection",
    "question-answering": "parity.tasks.question_answering",
    "sentence-similarity": "parity.tasks.sentence_similarity",
    "text-classification": "parity.tasks.text_classification",
}


@dataclass(frozen=True)
class Sample:
    """One labelled sample.

    Attributes:
        name: What it is called in the data.
        raw: What the task makes tensors of.
        label: What is right, in JSON's types.
        source: The image file or the texts that preprocessing begins with, where ``raw`` is more than that.
    """

    name: str
    raw: Any
    label: Any
    source: Any = None

    @property
    def start(self) -> Any:
        """What preprocessing begins with: the path of an image or a tuple of texts."""
        return self.raw if self.source is None else self.source


class Task(Protocol):
    """What a task knows; a task never sees which side it judges.

    Attributes:
        metric: The metric that the result is known by; ``scores`` may know more.
    """

    metric: str

    def samples(self, data: str, card: Mapping[str, Any]) -> Sequence[Sample]:
        """Read the labelled samples at ``data``.

        Raises:
            UserError: If there are none, or one cannot be read.
        """
        ...

    def feeds(self, sample: Sample, card: Mapping[str, Any]) -> list[Feed]:
        """Preprocess a sample, as the card declares, into the feeds it takes."""
        ...

    def answer(
        self,
        sample: Sample,
        outputs: Sequence[Mapping[str, np.ndarray]],
        feeds: Sequence[Feed],
        card: Mapping[str, Any],
    ) -> Any:
        """Postprocess the outputs for a sample's feeds, as the card declares, into an answer."""
        ...

    def scores(self, samples: Sequence[Sample], answers: Sequence[Any]) -> Scores:
        """Hold the answers against the labels."""
        ...

    def changed(self, original: Any, port: Any) -> bool:
        """Say whether two of the decisions in ``scores``, on the same sample, differ."""
        ...


def find_task(name: str) -> Task:
    """Return the task ``name`` of :data:`TASKS`.

    Raises:
        UserError: If there is none.
    """
    if name not in TASKS:
        raise UserError(f"there is no task {name!r}", expected=", ".join(sorted(TASKS)), got=name, hint="give --task")
    task: Task = importlib.import_module(TASKS[name]).TASK
    return task
