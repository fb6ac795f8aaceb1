"""``parity.check``: an artifact against its original, or any two live models or ONNX files against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnx_ir as ir

from parity import cases as cases_module
from parity import guards, harness
from parity.sides import Sides, run_in
from parity.tolerance import LIMITS, Limits
from parity.verdict import ParityResult, precision_of
from porters.porter import Original
from porters.source import SourceOptions, open_source
from zoo.artifact import Artifact, open_artifact
from zoo.errors import UserError
from zoo.executor import load
from zoo.inputs import Feed, InputSpec

Progress = Callable[[str], None]


def check(
    subject: Any,
    port: Any = None,
    /,
    *,
    original: Any = None,
    inputs: Mapping[str, Any] | Sequence[InputSpec] | None = None,
    on: str = "onnxruntime",
    cases: int = 0,
    seed: int = harness.SEED,
    limits: Limits | None = None,
    progress: Progress = lambda stage: None,
    **options: Any,
) -> ParityResult:
    """Hold a port against its original and return the verdict of the noise budget.

    ``check(artifact)`` holds an artifact against the original that its card names, ``check(model, artifact)`` against a
    live one, and ``check(model, other)`` any model against any other: nothing is saved then, and there are no layers.

    Args:
        subject: An artifact (or its directory) alone; else the original: a live model or a source reference.
        port: An artifact, its directory, an ONNX file, a live model or a source reference.
        original: Beside an artifact alone: the original that it is held against, instead of the one its card names.
        inputs: The signature, where the original cannot tell it: ``InputSpec``s, or example tensors by name.
        on: The executor of an artifact or an ONNX file, or a chip.
        cases: Ordinary inputs; the least number that makes a verdict where it is 0.
        seed: Seed of the inputs.
        limits: Thresholds; the default is that of the precision, or the card's.
        progress: Hears the name of each step.
        options: More of :func:`parity.harness.check`, for artifacts.

    Raises:
        UserError: If one of them cannot be opened, or they do not have equally many inputs or outputs.
    """
    common: dict[str, Any] = {"on": on, "cases": cases, "seed": seed, "progress": progress}
    if port is None:
        subject, port = original, subject if isinstance(subject, Artifact) else open_artifact(subject)
    artifact = _artifact(port)
    if artifact is not None:
        specs = inputs or [InputSpec.from_card(entry) for entry in artifact.card()["inputs"]]
        reference = None if subject is None else _opened(subject, specs)
        return harness.check(artifact, original=reference, limits=limits, **common, **options)
    reference = _opened(subject, inputs)
    with LiveSides(reference, port, on, seed, progress) as sides:
        precision = precision_of(on)
        return harness.judge(sides, sides.name, precision, cases, seed, limits or LIMITS[precision], progress)


def _artifact(port: Any) -> Artifact | None:
    if isinstance(port, Artifact):
        return port
    if isinstance(port, (str, Path)) and Path(port).is_dir():
        return open_artifact(port)
    return None


def _opened(source: Any, inputs: Mapping[str, Any] | Sequence[InputSpec] | None) -> Original:
    if isinstance(inputs, Mapping):
        from porters.pytorch.sources import specs_from_examples

        inputs = specs_from_examples(inputs)
    if all(hasattr(source, name) for name in ("run", "inputs", "framework")):
        opened: Original = source
        return opened
    return open_source(source, SourceOptions(list(inputs or ())))


class LiveSides(Sides):
    """The sides of a comparison without an artifact: what runs beside the original is known by its answers alone."""

    def __init__(self, original: Original, port: Any, on: str, seed: int, progress: Progress) -> None:
        self.notes: list[str] = []
        self.truth = "float64"
        self.specs = list(original.inputs)
        self.groups: list[list[str]] = []
        self.layers = None
        self.reduced = precision_of(on) != "fp32"
        self.name = "live"
        self._own = run_in(precision_of(on))
        self._seed, self._original, self._recorded = seed, original, []
        self._progress, self._in_parts, self.cap = progress, False, None
        self._stack, self._sessions, self._first = ExitStack(), {}, None
        graph = None
        if isinstance(port, (str, Path)) and str(port).endswith(".onnx"):
            self.name, graph = on, ir.load(port).graph
            for run, optimize in (("optimised", True), ("unoptimised", False)):
                session = self._stack.enter_context(load(Path(port), on, optimize=optimize))
                self._sessions[run] = Named(session.run, self, [str(value.name) for value in graph.inputs])
        else:
            other = _opened(port, self.specs)
            self._sessions["live"] = Named(other.run, self, [spec.name for spec in other.inputs])
        self.plan = cases_module.plan(self.specs, seed, graph)

    @property
    def talks(self) -> bool:
        """Whether the model may be asked for the next token; see ``Sides``."""
        return self._original is not None and getattr(self._original, "task", "") == "language-modelling"

    def weights(self) -> list[guards.Finding]:
        """Return nothing: nobody says which weight of the one is which of the other."""
        return []

    def expected(self) -> list[str]:
        """Return the names of the original's outputs, once it has answered."""
        assert self._original is not None
        if not hasattr(self, "_names"):
            self._names = list(self._original.run(self.plan.ordinary(0).feed))
        return self._names


class Named:
    """Runs a port under the original's names, by place where it has others.

    Attributes:
        name: As in ``zoo.executor.Session``.
    """

    name = "live"

    def __init__(self, run: Callable[[Feed], dict[str, np.ndarray]], sides: LiveSides, inputs: Sequence[str]) -> None:
        self._run, self._sides, self._inputs = run, sides, list(inputs)

    def run(self, feed: Feed) -> dict[str, np.ndarray]:
        """Return the port's outputs by the original's names.

        Raises:
            UserError: If there are not equally many inputs or outputs.
        """
        if set(self._inputs) != set(feed):
            _equally_many("inputs", list(feed), self._inputs)
            feed = dict(zip(self._inputs, feed.values(), strict=True))
        results, names = self._run(feed), self._sides.expected()
        if set(results) == set(names):
            return results
        _equally_many("outputs", names, list(results))
        note = f"outputs are compared by place: {', '.join(results)} for {', '.join(names)}"
        if note not in self._sides.notes:
            self._sides.notes.append(note)
        return dict(zip(names, results.values(), strict=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""


def _equally_many(what: str, theirs: Sequence[str], ours: Sequence[str]) -> None:
    if len(theirs) != len(ours):
        raise UserError(
            f"original and port do not have equally many {what}",
            expected=", ".join(theirs),
            got=", ".join(ours),
            hint="name the inputs: parity.check(original, port, inputs={...})" if what == "inputs" else "",
        )
