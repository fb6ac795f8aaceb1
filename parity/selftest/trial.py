"""One fault in one port: made, shown to change the function, and held up to the checker and to others' checks."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from parity import cases, guards
from parity.harness import check
from parity.layers.cut import cut
from parity.selftest.baselines import accepted
from parity.selftest.faults.fault import Fault
from parity.selftest.remembering import Remembering
from parity.surgery import NotHereError
from parity.verdict import ParityResult
from porters.porter import PrecisionUnavailableError
from zoo import store
from zoo.artifact import CARD, MANIFEST, MODEL, Artifact, open_artifact
from zoo.errors import UserError
from zoo.executor import load
from zoo.graph import HANDLE
from zoo.inputs import InputSpec

# Inputs by which a fault is shown to matter: others than the checker draws.
_SEED, _INPUTS = 71, 4


@dataclass(frozen=True)
class Trial:
    """What became of one fault in one port.

    Attributes:
        subject: The source reference.
        fault: The fault's name.
        site: Where it was made: the module and the operator.
        effect: How far it moves the outputs, in units of the original's own noise.
        effective: Whether that is beyond the noise budget.
        caught: Whether the check failed.
        by: What caught it: ``outputs``, ``layers``, a guard's name, or ``load`` where the runtime refuses the graph.
        named: The layer that the check names first.
        located: Whether that is a layer that the fault is in; ``None`` where the checker cannot look at layers.
        baselines: For each of the usual comparisons, whether it saw the fault.
        mistakes: Names of the known mistakes that the check takes it for, the likeliest first.
        error: Why there is no verdict.
    """

    subject: str
    fault: str
    site: str
    effect: float
    effective: bool
    caught: bool
    by: str = ""
    named: str = ""
    located: bool | None = None
    baselines: dict[str, bool] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    error: str = ""


@dataclass
class Bench:
    """A sound port with everything that its faults are held against.

    Attributes:
        source: The source reference.
        artifact: The port.
        original: The original, remembering.
        noise: By output, the original's distance from its truth on the inputs of :func:`_feeds`.
        answers: What the port answers to them.
        folder: Where faulty copies go.
    """

    source: str
    artifact: Artifact
    original: Remembering
    folder: Path
    noise: dict[str, float] = field(default_factory=dict)
    answers: list[dict[str, np.ndarray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answers = _answers(self.artifact, self.feeds())
        squares: dict[str, float] = {}
        for feed in self.feeds():
            own = self.original.run(feed)
            try:
                truth = self.original.run(feed, "float64")
            except PrecisionUnavailableError:
                truth = own
            for name, array in own.items():
                if array.dtype.kind == "f":
                    wide = array.astype(np.float64)
                    noise = max(
                        float(np.linalg.norm(wide - truth[name])),
                        float(np.finfo(array.dtype).eps * np.linalg.norm(wide)),
                    )
                    squares[name] = squares.get(name, 0.0) + noise**2
        self.noise = {name: square**0.5 for name, square in squares.items()}

    def feeds(self) -> list[dict[str, np.ndarray]]:
        """Return the inputs by which a fault is shown to matter."""
        specs = [InputSpec.from_card(entry) for entry in self.artifact.card()["inputs"]]
        drawn = cases.plan(specs, _SEED, self.artifact.model().graph)
        return [drawn.ordinary(index).feed for index in range(_INPUTS)]


def _answers(artifact: Artifact, feeds: Sequence[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    with load(artifact.path / MODEL, "onnxruntime", optimize=False) as session:
        return [session.run(feed) for feed in feeds]


def try_fault(bench: Bench, fault: Fault, random: np.random.Generator) -> Trial | None:
    """Make a fault at one of the nodes where it can be made and check the port; ``None`` where there is none."""
    model = bench.artifact.model()
    ShapeInferencePass()(model)  # what a port keeps no handle of has no shape in the file
    nodes = [node for node in model.graph if not fault.ops or node.op_type in fault.ops]
    for place in random.permutation(len(nodes)):
        node = nodes[place]
        site = f"{node.metadata_props.get('zooport.module') or node.name} {node.op_type}"
        try:
            wrong = fault.inject(model.graph, node) or [node]
        except NotHereError:
            continue
        return _tried(bench, fault, model, site, wrong)
    return None


def _tried(bench: Bench, fault: Fault, model: ir.Model, site: str, wrong: Sequence[ir.Node]) -> Trial:
    faulty = _written(bench, model)
    try:
        moved = _answers(faulty, bench.feeds())
    except UserError as error:
        text = str(error.got or error.fact).splitlines()[0]
        return Trial(bench.source, fault.name, site, float("inf"), False, True, "load", error=text)
    effect = _effect(bench, moved)
    result = check(faulty, original=bench.original, save=False)
    effective = effect > _limit(result)
    named = result.first_divergence or ""
    layers = {handle for layer in _layers(faulty) for handle in layer[1] if layer[0] & {item.name for item in wrong}}
    return Trial(
        bench.source, fault.name, site, effect, effective, not result.holds, _by(result), named,
        None if not result.layers or result.holds else named in layers,
        {name: not holds for name, holds in baselines_of(bench, moved).items()},
        [mistake.name for mistake in result.mistakes],
    )  # fmt: skip


def _limit(result: ParityResult) -> float:
    return max((output.budget.limit for output in result.outputs if output.budget is not None), default=3.0)


def baselines_of(bench: Bench, moved: Sequence[dict[str, np.ndarray]]) -> dict[str, bool]:
    """Say for each of the usual comparisons whether it takes a port's answers for the original's."""
    held = [accepted(bench.original.run(feed), port) for feed, port in zip(bench.feeds(), moved, strict=True)]
    return {name: all(each[name] for each in held) for name in held[0]}


def _written(bench: Bench, model: ir.Model) -> Artifact:
    shutil.rmtree(bench.folder, ignore_errors=True)
    bench.folder.mkdir(parents=True)
    for name in (CARD, MANIFEST):
        shutil.copy(bench.artifact.path / name, bench.folder / name)
    for number, node in enumerate(model.graph):
        node.name = node.name or f"fault_{number}"
    store.save(model, bench.folder)
    return open_artifact(bench.folder, unsealed=True)


def _layers(artifact: Artifact) -> list[tuple[set[str | None], set[str]]]:
    """Return for each layer the names of its operators and the handles of its results."""
    graph = artifact.model().graph
    known = {value.metadata_props[HANDLE] for node in graph for value in node.outputs if HANDLE in value.metadata_props}
    return [({node.name for node in layer.nodes}, set(layer.outputs.values())) for layer in cut(graph, known)]


def _effect(bench: Bench, moved: Sequence[dict[str, np.ndarray]]) -> float:
    """Return the largest change among the outputs in units of the original's noise; anything else is infinite."""
    squares = dict.fromkeys(bench.noise, 0.0)
    for before, after in zip(bench.answers, moved, strict=True):
        if list(before) != list(after) or any(before[name].shape != after[name].shape for name in before):
            return float("inf")
        for name, array in before.items():
            if array.dtype.kind != "f":
                if not np.array_equal(array, after[name]):
                    return float("inf")
            else:
                with np.errstate(invalid="ignore", over="ignore"):
                    change = np.abs(after[name].astype(np.float64) - array)
                squares[name] += float("inf") if not np.isfinite(change).all() else float((change**2).sum())
    return max((squares[name] ** 0.5 / noise for name, noise in bench.noise.items() if noise), default=0.0)


def _by(result: ParityResult) -> str:
    if result.holds:
        return ""
    if any(isinstance(finding, guards.Finding) and finding.guard != "weights" for finding in result.guards):
        return result.guards[0].guard
    failed = [output for output in result.outputs if output.verdict == "fail"]
    return "outputs" if failed else "weights" if result.guards else "layers"
