"""Why an answer changed: the layer in which the port leaves the original on that sample."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parity.layers.result import LayerResult, LayersResult
from parity.layers.run import LayerRun
from parity.tolerance import LIMITS
from porters.porter import Original, PrecisionUnavailableError
from zoo.artifact import Artifact
from zoo.executor import Session, is_chip, load
from zoo.inputs import Feed


@dataclass(frozen=True)
class Explanation:
    """The layer behind a changed answer.

    Attributes:
        reason: ``wrong``: the first layer whose own error is beyond its limit; ``decision``: no layer is wrong, and
            this is the first whose decisions (a ranking, a threshold) fell otherwise; ``noise``: neither, and this one
            adds the most error of its own (in units of the original's rounding; on a chip relative
            to its result); ``unknown``: layers cannot be compared, ``note`` says why.
        layer: Its result in the source's graph.
        module: Path of the module.
        source: Source operator.
        line: File and line of the source.
        injected: What it adds on the original's inputs, relative to its result.
        single: The same in units of the original's own rounding.
        limit: The most that ``single`` may be.
        arrived: Relative error of what it makes on its own inputs, beside itself on the original's.
        note: What a person should know.
    """

    reason: str
    layer: str = ""
    module: str = ""
    source: str = ""
    line: str = ""
    injected: float = 0.0
    single: float = 0.0
    limit: float = 0.0
    arrived: float = 0.0
    note: str = ""


def explain(artifact: Artifact, original: Original, on: str, feeds: Sequence[Feed]) -> Explanation:
    """Compare the layers of the port's graph with the original's on the feeds of one sample.

    Layers run one by one, unoptimised, on ONNX Runtime or each compiled for the chip.
    """
    if on != "onnxruntime" and not is_chip(on):
        return Explanation("unknown", note=f"layers are compared on onnxruntime and on chips, not on {on}")
    with tempfile.TemporaryDirectory() as folder:

        def load_layer(model: bytes) -> Session:
            file = Path(folder) / "layer.onnx"
            file.write_bytes(model)
            return load(file, on, optimize=False)

        try:
            run = LayerRun(artifact, original, LIMITS["fp32"], load_layer)
            for feed in feeds:
                run.run(feed)
        except PrecisionUnavailableError as error:
            return Explanation("unknown", note=f"the original cannot be run layer by layer: {error}")
    return explanation(run.result(), reduced=is_chip(on))


def explanation(result: LayersResult, *, reduced: bool = False) -> Explanation:
    """Return the layer that stands out: the first wrong one, else the first decision, else the noisiest.

    Args:
        result: What was found of every layer.
        reduced: Whether the port ran in less precision than the original: every matrix product is then beyond the
            original's own rounding and none of them wrong by that.
    """
    if result.first_divergence is not None and not reduced:
        return _of("wrong", result.first_divergence)
    decision = next((layer for layer in result.layers if layer.flipped), None) if reduced else result.first_decision
    if decision is not None:
        return _of("decision", decision)
    layers = [layer for layer in result.layers if layer.single == layer.single]
    if not layers:
        return Explanation("unknown", note="original and port have no layer in common")
    return _of("noise", max(layers, key=lambda layer: layer.injected if reduced else layer.single))


def _of(reason: str, layer: LayerResult) -> Explanation:
    return Explanation(
        reason, layer.node, layer.module, layer.source, layer.line, layer.injected, layer.single, layer.limit,
        layer.inherited, layer.note,
    )  # fmt: skip
