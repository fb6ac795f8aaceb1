"""Opens what a report is about: artifacts with their results and graphs, and sweeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reports import read
from reports.facts import Report, Sweep
from reports.port_facts import Graph, Tensor
from reports.sources import Source, collect, is_result
from reports.sweeps import is_sweep, read_sweep
from zoo.errors import UserError

if TYPE_CHECKING:
    from zoo.artifact import Artifact


def open_all(paths: Sequence[Path], *, unsealed: bool = False) -> Report:
    """Return the facts of artifacts and of sweeps, each in the order of ``paths``.

    Raises:
        UserError: If one of them is neither, or cannot be read.
    """
    sources: list[Source] = []
    sweeps: list[Sweep] = []
    for path in paths:
        if is_sweep(path):
            sweeps.append(read_sweep(path))
        else:
            sources.append(open_source(path, unsealed))
    return collect(sources, sweeps)


def open_source(path: Path, unsealed: bool) -> Source:
    """Return an artifact as plain data.

    Raises:
        UserError: If it is none, its seal is broken and ``unsealed`` is not given, or a result cannot be read.
    """
    from zoo.artifact import open_artifact, verify

    artifact = open_artifact(path, unsealed=unsealed)
    return Source(
        directory=path.resolve().name,
        card=artifact.card(),
        results={name: _result(artifact, name) for name in artifact.result_names() if is_result(name)},
        sealed=not (unsealed and verify(path)),
        graph=_graph(artifact),
    )


def _result(artifact: Artifact, name: str) -> dict[str, object]:
    try:
        parsed = artifact.result(name)
    except ValueError as error:
        raise _unreadable(artifact.path / f"{name}.json", str(error)) from error
    if not isinstance(parsed, dict):
        raise _unreadable(artifact.path / f"{name}.json", type(parsed).__name__)
    return parsed


def _unreadable(file: Path, got: str) -> UserError:
    return UserError("a result cannot be read", place=str(file), expected="one JSON object", got=got)


def _graph(artifact: Artifact) -> Graph:
    """Return operators and weights; weights stay on disk."""
    if not artifact.model_path.exists():
        return Graph()
    graph = artifact.model().graph
    counted = Counter(node.op_type for node in graph.all_nodes())
    tensors = [
        Tensor(name, str(value.dtype.numpy()) if value.dtype else None, read.shape(_sizes(value.shape)))
        for name, value in graph.initializers.items()
    ]
    return Graph(dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))), tuple(tensors))


def _sizes(shape: object) -> list[object] | None:
    return list(shape) if isinstance(shape, Iterable) else None
