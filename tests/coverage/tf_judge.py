"""Ports one sample of a raw op, runs it on ONNX Runtime, optimised and not, and compares with TensorFlow."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from porters.from_tensorflow import PORTER
from porters.porter import PrecisionUnavailableError, UnsupportedOpsError
from porters.source import SourceOptions
from porters.tensorflow.original import TensorFlowOriginal
from porters.tensorflow.sources import open_live
from tests.coverage.judge import ULP, difference
from tests.coverage.tf_samples.sample import B, Draw, Sample
from zoo import store
from zoo.executors import onnxruntime
from zoo.inputs import Feed, InputSpec

EDGE_CASE = "edge values"
BATCHES = (2, 1, 3, 2, 3)
# Nodes that only bring values to where and to what they are needed.
PLUMBING = frozenset({"Cast", "Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze"})
# The first of these that any sample has is the status of the op.
STATUSES = ("wrong", "broken", "unsupported", "no kernel", "right")


@dataclass
class Row:
    """What became of one op.

    Attributes:
        op: Its name.
        status: One of :data:`STATUSES`.
        samples: How many there are.
        counts: How many of them have each status.
        nodes: The most computing nodes that a sample's port has.
        truth: How many samples were judged against float64.
        reason: Of the first sample that decides the status.
    """

    op: str
    status: str = "right"
    samples: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    nodes: int = 0
    truth: int = 0
    reason: str = ""


@dataclass
class Verdict:
    """What became of one sample."""

    status: str
    reason: str = ""
    nodes: int = 0
    wide: bool = False


def judge_op(name: str, samples: list[Sample]) -> Row:
    """Judge every sample of an op."""
    found = [judge(sample) for sample in samples]
    counts = Counter(item.status for item in found)
    status = next(item for item in STATUSES if counts[item])
    reason = next(item.reason for item in found if item.status == status)
    nodes = max(item.nodes for item in found)
    return Row(name, status, len(found), dict(counts), nodes, sum(item.wide for item in found), reason)


def judge(sample: Sample) -> Verdict:
    """Port ``sample`` with an open batch and compare for each size of it."""
    import tensorflow as tf

    specs = tuple(
        InputSpec(name, draw.dtype, tuple(B if dim == B else int(dim) for dim in draw.shape))
        for name, draw in sample.inputs.items()
    )
    specs = specs or (InputSpec("unused", "float32", (B,)),)
    return ported(tf.function(sample.call, autograph=False), SourceOptions(inputs=specs), sample.inputs)


def ported(source: Any, options: SourceOptions, inputs: dict[str, Draw]) -> Verdict:
    """Port ``source``, a live model or function, and compare the port with it on cases of ``inputs``."""
    try:
        original = open_live(source, options)
        translation = PORTER.translate(original)
    except UnsupportedOpsError as error:
        return Verdict("unsupported", "; ".join(sorted({f"{item.op}: {item.hint}" for item in error.ops})))
    except Exception as error:
        return Verdict("broken", f"translation: {short(error)}")
    nodes = sum(node.op_type not in PLUMBING for node in translation.model.graph)
    with tempfile.TemporaryDirectory() as directory:
        store.save(translation.model, Path(directory))
        return compared(inputs, original, Path(directory) / "model.onnx", nodes)


def compared(inputs: dict[str, Draw], original: TensorFlowOriginal, file: Path, nodes: int) -> Verdict:
    """Run the original and its port, and compare.

    Args:
        inputs: How the inputs are drawn, by name.
        original: The original.
        file: The port.
        nodes: How many computing nodes the port has.
    """
    cases = {}
    for name, feed in feeds(inputs).items():
        try:
            own = [np.asarray(item) for item in original.run(feed).values()]
        except Exception as error:
            return Verdict("no kernel", f"TensorFlow does not run it, {name}: {short(error)}", nodes)
        cases[name] = (feed, own, *_wide(original, feed, own))
    wide = all(truth is not own for _, own, truth, _ in cases.values())
    for optimize in (False, True):
        try:
            with onnxruntime.load(file, optimize=optimize, threads=1) as session:
                answers = {name: list(session.run(case[0]).values()) for name, case in cases.items()}
        except Exception as error:
            return Verdict("broken", f"ONNX Runtime, optimised {optimize}: {short(error)}", nodes)
        problem = _problem(cases, answers)
        if problem:
            return Verdict("wrong", f"optimised {optimize}, {problem}", nodes)
    return Verdict("right", nodes=nodes, wide=wide)


def _problem(cases: dict[str, Any], answers: dict[str, list[np.ndarray]]) -> str:
    """Return what is wrong: shapes and types case by case, numbers of all ordinary cases together, edges alone."""
    groups: dict[tuple[bool, int], list[tuple[np.ndarray, ...]]] = {}
    for name, (_, own, truth, moved) in cases.items():
        for index, item in enumerate(zip(own, truth, moved, answers[name], strict=True)):
            if (item[0].shape, item[0].dtype) != (item[3].shape, item[3].dtype):
                return f"{name}, output {index}: {difference(*item)}"
            groups.setdefault((name == EDGE_CASE, index), []).append(item)
    for (edge, index), items in groups.items():
        problem = difference(
            *(np.concatenate([part.reshape(-1) for part in parts]) for parts in zip(*items, strict=True))
        )
        if problem:
            return f"{EDGE_CASE if edge else 'ordinary values'}, output {index}: {problem}"
    return ""


def feeds(inputs: dict[str, Draw]) -> dict[str, Feed]:
    """Return the cases: one for each size of the batch, and its edge values."""
    batched = any(B in draw.shape for draw in inputs.values())
    cases: dict[str, Feed] = {}
    for seed, batch in enumerate(BATCHES):
        random = np.random.default_rng(seed)
        case = f"batch {batch}, seed {seed}" if batched else f"seed {seed}"
        cases[case] = {name: draw.array(random, batch) for name, draw in inputs.items()} | _unused(inputs, batch)
    if any(len(draw.edges) for draw in inputs.values()):
        random = np.random.default_rng(9)
        cases[EDGE_CASE] = {name: _edges(draw.array(random, 4), draw.edges) for name, draw in inputs.items()}
    return cases


def _unused(inputs: dict[str, Draw], batch: int) -> Feed:
    """A graph has an input, even where all that an op is given is constant."""
    return {} if inputs else {"unused": np.zeros(batch, np.float32)}


def _edges(array: np.ndarray, edges: Any) -> np.ndarray:
    return np.resize(np.asarray(edges, array.dtype), array.shape) if len(edges) else array


def _wide(original: TensorFlowOriginal, feed: Feed, own: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the truth, and the truth of inputs moved by half a unit in the last place; ``own`` where there is none."""
    random = np.random.default_rng(5)
    moved = {
        name: array * (1 + ULP * random.choice([-1.0, 1.0], array.shape)) if array.dtype == np.float32 else array
        for name, array in feed.items()
    }
    try:
        truths = [list(original.run(item, "float64").values()) for item in (feed, moved)]
    except PrecisionUnavailableError:
        return own, own
    same = all(a.shape == b.shape for a, b in zip(own, truths[0], strict=True))
    return (truths[0], truths[1]) if same else (own, own)


def short(error: BaseException) -> str:
    """Return an error in one line, without the places of files."""
    text = re.sub(r"/\S*/", "", " ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:300]}"
