"""Brings a translated graph into its one standard form: composites whole, nothing dead, twice, or without effect."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from porters.cleanup import broadcast, masks, pooling, reshapes, trivial
from porters.cleanup.constants import share_constants
from porters.cleanup.layout import merge_moves
from porters.cleanup.linear import unflatten_gemm
from porters.cleanup.pads import merge_pads
from porters.cleanup.shapes import fill_shapes
from porters.cleanup.slices import merge_slices
from porters.fusions import bidirectional
from porters.fusions.attention import fuse_attention
from porters.fusions.editor import Editor
from porters.fusions.gelu import fuse_gelu
from porters.fusions.grouped_heads import share_heads
from porters.fusions.layer_norm import fuse_layer_norm
from porters.fusions.lowest import raise_lowest
from porters.fusions.rms_norm import fuse_rms_norm
from porters.fusions.rotary import fuse_rotary

# What a graph can do without. Every rewrite leaves the function as it is, up to the rounding of floats.
CLEANUPS = (
    *trivial.REWRITES,  # identities, casts, neutral constants, full slices
    *masks.REWRITES,  # indices that run over everything, conditions that always hold
    *broadcast.REWRITES,  # Expand before what broadcasts by itself
    merge_moves,  # Transpose, Unsqueeze, Squeeze: chains said once
    merge_slices,  # slices of different axes
    *reshapes.REWRITES,  # Reshape chains, targets, packed projections
    merge_pads,  # zeros around what a convolution or pooling reads
    *pooling.REWRITES,  # global averages that are flattened
    unflatten_gemm,  # reshape(gemm(reshape(x))) is x @ w + b
)
# What upstream spelled out, put together again; each file states its contract.
FUSIONS = (
    fuse_layer_norm,  # LayerNormalization, before the RMSNormalization of x - mean(x) that it also is
    fuse_rms_norm,  # RMSNormalization
    fuse_gelu,  # Gelu, exact and tanh
    fuse_rotary,  # RotaryEmbedding
    *bidirectional.REWRITES,  # LSTM, GRU, RNN: what reads a sequence from behind, and both directions as one
    fuse_attention,  # Attention
    share_heads,  # Attention with fewer key and value heads than query heads
    raise_lowest,  # masks of finfo.min, which a runtime takes for minus infinity
)


def canonicalize(model: ir.Model) -> None:
    """Clean ``model`` in place; its inputs, outputs and weights keep names, dtypes and shapes.

    Weights are never read. Fusions come before equal nodes are merged: two norms of one value that share their
    statistics are no longer two norms.
    """
    common.RemoveUnusedNodesPass()(model)
    common.TopologicalSortPass()(model)
    fill_shapes(model.graph)
    share_constants(model.graph)
    editor = Editor(model.graph)
    editor.rewrite(CLEANUPS)
    editor.rewrite(FUSIONS)
    common.CommonSubexpressionEliminationPass()(model)
    editor.rewrite(CLEANUPS)
    common.CommonSubexpressionEliminationPass()(model)
    common.RemoveUnusedNodesPass()(model)
    common.TopologicalSortPass()(model)
