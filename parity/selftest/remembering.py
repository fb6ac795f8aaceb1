"""An original that remembers its answers: every fault of one port is held against the same runs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from porters.porter import Original, Precision, Step, Steps
from zoo.inputs import Feed, InputSpec


def _key(feed: Feed, *more: str) -> str:
    digest = hashlib.blake2b()
    for name in sorted(feed):
        array = np.ascontiguousarray(feed[name])
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return "/".join([digest.hexdigest(), *more])


class Remembering:
    """See ``porters.porter.Original``; what was computed once is given again."""

    def __init__(self, original: Original) -> None:
        self._original = original
        self._answers: dict[str, dict[str, np.ndarray]] = {}
        self._parameters: Mapping[str, np.ndarray] | None = None
        self._steps: RememberingSteps | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def run(self, feed: Feed, precision: Precision = "own") -> dict[str, np.ndarray]:
        """Run, or answer from memory; see the protocol."""
        key = _key(feed, precision)
        if key not in self._answers:
            self._answers[key] = self._original.run(feed, precision)
        return dict(self._answers[key])

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the weights; see the protocol."""
        if self._parameters is None:
            self._parameters = dict(self._original.parameters())
        return self._parameters

    def steps(self, ported: Sequence[InputSpec]) -> Steps:
        """Return the graph's steps, whose results are remembered too; see the protocol."""
        if self._steps is None:
            self._steps = RememberingSteps(self._original.steps(ported))
        return self._steps


class RememberingSteps:
    """See ``porters.porter.Steps``; what :meth:`single` needs of a walk is brought back by walking again."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._walks: dict[str, dict[str, Step]] = {}
        self._single: dict[str, dict[str, np.ndarray]] = {}
        self._feed: Feed = {}
        self._walked = ""

    def handles(self) -> Sequence[str]:
        """Return the handles; see the protocol."""
        return self._steps.handles()

    def walk(self, feed: Feed, wanted: Collection[str]) -> Iterator[Step]:
        """Yield the results in ``wanted`` as they come; see the protocol."""
        key = _key(feed)
        self._feed = feed
        if key not in self._walks:
            self._walks[key] = {step.handle: step for step in self._steps.walk(feed, set(self._steps.handles()))}
            self._walked = key
        self._at = key
        for handle, step in self._walks[key].items():
            if handle in wanted:
                yield step

    def single(self, handles: Sequence[str], known: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return results computed from known ones; see the protocol."""
        key = _key(dict(known), self._at, *handles)
        if key not in self._single:
            if self._walked != self._at:
                for _ in self._steps.walk(self._feed, set(self._steps.handles())):
                    pass
                self._walked = self._at
            self._single[key] = self._steps.single(handles, known)
        return self._single[key]
