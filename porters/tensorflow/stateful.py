"""Layers that keep a state between calls (``stateful=True``): the state becomes an input and an output of the port."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from porters.tensorflow.original import KerasOriginal
from porters.tensorflow.signature import unique
from zoo.inputs import InputSpec


def with_states(original: KerasOriginal) -> KerasOriginal:
    """Return the original with the states of its layers as its last inputs and its last outputs, if it has any."""
    found = _states(original.model)
    if not found:
        return original
    names = _names(original.inputs, found)
    after = unique([*original.outputs, *(f"{path}/next_state_{at}" for path, at, _ in found)])
    specs = [
        InputSpec(name, str(np.dtype(variable.dtype)), tuple(variable.shape))
        for name, (_, _, variable) in zip(names, found, strict=True)
    ]
    layers = ", ".join(dict.fromkeys(path for path, _, _ in found))
    note = (
        f"the states of {layers} are the inputs {', '.join(names)}, zeros at first, and the outputs"
        f" {', '.join(after[len(original.outputs) :])}, which are the inputs of the next call"
    )
    notes = [*original.details.get("notes", ()), note]
    return replace(
        original,
        inputs=[*original.inputs, *specs],
        outputs=after,
        states=[variable for _, _, variable in found],
        details={**original.details, "notes": notes},
    )


def without_states(model: Any, own: Sequence[InputSpec], given: Sequence[InputSpec]) -> list[InputSpec]:
    """Return the given inputs of a model that are none of its states, which a port that is opened again has too."""
    names = _names(own, _states(model))
    return [spec for spec in given if spec.name not in names]


def _names(own: Sequence[InputSpec], found: Sequence[tuple[str, int, Any]]) -> list[str]:
    return unique([*(spec.name for spec in own), *(f"{path}/state_{at}" for path, at, _ in found)])[len(own) :]


def _states(model: Any) -> list[tuple[str, int, Any]]:
    """Return (path of the layer, number, variable) of each state that a layer keeps."""
    import keras

    found: dict[int, tuple[str, int, Any]] = {}
    for layer in model._flatten_layers(include_self=False):
        if getattr(layer, "stateful", False) and getattr(layer, "states", None) is not None:
            states = [item for item in keras.tree.flatten(layer.states) if isinstance(item, keras.Variable)]
            # A layer around others lists their states too: they are called after the innermost.
            found |= {id(state): (layer.path, at, state) for at, state in enumerate(states)}
    return list(found.values())
