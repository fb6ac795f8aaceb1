"""Operations that only move elements along axes of known sizes: TensorFlow itself says which element goes where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape, is_static
from porters.tensorflow.formula import Formula, formula, number
from porters.tensorflow.registry import Untranslatable
from porters.tensorflow.tensor import Tensor


def static(shape: Shape, what: str) -> tuple[int, ...]:
    """Return sizes that must be known.

    Raises:
        Untranslatable: Where one is symbolic.
    """
    if not is_static(shape):
        raise Untranslatable(f"{what} of axes whose size is not known")
    return cast("tuple[int, ...]", shape)


def positions(shape: tuple[int, ...], run: Callable[[Any], Any]) -> np.ndarray:
    """Return what ``run`` makes of the numbers 1, 2 ... in ``shape``: where each element comes from, 0 for nowhere."""
    import tensorflow as tf

    with tf.init_scope(), tf.device("/CPU:0"):
        line = tf.reshape(tf.range(1, int(np.prod(shape, dtype=np.int64)) + 1, dtype=tf.int64), shape)
        found: np.ndarray = run(line).numpy()
    return found


def moved(
    ctx: Context, x: Tensor, trailing: int, run: Callable[[Any], Any], fill: Formula | None = None
) -> tuple[Formula, tuple[int, ...]]:
    """Return ``x`` with its last ``trailing`` axes made anew, and their new sizes.

    Args:
        ctx: Emits.
        x: Whose elements are moved.
        trailing: How many axes take part; their sizes must be known.
        run: TensorFlow's operation on an INT64 array of these axes, in which 0 stands for the filling.
        fill: What stands where no element comes from; zero by default.
    """
    lead = x.rank - trailing
    before = static(x.shape[lead:], "a rearrangement")
    table = positions(before, run)
    flat = formula(ctx, ctx.reshape(x, (*x.shape[:lead], int(np.prod(before, dtype=np.int64)))))
    found = flat.take(np.maximum(table - 1, 0), lead)
    if (table == 0).any():
        nothing = number(ctx, table == 0)
        filling = fill if fill is not None else number(ctx, 0, x.dtype)
        found = nothing.where(filling, found)
    return found, table.shape
