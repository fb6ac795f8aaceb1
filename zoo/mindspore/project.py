"""Writes the project: source, weights under MindSpore's names, and the ledger of every one of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from zoo.artifact import Artifact
from zoo.mindspore.emit import Emitted, array_of, emitted
from zoo.mindspore.helpers import helper_source
from zoo.mindspore.makers import Weight
from zoo.record import dumps
from zoo.store import read_tensor

MODEL, LAYERS, WEIGHTS, LEDGER, SIGNATURE = (
    "model.py",
    "layers.py",
    "model.safetensors",
    "ledger.json",
    "signature.json",
)
_HEADER_BYTES = 8


@dataclass(frozen=True)
class Signature:
    """What a project's ``signature.json`` says: its class, its inputs and outputs in order."""

    class_name: str
    inputs: list[dict[str, Any]]
    outputs: list[str]


def write_model(model: ir.Model, folder: Path, name: str, description: str) -> Emitted:
    """Write the source, ``model.safetensors``, ``ledger.json`` and ``signature.json``.

    Args:
        model: The graph.
        folder: Where the files go.
        name: What the class is called where upstream does not say.
        description: The docstring of ``model.py``.

    Raises:
        UserError: Naming every node that cannot be said in MindSpore.
    """
    made = emitted(model, name, description)
    (folder / MODEL).write_text(made.text, encoding="utf-8")
    if made.helpers:
        (folder / LAYERS).write_text(helper_source(made.helpers), encoding="utf-8")
    _write_weights(made.weights, folder / WEIGHTS)
    (folder / LEDGER).write_text(dumps(_ledger(made)), encoding="utf-8")
    signature = Signature(made.class_name, [_described(v) for v in model.graph.inputs], _outputs(model))
    (folder / SIGNATURE).write_text(dumps(signature), encoding="utf-8")
    return made


def _outputs(model: ir.Model) -> list[str]:
    return [str(value.name) for value in model.graph.outputs]


def _described(value: ir.Value) -> dict[str, Any]:
    sizes = [dim if isinstance(dim, int) else dim.value for dim in value.shape or ()]
    assert value.dtype is not None
    return {"name": value.name, "dtype": str(value.dtype.numpy()), "shape": sizes}


# -- weights --------------------------------------------------------------------------------------------------------

_DTYPES = {
    "float32": "F32", "float64": "F64", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64", "bool": "BOOL",
}  # fmt: skip


def _write_weights(weights: Mapping[str, Weight], file: Path) -> None:
    """Write a safetensors file, one parameter after the other.

    https://huggingface.co/docs/safetensors, section "Format".
    """
    header: dict[str, Any] = {}
    end = 0
    order = sorted(weights, key=lambda name: (-_itemsize(weights[name]), name))
    for name in order:
        value = weights[name].value
        assert value.dtype is not None
        assert value.const_value is not None
        begin, end = end, end + value.const_value.nbytes
        header[name] = {
            "dtype": _DTYPES[str(value.dtype.numpy())],
            "shape": list(weights[name].shape()),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _HEADER_BYTES)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(_HEADER_BYTES, "little") + text)
        for name in order:
            stream.write(array_of(weights[name]).reshape(-1).view(np.uint8).data)


def _itemsize(weight: Weight) -> int:
    return int(weight.value.dtype.itemsize) if weight.value.dtype is not None else 0


def _ledger(made: Emitted) -> dict[str, Any]:
    """Return what became of every weight: names, shapes and sha256 before and after, as in a weight map's ledger."""
    entries = []
    for name, weight in made.weights.items():
        assert weight.value.const_value is not None
        before, after = read_tensor(weight.value.const_value), array_of(weight)
        entries.append(
            {
                "rule": weight.change or "rename",
                "sources": [_line(str(weight.value.name), before)],
                "targets": [_line(name, after)],
                "exact": True,
            }
        )
    return {"entries": entries, "tied": dict(made.tied), "totals": {"produced": len(entries), "tied": len(made.tied)}}


def _line(name: str, array: np.ndarray) -> dict[str, Any]:
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"name": name, "shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest}


def write_for_running(model: Path, folder: Path) -> None:
    """Write what the executor needs of a project for the ONNX file ``model``."""
    write_model(ir.load(model), folder, "Model", "A model of the zoo.")


def class_name_of(artifact: Artifact) -> str:
    """Return a class name made of the card's."""
    words = "".join(char if char.isalnum() else " " for char in str(artifact.card()["name"])).split()
    text = "".join(word[:1].upper() + word[1:] for word in words)
    return text if text[:1].isalpha() else f"Model{text}"
