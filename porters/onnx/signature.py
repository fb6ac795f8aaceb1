"""The signature of an ONNX file: names for its symbolic dimensions, and how its inputs are to be drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir

from zoo.errors import UserError
from zoo.inputs import DTYPES, InputSpec, guess_kind, is_integer

# Pixels along a symbolic side of an image, and the least of them: downsampling by 32 is common.
_SIDE, _LEAST_SIDE = 64, 32
# What hands indices on as they are.
_PASSING = ("Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Slice", "Transpose")


def signature(model: ir.Model, file: Path) -> list[InputSpec]:
    """Return the inputs of ``model``.

    A dimension without a name gets one: ``batch`` for the first axis, input and axis elsewhere. An integer input whose
    values index a table of the graph is drawn from that table's rows.

    Raises:
        UserError: If an input is no tensor, has no rank, or a type that nothing feeds.
    """
    return [_spec(value, file) for value in model.graph.inputs]


def _spec(value: ir.Value, file: Path) -> InputSpec:
    name = str(value.name)
    dtype = "" if value.dtype is None else value.dtype.name.lower()
    dtype = {"float": "float32", "double": "float64"}.get(dtype, dtype)
    if dtype not in DTYPES or value.shape is None:
        raise UserError(
            f"the input {name!r} cannot be fed",
            place=str(file),
            expected=f"a tensor of known rank, of {', '.join(DTYPES)}",
            got=f"{value.type} of shape {value.shape}",
        )
    shape = tuple(_dimension(item, name, axis) for axis, item in enumerate(value.shape))
    kind = guess_kind(name, dtype, shape)
    rows = _rows(value) if is_integer(dtype) else 0
    sides = [dim for dim in shape[2:] if isinstance(dim, str)] if kind == "image" else []
    return InputSpec(
        name,
        dtype,
        shape,
        kind,
        high=rows or 2,
        sizes=dict.fromkeys(sides, _SIDE),
        least=dict.fromkeys(sides, _LEAST_SIDE),
    )


def _dimension(item: int | ir.SymbolicDim, name: str, axis: int) -> int | str:
    if isinstance(item, int):
        return item
    said = re.sub(r"\W+", "_", item.value or "").strip("_")
    if said and not said[0].isdigit():
        return said
    return "batch" if axis == 0 else f"{re.sub(r'[^0-9A-Za-z]+', '_', name).strip('_')}_{axis}"


def _rows(value: ir.Value) -> int:
    """Return the least number of rows among the tables that ``value`` indexes, 0 where it indexes none."""
    rows = [table.shape[0] for table in _tables(value, 0) if table.shape is not None and len(table.shape)]
    return min((int(row) for row in rows if isinstance(row, int)), default=0)


def _tables(value: ir.Value, depth: int) -> Iterator[ir.Value]:
    for node, place in value.uses():
        if node.op_type == "Gather" and place == 1:
            table = node.inputs[0]
            axis = node.attributes.get_int("axis", 0)
            if table is not None and table.is_initializer() and axis == 0:
                yield table
        elif node.op_type in _PASSING and place == 0 and depth < 4:
            yield from _tables(node.outputs[0], depth + 1)
