"""Holds the TensorFlow porter against every layer class of Keras, option by option.

    python -m tests.coverage.keras_layers -o OUT.jsonl [--only PATTERN] [--again]
    python -m tests.coverage.keras_layers -o OUT.jsonl --table > docs/keras-layers.md

A layer is right only if every case of it is. A run that is stopped goes on where it was.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import numpy as np

from porters.source import SourceOptions
from tests.coverage.keras_samples import Case, cases
from tests.coverage.tf_command import run
from tests.coverage.tf_judge import STATUSES, Row, Verdict, ported, short
from tests.coverage.tf_samples.sample import B, Draw
from tests.coverage.tf_table import layers_page


def model_of(case: Case) -> Any:
    """Return a model of one layer whose weights are all different from their initial values."""
    import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    inputs = [keras.Input(shape, dtype=case.dtype, name=f"x{at}") for at, shape in enumerate(case.shapes)]
    layer = case.make()
    merges = isinstance(layer, keras.layers.Layer) and _takes_a_list(layer)
    model = keras.Model(inputs, layer(inputs) if merges and len(inputs) > 1 else layer(*inputs))
    random = np.random.default_rng(7)
    for variable in model.weights:
        if "seed" not in variable.path and np.issubdtype(np.dtype(variable.dtype), np.floating):
            noise = random.uniform(0.5, 1.5, variable.shape) * random.choice([-0.4, 0.6], variable.shape)
            variable.assign(np.abs(noise) if "variance" in variable.path else noise)
    return model


def _takes_a_list(layer: Any) -> bool:
    from keras.src.layers.merging.base_merge import Merge

    return isinstance(layer, Merge) or type(layer).__name__ in ("Attention", "AdditiveAttention")


def judge(case: Case) -> Verdict:
    """Port a case with an open batch and compare for each size of it."""
    try:
        model = model_of(case)
    except Exception as error:
        return Verdict("no kernel", f"Keras does not build it: {short(error)}")
    inputs = {f"x{at}": _draw(case, shape) for at, shape in enumerate(case.shapes)}
    return ported(model, SourceOptions(), inputs)


def _draw(case: Case, shape: tuple[int | None, ...]) -> Draw:
    extent = (B, *(dim or 6 for dim in shape))
    if case.dtype == "float32":
        return Draw(extent, case.dtype, lambda random, sizes: random.standard_normal(sizes))
    return Draw(extent, case.dtype, lambda random, sizes: random.integers(0, case.high, sizes))


def judge_layer(name: str, group: list[Case]) -> Row:
    """Judge every case of a layer."""
    found = [(item, judge(item)) for item in group]
    counts = Counter(verdict.status for _, verdict in found)
    # What TensorFlow has no kernel for on a CPU says nothing about the rest.
    status = next(item for item in (*STATUSES[:3], "right", "no kernel") if counts[item])
    reasons = [f"{item.label}: {verdict.reason}" for item, verdict in found if verdict.status != "right"]
    nodes = max(verdict.nodes for _, verdict in found)
    return Row(
        name, status, len(found), dict(counts), nodes, sum(verdict.wide for _, verdict in found), " | ".join(reasons)
    )


def groups() -> dict[str, list[Case]]:
    """Return the cases of each layer by its name."""
    found: dict[str, list[Case]] = {}
    for item in cases():
        found.setdefault(item.layer, []).append(item)
    return found


def main() -> int:
    """Go over the layers."""
    return run(__doc__, groups, judge_layer, layers_page)


if __name__ == "__main__":
    sys.exit(main())
