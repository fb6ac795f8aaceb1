"""Says a global average that is flattened afterwards as what it is, a mean without the averaged axes.

Contract. The Reshape behind the pooling does nothing but drop the axes of size 1 that it leaves.
"""

from __future__ import annotations

import onnx_ir as ir

from porters.fusions.editor import Editor, rewrite_at
from porters.fusions.match import dims, known, made_by, private


@rewrite_at("Reshape", "Squeeze", "Flatten")
def drop_averaged_axes(editor: Editor, node: ir.Node) -> bool:
    """Replace GlobalAveragePool and the Reshape behind it by ReduceMean without ``keepdims``."""
    pool = made_by(node.inputs[0], "GlobalAveragePool")
    x = pool.inputs[0] if pool is not None else None
    before, after = dims(x), known(node.outputs[0])
    if pool is None or before is None or after is None or not private(pool.outputs[0]):
        return False
    if len(before) < 3 or None in before[:2] or after != before[:2]:
        return False
    axes = editor.vector(range(2, len(before)))
    editor.fuse("ReduceMean", [x, axes], node, [pool, node], {"keepdims": 0})
    return True


REWRITES = (drop_averaged_axes,)
