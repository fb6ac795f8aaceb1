"""Looks for the known mistake whose correction makes a wrong layer right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from parity.corrections.correction import Around, Change, Correction, all_corrections
from parity.layers.evidence import Evidence
from parity.surgery import NotHereError
from zoo.errors import UserError
from zoo.executor import Session

# Attempts at one layer; then the search is given up.
MOST_ATTEMPTS = 600
# Mistakes that are told of one layer.
MOST_TOLD = 3


@dataclass(frozen=True)
class Mistake:
    """A known mistake whose correction makes the layer right.

    Attributes:
        name: Its name, as in the table of ``zooport selftest``.
        mistake: What somebody got wrong, in words.
        correction: What is right instead.
        op: The operator that was corrected.
        before: The layer's distance from the truth in units of the original's rounding.
        after: The same once corrected.
    """

    name: str
    mistake: str
    correction: str
    op: str
    before: float
    after: float


def find_mistakes(
    evidence: Evidence, load: Callable[[bytes], Session], progress: Callable[[str], None] = lambda what: None
) -> list[Mistake]:
    """Try the known corrections at every operator of a wrong layer.

    Args:
        evidence: The layer and what the original has there.
        load: Makes a session of a serialised model, unoptimised.
        progress: Hears the mistake that is looked for.

    Returns:
        Those that bring the layer within its limit, the most particular first; none where nothing known explains it.
    """
    before = evidence.ratio(evidence.got)
    found: list[Mistake] = []
    for count, (item, place, words, change) in enumerate(_attempts(evidence)):
        if count >= MOST_ATTEMPTS or len(found) >= MOST_TOLD:
            break
        if any(mistake.name == item.name for mistake in found):
            continue
        progress(item.mistake)
        after, op = _corrected(evidence, place, change, load)
        if after <= evidence.limit:
            found.append(Mistake(item.name, item.mistake, words, op, before, after))
    return found


def _attempts(evidence: Evidence) -> Iterator[tuple[Correction, int, str, Change]]:
    """Yield every attempt with the place of its operator in the layer."""
    nodes, around = list(_inferred(evidence).graph), _around(evidence)
    for item in all_corrections():
        for place, node in enumerate(nodes):
            if item.ops and node.op_type not in item.ops:
                continue
            try:
                for words, change in item.attempts(node, around):
                    yield item, place, words, change
            except NotHereError:
                continue


def _inferred(evidence: Evidence) -> ir.Model:
    model = evidence.model()
    ShapeInferencePass()(model)
    return model


def _corrected(evidence: Evidence, place: int, change: Change, load: Callable[[bytes], Session]) -> tuple[float, str]:
    """Return the distance of the layer with one change at one operator, and that operator's type."""
    model = evidence.model()
    node = list(model.graph)[place]
    op = node.op_type
    try:
        change(model.graph, node)
        for value in model.graph.outputs:
            value.shape = None  # what the wrong layer makes of it may have had another
        session = load(ir.to_proto(model).SerializeToString())
        result = session.run(evidence.inputs())[str(model.graph.outputs[0].name)]
    except (NotHereError, UserError, ValueError):
        return float("inf"), op  # a runtime refuses what makes no sense
    return evidence.ratio(result), op


def _around(evidence: Evidence) -> Around:
    tensors = evidence.tensors()
    other = {
        name: array
        for name, array in evidence.expected.items()
        if name in tensors and not np.array_equal(array, tensors[name], equal_nan=True)
    }
    return Around(other, evidence.parameters, evidence.around, evidence.own.shape)
