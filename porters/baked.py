"""Finds sizes of the example that were baked into a graph: the model is ported again with others, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.porter import Original, Porter, Ranges
from zoo.graph import is_parameter
from zoo.inputs import InputSpec, sample


def find_baked(porter: Porter, original: Original, model: ir.Model, dynamic: Ranges) -> list[str]:
    """Return a sentence for each constant of ``model`` that is another one when the example inputs are larger.

    Args:
        porter: The porter that has translated ``model``.
        original: The original it was translated from.
        model: The graph, as translated.
        dynamic: The ranges of symbolic dimensions that it was translated with.
    """
    larger = _larger(original.inputs, dynamic)
    if not larger:
        return []
    outputs = original.outputs
    again = porter.translate(original, dynamic=larger).model
    original.outputs = outputs
    first, second = list(model.graph.all_nodes()), list(again.graph.all_nodes())
    if [node.op_type for node in first] != [node.op_type for node in second]:
        return [f"the graph depends on the example's sizes: {len(first)} nodes against {len(second)} with larger ones"]
    found = []
    for a, b in zip(first, second, strict=True):
        found += [f"{_place(a)}: {what}" for what in _differences(a, b)]
    return found


def _larger(specs: Sequence[InputSpec], dynamic: Ranges) -> dict[str, tuple[int, int | None]]:
    """Return ranges that begin one beyond the sizes that the example had."""
    feed = sample(specs, 0)
    larger: dict[str, tuple[int, int | None]] = {}
    for spec in specs:
        for axis, dim in enumerate(spec.shape):
            if isinstance(dim, str):
                low, high = dynamic.get(dim, (2, None))
                size = max(low, 2, int(feed[spec.name].shape[axis])) + 1
                if high is None or size <= high:
                    larger[dim] = (size, high)
    return larger


def _differences(a: ir.Node, b: ir.Node) -> list[str]:
    found = []
    for position, (x, y) in enumerate(zip(a.inputs, b.inputs, strict=False)):
        mine, theirs = _constant(x), _constant(y)
        if mine is not None and theirs is not None and not np.array_equal(mine, theirs, equal_nan=_is_float(mine)):
            found.append(f"input {position} is {_short(mine)}, with larger examples {_short(theirs)}")
    mine_attributes, their_attributes = _plain(a), _plain(b)
    for name, value in mine_attributes.items():
        if their_attributes.get(name) != value:
            found.append(f"{name} is {value}, with larger examples {their_attributes.get(name)}")
    return found


def _constant(value: ir.Value | None) -> np.ndarray | None:
    if value is None or value.const_value is None or is_parameter(value):
        return None
    return value.const_value.numpy()


def _is_float(array: np.ndarray) -> bool:
    return array.dtype.kind == "f"


def _plain(node: ir.Node) -> Mapping[str, Any]:
    kinds = (ir.AttributeType.INT, ir.AttributeType.INTS, ir.AttributeType.FLOAT, ir.AttributeType.FLOATS)
    return {name: item.value for name, item in node.attributes.items() if item.type in kinds}


def _short(array: np.ndarray) -> str:
    return str(array.tolist()) if array.size <= 8 else f"{array.dtype}{list(array.shape)}"


def _place(node: ir.Node) -> str:
    props = node.metadata_props
    parts = [node.op_type, props.get("zooport.module", ""), props.get("zooport.line", "")]
    return " ".join(part for part in parts if part)
