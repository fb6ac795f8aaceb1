"""Holds the TensorFlow porter against every layer class of Keras, option by option.

    python -m tests.coverage.keras_layers -o OUT.jsonl [--only PATTERN] [--again]
    python -m tests.coverage.keras_layers -o OUT.jsonl --table > docs/keras-layers.md

A layer is right only if every case of it is. A run that is stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from porters.from_tensorflow import PORTER
from porters.porter import UnsupportedOpsError
from porters.source import SourceOptions
from porters.tensorflow import runtime
from porters.tensorflow.sources import open_live
from tests.coverage.keras_samples import Case, cases
from tests.coverage.tf_judge import PLUMBING, STATUSES, Row, Verdict, compared, short
from tests.coverage.tf_samples.sample import B, Draw
from zoo import store

MATTERS = ("wrong", "broken")


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
    try:
        original = open_live(model, SourceOptions())
        translation = PORTER.translate(original)
    except UnsupportedOpsError as error:
        return Verdict("unsupported", "; ".join(sorted({f"{item.op}: {item.hint}" for item in error.ops})))
    except Exception as error:
        return Verdict("broken", f"translation: {short(error)}")
    nodes = sum(node.op_type not in PLUMBING for node in translation.model.graph)
    with tempfile.TemporaryDirectory() as directory:
        store.save(translation.model, Path(directory))
        return compared(inputs, original, Path(directory) / "model.onnx", nodes)


def _draw(case: Case, shape: tuple[int | None, ...]) -> Draw:
    extent = (B, *(dim or 6 for dim in shape))
    if case.dtype == "float32":
        return Draw(extent, case.dtype, lambda random, sizes: random.standard_normal(sizes))
    return Draw(extent, case.dtype, lambda random, sizes: random.integers(0, case.high, sizes))


def main() -> int:
    """Go over the layers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--only", default="*", help="names of classes, as a shell pattern; several with commas")
    parser.add_argument("--again", action="store_true", help="judge the chosen layers anew")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this long")
    parser.add_argument("--table", action="store_true", help="print the page only")
    options = parser.parse_args()
    runtime.keras()
    from tests.coverage.tf_raw_ops import read

    rows = read(options.out)
    if options.table:
        from tests.coverage.tf_table import layers_page

        sys.stdout.write(layers_page(rows))
        return 0
    ends = time.monotonic() + options.minutes * 60
    groups: dict[str, list[Case]] = {}
    for item in cases():
        groups.setdefault(item.layer, []).append(item)
    for name, group in sorted(groups.items()):
        chosen = any(fnmatch.fnmatchcase(name, pattern) for pattern in options.only.split(","))
        if time.monotonic() > ends or not chosen or (name in rows and not options.again):
            continue
        started = time.monotonic()
        rows[name] = judge_layer(name, group)
        with options.out.open("a") as file:
            file.write(json.dumps(asdict(rows[name])) + "\n")
        took = time.monotonic() - started
        sys.stderr.write(f"{name:40} {rows[name].status:12} {took:5.1f} s  {rows[name].reason[:300]}\n")
    return 1 if any(row.status in MATTERS for row in rows.values()) else 0


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


if __name__ == "__main__":
    sys.exit(main())
