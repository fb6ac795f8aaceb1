"""``eval``: accuracy of the original and of the port on the same samples, with a paired interval of the difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from parity.sides import rebuild
from parity.task import TASKS, Sample, Task, find_task
from porters.porter import Original
from zoo.artifact import MODEL, Artifact
from zoo.errors import UserError
from zoo.executor import Session, load
from zoo.timing import machine

# Resamples of the bootstrap; 2,000 put the ends of a 95 % interval within about 2 % of their place.
RESAMPLES = 2000


@dataclass(frozen=True)
class Flip:
    """A sample to which original and port give different answers."""

    sample: str
    original: Any
    port: Any
    label: Any


@dataclass(frozen=True)
class SideAccuracy:
    """One executor's port beside the original.

    Attributes:
        interval: 95 % interval of ``delta``, by paired bootstrap over the samples.
    """

    original: float
    port: float
    delta: float
    interval: tuple[float, float]
    flipped: list[Flip]


@dataclass(frozen=True)
class AccuracyResult:
    """What ``accuracy.json`` holds; the fields at the top are those of the first executor."""

    task: str
    metric: str
    n: int
    data: str
    original: float
    port: float
    delta: float
    interval: tuple[float, float]
    flipped: list[Flip]
    reference: dict[str, Any] | None
    executors: dict[str, SideAccuracy]
    machine: dict[str, Any] = field(default_factory=machine)


def evaluate(
    artifact: Artifact,
    data: str,
    *,
    task: str | None = None,
    on: Sequence[str] = ("onnxruntime",),
    original: Original | None = None,
    save: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AccuracyResult:
    """Evaluate the original and the port on each executor in ``on`` on the labelled samples at ``data``.

    Raises:
        UserError: If the task is unknown, the data has another layout, or the original cannot be built.
    """
    card = artifact.card()
    name = task or card["task"]
    if name not in TASKS:
        raise UserError(f"there is no task {name!r}", expected=", ".join(sorted(TASKS)), got=name, hint="give --task")
    judge = find_task(name)
    samples = judge.samples(data)
    if original is None:
        original, why = rebuild(artifact)
        if original is None:
            raise UserError("the original cannot be built", place=str(artifact.path), got=why)
    with ExitStack() as stack:
        sessions = {name: stack.enter_context(load(artifact.path / MODEL, name)) for name in on}
        answers = _answers(judge, samples, card, original, sessions, progress)
    labels = [sample.label for sample in samples]
    sides = {name: _compare(judge, samples, labels, answers[""], answers[name]) for name in on}
    first = sides[on[0]]
    result = AccuracyResult(
        name, judge.metric, len(samples), _short(data), first.original, first.port, first.delta, first.interval,
        first.flipped, _reference(card, name, judge.metric), sides,
    )  # fmt: skip
    if save:
        artifact.add_result("accuracy", asdict(result))
    return result


def _answers(
    judge: Task,
    samples: Sequence[Sample],
    card: dict[str, Any],
    original: Original,
    sessions: dict[str, Session],
    progress: Callable[[int, int], None],
) -> dict[str, list[Any]]:
    """Return the answers by executor; the original's stand under the empty name. Every side sees the same tensors."""
    answers: dict[str, list[Any]] = {"": [], **{name: [] for name in sessions}}
    for index, sample in enumerate(samples):
        feeds = judge.feeds(sample, card)
        answers[""].append(judge.answer([original.run(feed) for feed in feeds], feeds))
        for name, session in sessions.items():
            answers[name].append(judge.answer([session.run(feed) for feed in feeds], feeds))
        progress(index + 1, len(samples))
    return answers


def _compare(
    judge: Task, samples: Sequence[Sample], labels: Sequence[Any], theirs: Sequence[Any], ours: Sequence[Any]
) -> SideAccuracy:
    before, after = judge.score(theirs, labels), judge.score(ours, labels)
    picks = np.random.default_rng(0).integers(0, len(samples), (RESAMPLES, len(samples)))
    deltas = judge.resampled(ours, labels, picks) - judge.resampled(theirs, labels, picks)
    low, high = np.percentile(deltas, [2.5, 97.5])
    flipped = [
        Flip(sample.name, a, b, sample.label)
        for sample, a, b in zip(samples, theirs, ours, strict=True)
        if judge.changed(a, b)
    ]
    return SideAccuracy(before, after, after - before, (float(low), float(high)), flipped)


def _reference(card: dict[str, Any], task: str, metric: str) -> dict[str, Any] | None:
    for entry in card.get("evaluation", []):
        if entry.get("task") == task and entry.get("metric") == metric and "published" in entry:
            return {"value": entry["published"], "source": entry.get("source", "")}
    return None


def _short(data: str) -> str:
    # Reports are shared: the last two parts say which data, the rest says where this machine keeps it.
    return "/".join(data.rstrip("/").split("/")[-2:])
