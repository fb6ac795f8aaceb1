"""Sets in the rows of dense and sparse tensors: their sizes, unions, intersections and differences."""

from __future__ import annotations

import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.coordinates import (
    LONG,
    chosen,
    coordinates,
    counting,
    distinct_rows,
    extents,
    filled,
    length,
    listed,
    places,
    rank_of,
    summed,
    vector,
    within,
)
from porters.tensorflow.dims import from_array, product
from porters.tensorflow.formula import Formula, formula, number, sizes
from porters.tensorflow.node import Node
from porters.tensorflow.ops.sorting import result_dtype
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor

INT = ir.DataType.INT32


def _pairs(rows: Formula, values: Formula) -> Formula:
    """Return the row and the value of each element."""
    return rows.unsqueeze(1).of("Concat", values.cast(LONG).unsqueeze(1), axis=1)


def _of_sparse(ctx: Context, index: Tensor, values: Tensor, shape: Tensor) -> tuple[Formula, list[Formula]]:
    """Return the elements of a sparse tensor's rows, and the sizes in front of the last axis."""
    rank = rank_of(shape)
    lead = extents(ctx, formula(ctx, shape, dtype=LONG), rank - 1)
    rows = places(ctx, formula(ctx, index, dtype=LONG), lead, list(range(rank - 1)))
    return _pairs(rows, formula(ctx, values)), lead


def _of_dense(ctx: Context, x: Tensor) -> tuple[Formula, list[Formula]]:
    count = sizes(ctx, [product(x.shape)])
    rows = counting(ctx, count) / sizes(ctx, x.shape[-1:])
    return _pairs(rows, formula(ctx, x).reshape([-1])), extents(ctx, sizes(ctx, x.shape[:-1]), x.rank - 1)


def _height(ctx: Context, lead: list[Formula]) -> Formula:
    return vector(ctx, lead).of("ReduceProd", [0], keepdims=1)


@translates("SetSize")
def set_size(ctx: Context, node: Node, index: Tensor, values: Tensor, shape: Tensor) -> Tensor:
    """Translate how many different values each row of a sparse tensor has."""
    pairs, lead = _of_sparse(ctx, index, values, shape)
    found, _ = distinct_rows(pairs)
    rows = found.take(0, 1)
    total = summed(filled(ctx, _height(ctx, lead), 0, INT), rows, filled(ctx, length(rows), 1, INT))
    known = shape.array
    extent = tuple(ctx.unknown() for _ in lead) if known is None else from_array(known)[:-1]
    return total.reshape(vector(ctx, lead)).held(extent)


@translates("DenseToDenseSetOperation")
def dense_to_dense(ctx: Context, node: Node, a: Tensor, b: Tensor) -> list[Tensor]:
    """Translate an operation on the sets in the rows of two dense tensors."""
    pairs, lead = _of_dense(ctx, a)
    return _joined(ctx, node, pairs, _of_dense(ctx, b)[0], lead)


@translates("DenseToSparseSetOperation")
def dense_to_sparse(ctx: Context, node: Node, a: Tensor, *b: Tensor) -> list[Tensor]:
    """Translate an operation on the sets in the rows of a dense and a sparse tensor."""
    pairs, lead = _of_dense(ctx, a)
    return _joined(ctx, node, pairs, _of_sparse(ctx, *b)[0], lead)


@translates("SparseToSparseSetOperation")
def sparse_to_sparse(ctx: Context, node: Node, *operands: Tensor) -> list[Tensor]:
    """Translate an operation on the sets in the rows of two sparse tensors."""
    pairs, lead = _of_sparse(ctx, *operands[:3])
    return _joined(ctx, node, pairs, _of_sparse(ctx, *operands[3:])[0], lead)


def _joined(ctx: Context, node: Node, a: Formula, b: Formula, lead: list[Formula]) -> list[Tensor]:
    """Return the elements that an operation keeps, as a sparse tensor whose rows are in order."""
    found, which = distinct_rows(a.of("Concat", b, axis=0))
    nothing, first = filled(ctx, length(found), 0, INT), length(a)
    parts = which.of("Slice", number(ctx, [0], LONG), first), which.of("Slice", first, length(which))
    met = [summed(nothing, part, filled(ctx, length(part), 1, INT), "max") > 0 for part in parts]
    kept = chosen(found, _stays(node, *met))
    rows = kept.take(0, 1)
    columns, counts = within(rows, _height(ctx, lead))
    # One more zero: there may be no row at all.
    width = counts.of("Concat", number(ctx, [0], LONG), axis=0).reduce("ReduceMax", [0])
    index = coordinates(ctx, rows, lead).of("Concat", columns.unsqueeze(1), axis=1)
    values = kept.take(1, 1).cast(result_dtype(node, 1))
    return listed(index, values, vector(ctx, [*lead, width]), (ctx.unknown(), len(lead) + 1))


def _stays(node: Node, a: Formula, b: Formula) -> Formula:
    name = node.attr("set_operation")
    text = (name.decode() if isinstance(name, bytes) else str(name)).lower()
    return {"a-b": a & ~b, "b-a": b & ~a, "intersection": a & b, "union": a | b}[text]
