"""``reduce``: the first wrong layer of a port as an artifact of its own, with its inputs and a test to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from parity.layers.evidence import Evidence
from parity.layers.mistakes import Mistake, find_mistakes
from parity.sides import Sides, load_layer
from porters import golden
from porters.golden import GoldenCase
from porters.porter import Original
from zoo import store
from zoo.artifact import CARD, GOLDEN, Artifact, new_artifact, refuse_foreign
from zoo.card import SCHEMA, dump_card
from zoo.errors import UserError
from zoo.inputs import InputSpec
from zoo.record import write_atomically

TEST = "test_reduced.py"
# Ordinary inputs on which a wrong layer is looked for before the probes are.
_ORDINARY = 2


@dataclass(frozen=True)
class Reduction:
    """What ``zooport reduce --json`` prints.

    Attributes:
        artifact: Where the layer was written.
        node: Handle of the result that is wrong.
        source: Source operator.
        module: Path of the module or layer.
        line: File and line of the source.
        ops: The operators of the layer.
        of_nodes: How many operators the whole port has.
        ratio: How far the layer is from the truth, in units of the original's rounding.
        limit: The most that may be.
        bytes: Size of what was written: graph, weights and data.
        mistakes: Known mistakes whose correction makes it right.
    """

    artifact: str
    node: str
    source: str
    module: str
    line: str
    ops: list[str]
    of_nodes: int
    ratio: float
    limit: float
    bytes: int
    mistakes: list[Mistake] = field(default_factory=list)


def reduce(
    artifact: Artifact,
    out: Path | str,
    *,
    original: Original | None = None,
    seed: int = 1,
    progress: Callable[[str], None] = lambda stage: None,
) -> Reduction:
    """Write the first wrong layer of a port to ``out`` and return what it is.

    Args:
        artifact: The port.
        out: Where the layer goes: an artifact whose recorded case fails ``zooport check``, and a pytest file that
            needs nothing but ONNX Runtime, NumPy and safetensors.
        original: The original, where it should not be built again from the card's source.
        seed: Seed of the inputs.
        progress: Hears the name of each step.

    Raises:
        UserError: If no layer is wrong, or layers cannot be compared.
    """
    refuse_foreign(out)
    evidence = _smaller(_evidence(artifact, original, seed, progress))
    mistakes = find_mistakes(evidence, load_layer, lambda what: progress(f"is it {what}?"))
    progress("write")
    model = evidence.model()
    ratio = evidence.ratio(evidence.got)
    with new_artifact(out) as directory:
        store.save(model, directory)
        (directory / CARD).write_text(dump_card(_card(artifact, evidence, model, ratio, mistakes)), encoding="utf-8")
        case = GoldenCase(evidence.inputs(), {evidence.output: evidence.own}, {evidence.output: evidence.truth})
        golden.write([case], directory / GOLDEN)
        write_atomically(directory / TEST, _test(evidence).encode())
        size = sum(file.stat().st_size for file in directory.iterdir())
    return Reduction(
        str(out), evidence.node, evidence.source, evidence.module, evidence.line,
        [node.op_type for node in model.graph], sum(1 for _ in artifact.model().graph.all_nodes()), ratio,
        evidence.limit, size, mistakes,
    )  # fmt: skip


def _evidence(artifact: Artifact, original: Original | None, seed: int, progress: Callable[[str], None]) -> Evidence:
    with Sides(artifact, "onnxruntime", original, "fp32", seed, progress, by_layers=True) as sides:
        cases = [sides.ordinary(index) for index in range(_ORDINARY)] + sides.probes()
        for place, case in enumerate(cases):
            progress(f"layers: {case.name}")
            sides.compare_layers(case)
            assert sides.layers is not None
            first, found = sides.layers.result().first_divergence, sides.layers.evidence
            if place >= _ORDINARY - 1 and first is not None and found is not None and found.node == first.node:
                return found
    raise UserError(
        "no layer of the port is wrong: there is nothing to reduce",
        place=str(artifact.path),
        got=f"{len(cases)} inputs, every layer within its limit on each",
        hint=f"zooport check {artifact.path} --layers shows all of them",
    )


def _smaller(evidence: Evidence) -> Evidence:
    """Return the layer on the one sample that shows it best, where it treats every sample by itself."""
    inputs = evidence.inputs()
    batch = evidence.own.shape[0] if evidence.own.ndim else 0
    shared = [name for name, array in inputs.items() if array.ndim and array.shape[0] == batch]
    if (
        batch < 2
        or not shared
        or evidence.got.shape != evidence.own.shape
        or evidence.truth.shape != evidence.own.shape
    ):
        return evidence
    best = evidence
    for index in range(batch):
        one = slice(index, index + 1)
        feed = {name: array[one] if name in shared else array for name, array in evidence.feed.items()}
        alone = replace(evidence, feed=feed, own=evidence.own[one], truth=evidence.truth[one], around={})
        try:
            session = load_layer(ir.to_proto(alone.model()).SerializeToString())
            got = session.run(alone.inputs())[evidence.output]
        except UserError:
            return evidence  # its size is part of the graph
        if got.shape != evidence.got[one].shape or not np.allclose(got, evidence.got[one], 1e-4, 1e-6, equal_nan=True):
            return evidence
        if alone.ratio(got) > max(alone.limit, best.ratio(best.got) if best is not evidence else 0.0):
            best = replace(alone, got=got)
    return best


def _card(
    artifact: Artifact, evidence: Evidence, model: ir.Model, ratio: float, mistakes: list[Mistake]
) -> dict[str, Any]:
    whole = artifact.card()
    specs = [InputSpec(name, str(array.dtype), array.shape) for name, array in evidence.inputs().items()]
    looks = [f"it looks like {item.mistake}: right with {item.correction}" for item in mistakes[:1]]
    return {
        "schema": SCHEMA,
        "name": f"{whole['name']}-{evidence.node}",
        "task": whole["task"],
        "source": {
            "framework": whole["source"]["framework"],
            "reference": "",
            "versions": whole["source"].get("versions", {}),
            "licence": whole["source"].get("licence", ""),
            "checkpoint": {},
            "reduced_from": {
                "reference": whole["source"].get("reference", ""),
                "node": evidence.node,
                "operator": evidence.source,
                "module": evidence.module,
                "line": evidence.line,
            },
        },
        "port": {
            "opset": int(model.opset_imports.get("", 0)),
            "nodes": len(model.graph),
            "fallback": False,
            "notes": [f"{ratio:.3g} times as far from the truth as the original (limit {evidence.limit:g})", *looks],
        },
        "inputs": [spec.to_card() for spec in specs],
        "outputs": [{"name": evidence.output, "dtype": str(evidence.own.dtype), "shape": list(evidence.own.shape)}],
    }


def _test(evidence: Evidence) -> str:
    """Return a test of the layer that knows nothing of zooport."""
    place = " ".join(filter(None, [evidence.source, evidence.module, evidence.line]))
    return f'''"""{evidence.node}: {place}. Fails until the layer is as near the float64 truth as the original is."""

from pathlib import Path

import numpy as np
import onnxruntime
from safetensors.numpy import load_file

HERE = Path(__file__).parent
OUTPUT = {evidence.output!r}
LIMIT = {evidence.limit!r}


def test_the_layer_is_as_near_the_truth_as_the_original():
    recorded = load_file(HERE / "golden.safetensors")
    feed = {{name.split("/", 2)[2]: array for name, array in recorded.items() if name.startswith("0/input/")}}
    original, truth = recorded[f"0/original/{{OUTPUT}}"], recorded[f"0/truth/{{OUTPUT}}"]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(HERE / "model.onnx", options, providers=["CPUExecutionProvider"])
    (got,) = session.run([OUTPUT], feed)
    assert (got.shape, got.dtype) == (original.shape, original.dtype)
    if got.dtype.kind != "f":
        assert np.array_equal(got, original)
        return
    wide = truth.astype(np.float64)
    noise = max(np.linalg.norm(original - wide), np.finfo(got.dtype).eps * np.linalg.norm(wide), 1e-45)
    ratio = np.linalg.norm(got.astype(np.float64) - wide) / noise
    assert ratio <= LIMIT, f"{{ratio:.3g}} times as far from the truth as the original, limit {{LIMIT:g}}"
'''
