"""Puts what the layers say into a verdict and its words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parity.layers.result import LayerResult, LayersResult

if TYPE_CHECKING:
    from parity.harness import ParityResult


def with_layers(result: ParityResult, layers: LayersResult) -> ParityResult:
    """Return the verdict with the layers and the first wrong one; a port with a wrong layer fails."""
    first = layers.first_divergence
    notes = [*result.notes, *layers.notes]
    if layers.unmatched:
        notes.append(f"{layers.unmatched} results of the original are fused, folded or without effect in the port")
    if layers.outputs_agree is False:
        notes.append("the layers one by one do not make the outputs of the whole port: look at them with care")
    idle = [layer for layer in layers.layers if layer.verdict == "not run"]
    if idle:
        notes.append(f"{len(idle)} layers were not run alone: {idle[0].note}")
    words = result.diagnosis
    if first is not None:
        words = "; ".join(filter(None, [_words(first), words]))
    return replace(
        result,
        layers=layers.layers,
        first_divergence=first.node if first else None,
        diagnosis=words,
        verdict="fail" if first else result.verdict,
        notes=notes,
        peak_rss_bytes=layers.peak_rss_bytes,
    )


def _words(layer: LayerResult) -> str:
    place = ", ".join(filter(None, [layer.module, layer.line]))
    why = layer.note or (
        f"on the original's own inputs it is {layer.single:.3g} times as far from the truth as the original "
        f"(limit {layer.limit:g})"
    )
    return f"the first wrong layer is {layer.node} ({layer.op} for {layer.source}; {place}): {why}"
