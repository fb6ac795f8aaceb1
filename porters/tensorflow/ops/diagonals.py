"""Diagonals and bands of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape
from porters.tensorflow.formula import formula, number
from porters.tensorflow.moves import moved, positions, static
from porters.tensorflow.node import Node
from porters.tensorflow.ops.shape import known
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor


def _align(node: Node) -> dict[str, Any]:
    """Return how the third version of an operation lines up diagonals; the second has them on the left."""
    return {"align": node.attr("align")} if node.op.endswith("V3") else {"align": "LEFT_LEFT"}


@translates("Diag")
def diag(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate an array on the diagonal of one with twice the axes."""
    import tensorflow as tf

    shape = static(x.shape, "a diagonal")
    found, after = moved(ctx, x, x.rank, tf.linalg.tensor_diag)
    return found.held((*shape, *shape) if after else ())


@translates("DiagPart")
def diag_part(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the diagonal of an array with twice the axes."""
    import tensorflow as tf

    found, after = moved(ctx, x, x.rank, tf.linalg.tensor_diag_part)
    return found.held(after)


@translates("MatrixDiag")
def matrix_diag(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate vectors on the main diagonals of matrices."""
    import tensorflow as tf

    found, after = moved(ctx, x, 1, lambda line: tf.raw_ops.MatrixDiag(diagonal=line))
    return found.held((*x.shape[:-1], *after))


@translates("MatrixDiagV2", "MatrixDiagV3")
def matrix_diag_v3(
    ctx: Context, node: Node, x: Tensor, k: Tensor, rows: Tensor, columns: Tensor, padding: Tensor
) -> Tensor:
    """Translate vectors on several diagonals of matrices."""
    import tensorflow as tf

    band = known(k, "the diagonals").reshape(-1)
    extent = [int(known(item, "a size").reshape(())) for item in (rows, columns)]

    def run(line: Any) -> Any:
        return tf.raw_ops.MatrixDiagV3(
            diagonal=line, k=band, num_rows=extent[0], num_cols=extent[1], padding_value=np.int64(0), **_align(node)
        )

    trailing = 1 if band[0] == band[-1] else 2
    found, after = moved(ctx, x, trailing, run, formula(ctx, padding))
    return found.held((*x.shape[: x.rank - trailing], *after))


@translates("MatrixDiagPart")
def matrix_diag_part(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate the main diagonals of matrices."""
    import tensorflow as tf

    found, after = moved(ctx, x, 2, lambda line: tf.raw_ops.MatrixDiagPart(input=line))
    return found.held((*x.shape[:-2], *after))


@translates("MatrixDiagPartV2", "MatrixDiagPartV3")
def matrix_diag_part_v3(ctx: Context, node: Node, x: Tensor, k: Tensor, padding: Tensor) -> Tensor:
    """Translate several diagonals of matrices."""
    import tensorflow as tf

    band = known(k, "the diagonals").reshape(-1)

    def run(line: Any) -> Any:
        return tf.raw_ops.MatrixDiagPartV3(input=line, k=band, padding_value=np.int64(0), **_align(node))

    found, after = moved(ctx, x, 2, run, formula(ctx, padding))
    return found.held((*x.shape[:-2], *after))


@translates("MatrixSetDiag", "MatrixSetDiagV2", "MatrixSetDiagV3")
def matrix_set_diag(ctx: Context, node: Node, x: Tensor, diagonal: Tensor, k: Tensor | None = None) -> Tensor:
    """Translate diagonals of matrices replaced: they are spread over the matrices and chosen where they stand."""
    import tensorflow as tf

    band = known(k, "the diagonals").reshape(-1) if k is not None else np.zeros(1, np.int32)
    matrix = static(x.shape[-2:], "a diagonal")

    def run(line: Any) -> Any:
        nothing = tf.zeros(matrix, tf.int64)
        return tf.raw_ops.MatrixSetDiagV3(input=nothing, diagonal=line, k=band, **_align(node))

    trailing = 1 if band[0] == band[-1] else 2
    spread, _ = moved(ctx, diagonal, trailing, run)
    taken = positions(static(diagonal.shape[diagonal.rank - trailing :], "a diagonal"), run) > 0
    return number(ctx, taken).where(spread, formula(ctx, x)).held(x.shape)


@translates("MatrixBandPart")
def band_part(ctx: Context, node: Node, x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Translate matrices of which only a band is kept, as two triangles."""
    below, above = (int(known(item, "the width of a band").reshape(())) for item in (lower, upper))
    narrow = x.dtype not in (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.INT64)
    if narrow and x.dtype.is_floating_point():
        raise Untranslatable(f"a band of {x.dtype}")
    value = formula(ctx, x, dtype=ir.DataType.INT64 if narrow else None)
    if below >= 0:
        value = value.of("Trilu", number(ctx, -below), upper=1)
    if above >= 0:
        value = value.of("Trilu", number(ctx, above), upper=0)
    shape: Shape = x.shape
    return value.cast(x.dtype).held(shape) if below >= 0 or above >= 0 else x
