"""Seeded weights that let a model decide something: what comes in reaches the outputs, no scale is lost on the way."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def keep_variance(model: torch.nn.Module) -> None:
    """Scale up every matrix that passes on less variance than it gets, so that what comes in reaches the outputs.

    transformers draws weights with a standard deviation of 0.02, which suits layers 2500 wide: there a matrix keeps
    the variance (LeCun et al., 1998). In a configuration made 64 wide each passes on a fortieth of it: after a few
    layers without a norm the signal is below the rounding of a bias, attention is uniform, and a port of such a model
    could not be told from one that ignores its input. What passes on as much or more is left as its authors drew it.
    """
    import torch

    done: set[int] = set()
    with torch.no_grad():
        for module in model.modules():
            for name, weight in module.named_parameters(recurse=False):
                fan_in = _fan_in(module, name, weight)
                if fan_in is None or id(weight) in done:
                    continue
                done.add(id(weight))
                spread = float(weight.std()) * fan_in**0.5
                if 0.0 < spread < 1.0:
                    weight.div_(spread)


def _fan_in(module: torch.nn.Module, name: str, weight: torch.Tensor) -> int | None:
    """Return how many values a matrix sums up for each of its results; None for what is no matrix of a layer."""
    import torch

    if weight.dim() < 2 or not weight.is_floating_point() or not weight.numel():
        return None
    if isinstance(module, torch.nn.modules.conv._ConvNd) and module.transposed and name == "weight":
        return int(weight[:, 0].numel() // (module.groups * math.prod(module.stride)))
    if isinstance(module, (torch.nn.Linear, torch.nn.modules.conv._ConvNd)) and name == "weight":
        return int(weight[0].numel())
    # The matrices of experts stand in one tensor, either way round.
    return max(weight.shape[1:]) if weight.dim() == 3 and name.endswith("proj") else None


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
