"""What is said of one layer of a port."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerResult:
    """How far a layer's result is from the original's, and which part of that is its own doing.

    Distances are L2 norms relative to the original's result, pooled over the inputs. ``ratio`` and ``single`` are in
    units of the original's own rounding, as an output's noise budget is.

    Attributes:
        source: Source operator.
        module: Path of the module or layer.
        line: File and line of the source.
        node: Handle of the source's result.
        op: The operators of the port.
        shape: Shape of the result in the last case.
        dtype: Its dtype.
        inherited: What came with its inputs: its result on its own inputs against that on the original's.
        injected: What it adds: its result on the original's inputs against the original's result.
        amplified: How many times larger an error leaves than came in; NaN where none came in.
        ratio: ``||P - T||`` over ``||R - T||``, everything on its own inputs from the beginning.
        single: The same of this one layer on the original's inputs.
        limit: The most that ``single`` may be.
        mismatches: Elements that differ, for integers.
        flipped: Integers and booleans that differ, original and port each on its own inputs: decisions (a ranking, a
            threshold) that fell otherwise.
        effect: How far the outputs move, relative, where this layer alone is the port's; NaN where that was not looked
            at: it is for the layers with the most error of their own.
        verdict: ``pass``, ``fail``, ``runtime`` where the graph is right and the runtime's kernel less exact than
            upstream's, or ``not run`` where the runtime does not take the layer alone.
        probe: The probe that the entry is of, where it says more against the layer than ordinary inputs do; else empty.
        note: What a person should know.
    """

    source: str
    module: str
    line: str
    node: str
    op: str
    shape: list[int]
    dtype: str
    inherited: float
    injected: float
    amplified: float
    ratio: float
    single: float
    limit: float
    mismatches: int
    verdict: str
    probe: str = ""
    note: str = ""
    flipped: int = 0
    effect: float = float("nan")


@dataclass(frozen=True)
class LayersResult:
    """Every layer in order.

    Attributes:
        layers: One entry for each result that original and port have in common.
        outputs: The outputs of the port that its layers make; a port made by another exporter has no layers.
        unmatched: Results of the original that the port does not have: fused, folded, or without effect.
        peak_rss_bytes: The process's peak of resident memory after the run, frameworks included.
    """

    layers: list[LayerResult]
    outputs: list[str]
    unmatched: int
    peak_rss_bytes: int

    @property
    def worst(self) -> float:
        """The largest ratio that a layer has by its own doing on ordinary inputs."""
        return max((layer.single for layer in self.layers if not layer.probe), default=0.0)

    @property
    def first_decision(self) -> LayerResult | None:
        """The first layer whose decisions fell otherwise in the port although the layer itself is right."""
        return next((layer for layer in self.layers if layer.flipped and layer.verdict == "pass"), None)

    def before(self, layer: LayerResult) -> list[LayerResult]:
        """Return the layers before ``layer``, in the port's order."""
        return self.layers[: self.layers.index(layer)]

    @property
    def first_divergence(self) -> LayerResult | None:
        """The first layer that is wrong by its own doing."""
        return next((layer for layer in self.layers if layer.verdict == "fail"), None)
