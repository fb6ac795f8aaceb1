"""Seeded weights that let a model decide something: layers of which nothing else keeps the scale get unit variance."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextlib.contextmanager
def unit_variance(model: torch.nn.Module) -> Iterator[None]:
    """Scale, in the first run inside, every linear and convolution layer with a bias so that what it adds varies by 1.

    Initialisers make a detector's heads so quiet that every class has the same score, and nothing passes the
    thresholds behind them: the port of such a model would be compared on empty outputs. This is the layer-sequential
    unit-variance initialisation (Mishkin and Matas, 2016). Layers without a bias stand before a norm, which keeps
    their scale.
    """
    import torch

    kinds = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    layers = [layer for layer in model.modules() if isinstance(layer, kinds) and layer.bias is not None]
    handles = {layer: layer.register_forward_hook(_scale_once(set())) for layer in layers}
    try:
        yield
    finally:
        for handle in handles.values():
            handle.remove()


def _scale_once(done: set[Any]) -> Any:
    """Return a forward hook; a layer that is used several times is scaled by its first use."""

    def hook(layer: Any, _: Any, output: torch.Tensor) -> torch.Tensor | None:
        if layer in done or output.numel() < 2:
            return None
        done.add(layer)
        bias = layer.bias if output.dim() < 3 or hasattr(layer, "in_features") else layer.bias[:, None, None]
        spread = float((output - bias).std())
        if not 0.0 < spread < float("inf"):
            return None
        layer.weight.data /= spread
        return (output - bias) / spread + bias

    return hook
