"""Weights that are not upstream's bit for bit, but computed from upstream's by a declared change that can be redone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

# Key in a weight's metadata that says how its axes were permuted when it was written, e.g. ``HWIO->OIHW``; an axis of
# size one that was put in or taken out is a 1: ``IO->OI11``.
LAYOUT = "zooport.layout"
# Key in a weight's metadata that holds the recipe by which it was computed.
DERIVED = "zooport.derived"


@dataclass(frozen=True)
class Recipe:
    """How a weight was computed.

    Attributes:
        rule: One of :data:`RULES`.
        of: Role of each upstream weight in the rule -> its upstream name.
        layouts: Upstream name -> the permutation of its axes that comes first, where there is one.
        epsilon: The constant under the root, for norms.
    """

    rule: str
    of: Mapping[str, str]
    layouts: Mapping[str, str]
    epsilon: float = 0.0

    def dump(self) -> str:
        """Return the recipe as it stands in a tensor's metadata."""
        return json.dumps(asdict(self), sort_keys=True)


def load_recipe(text: str) -> Recipe:
    """Return the recipe that :meth:`Recipe.dump` wrote.

    Raises:
        ValueError: If it is none.
    """
    try:
        recipe = Recipe(**json.loads(text))
    except TypeError as error:
        raise ValueError(f"no recipe: {error}") from error
    if recipe.rule not in RULES:
        raise ValueError(f"unknown rule {recipe.rule!r}")
    return recipe


def relaid(array: np.ndarray, layout: str) -> np.ndarray:
    """Return ``array`` with its axes as ``layout`` says: ``HWIO->OIHW``; in ``C->C11`` two axes are new."""
    before, _, after = layout.partition("->")
    kept = array.reshape([size for axis, size in zip(before, array.shape, strict=True) if axis != "1"])
    names = before.replace("1", "")
    turned = kept.transpose([names.index(axis) for axis in after if axis != "1"])
    sizes = iter(turned.shape)
    return turned.reshape([1 if axis == "1" else next(sizes) for axis in after])


def evaluate(recipe: Recipe, upstream: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the weight that ``recipe`` makes of the upstream weights.

    Raises:
        KeyError: If an upstream weight is missing.
    """
    parts = {
        role: relaid(upstream[name], recipe.layouts[name]) if name in recipe.layouts else upstream[name]
        for role, name in recipe.of.items()
    }
    result = RULES[recipe.rule](parts, recipe.epsilon)
    dtype = next(iter(parts.values())).dtype
    return np.ascontiguousarray(result.astype(dtype))


def _factor(parts: Mapping[str, np.ndarray], epsilon: float) -> np.ndarray:
    """What a batch norm multiplies each channel by: scale (or 1) / sqrt(variance + epsilon), in float64."""
    scale = parts["scale"].astype(np.float64) if "scale" in parts else 1.0
    factor: np.ndarray = scale / np.sqrt(parts["variance"].astype(np.float64) + epsilon)
    return factor


def _batch_norm_weight(parts: Mapping[str, np.ndarray], epsilon: float) -> np.ndarray:
    """Return the weight of a convolution with the batch norm behind it; output channels are axis 0."""
    weight = parts["weight"].astype(np.float64)
    folded: np.ndarray = weight * _factor(parts, epsilon).reshape(-1, *[1] * (weight.ndim - 1))
    return folded


def _batch_norm_bias(parts: Mapping[str, np.ndarray], epsilon: float) -> np.ndarray:
    """Return the bias of a convolution with the batch norm behind it."""
    bias = parts["bias"].astype(np.float64) if "bias" in parts else 0.0
    folded: np.ndarray = (bias - parts["mean"].astype(np.float64)) * _factor(parts, epsilon)
    return folded + parts["shift"].astype(np.float64) if "shift" in parts else folded


# Rule -> the function of the upstream weights by role, and of epsilon. Computed in float64, rounded once.
RULES: Mapping[str, Callable[[Mapping[str, np.ndarray], float], np.ndarray]] = {
    "batch_norm_weight": _batch_norm_weight,
    "batch_norm_bias": _batch_norm_bias,
}
