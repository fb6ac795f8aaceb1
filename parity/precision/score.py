"""An accuracy on labelled samples as the figure of merit of a search for what to keep in float32."""

from __future__ import annotations

from parity.precision.search import Score
from parity.preprocessing.declared import with_processing
from parity.task import find_task
from zoo.artifact import Artifact
from zoo.executor import Session


def scorer(artifact: Artifact, data: str, task: str | None = None) -> Score:
    """Return a function from a session to its accuracy on the samples at ``data``, by the task's own metric.

    Args:
        artifact: The port whose card declares pre- and postprocessing.
        data: Where the samples are.
        task: One of ``parity.task.TASKS``; the default is the card's.

    Raises:
        UserError: If the task is unknown or the data has another layout.
    """
    name = task or artifact.card()["task"]
    judge = find_task(name)
    card, _ = with_processing(artifact.card(), name)
    samples = judge.samples(data, card)

    def score(session: Session) -> float:
        answers = []
        for sample in samples:
            feeds = judge.feeds(sample, card)
            answers.append(judge.answer(sample, [session.run(feed) for feed in feeds], feeds, card))
        return judge.scores(samples, answers).value(judge.metric)

    return score
