"""Keeps every small constant once."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from porters.fusions.match import array


def share_constants(graph: ir.Graph) -> None:
    """Let equal constants of ``graph`` be one initializer; weights are never read and stay what they are."""
    first: dict[tuple[Any, ...], ir.Value] = {}
    for name, value in list(graph.initializers.items()):
        data = array(value)
        if data is None or value.is_graph_output():
            continue
        kept = first.setdefault((str(data.dtype), data.shape, data.tobytes()), value)
        if kept is not value:
            ir.convenience.replace_all_uses_with(value, kept)
            del graph.initializers[name]
