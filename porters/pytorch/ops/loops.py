"""A loop of a fixed number of rounds, for algorithms that ONNX has no operator for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.shared import known
from porters.pytorch.registry import Context
from zoo.graph import GraphBuilder

Step = Callable[..., Sequence[ir.Value]]


def repeat(c: Context, rounds: int | ir.Value, states: Sequence[ir.Value], step: Step) -> list[ir.Value]:
    """Return ``states`` after ``rounds`` calls of ``step(body, index, *states)``, as one ONNX Loop.

    Args:
        c: The context outside; a body sees every value computed before it.
        rounds: How often; a value is an INT64 scalar.
        states: Values with known dtypes and sizes, which a round does not change.
        step: Gets a context that emits into the body, the round as an INT64 scalar and the states; returns the states.
    """
    if isinstance(rounds, int) and rounds == 0:
        return list(states)
    body = GraphBuilder(c.g.unique("loop"), parent=c.g)
    inside = Context(body, c.symbols, c.results)
    kinds = [state.dtype or c.dtype for state in states]
    sizes = [c.sizes_of(state) for state in states]
    with c.symbols.scope(body):
        index = known(inside, body.input("round", ir.DataType.INT64, []), [])
        going = body.input("going", ir.DataType.BOOL, [])
        inputs = []
        for kind, extents in zip(kinds, sizes, strict=True):
            inputs.append(known(inside, body.input("state", kind, [0] * len(extents)), extents))
        results = [
            known(inside, inside.op("Identity", inside.cast(value, kind)) if value in inputs else value, extents)
            for value, kind, extents in zip(step(inside, index, *inputs), kinds, sizes, strict=True)
        ]
        graph = body.body([inside.op("Identity", going, shape=[]), *results])
    count = c.const(rounds, ir.DataType.INT64) if isinstance(rounds, int) else rounds
    outputs = c.ops("Loop", count, c.const(np.array(True)), *states, outputs=len(states), dtypes=kinds, body=graph)
    return [known(c, value, extents) for value, extents in zip(outputs, sizes, strict=True)]
