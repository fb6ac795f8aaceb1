"""Autocast regions: torch records the region and the dtypes of its results, but not the casts of the operands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.registry import Context

if TYPE_CHECKING:
    import torch

# What torch's CPU autocast runs in the region's dtype (aten/src/ATen/autocast_mode.cpp, KERNEL_CPU lower_precision_fp).
_LOWERED = (
    "aten.conv1d", "aten.conv2d", "aten.conv3d", "aten.conv_transpose", "aten.conv_tbc", "aten._convolution",
    "aten.convolution", "aten.bmm", "aten.mm", "aten.baddbmm", "aten.addmm", "aten.addbmm", "aten.linear",
    "aten.matmul", "aten.linalg_vecdot", "aten.prelu", "aten.scaled_dot_product_attention", "aten.einsum",
)  # fmt: skip


def in_region_dtype(c: Context, target: str, args: Any, dtype: torch.dtype) -> Any:
    """Return the arguments as autocast hands them to the operator's kernel."""
    if not c.results or c.results[0] is None or c.dtype not in dtypes.FLOATS:
        return args
    if c.dtype == dtypes.to_ir(dtype) and target.startswith(_LOWERED):
        return _cast(c, args, c.dtype)
    # Operators that autocast runs in float32 whatever they are given; for others this changes nothing.
    return _cast(c, args, ir.DataType.FLOAT) if c.dtype == ir.DataType.FLOAT else args


def _cast(c: Context, item: Any, dtype: ir.DataType) -> Any:
    if isinstance(item, (tuple, list)):
        return type(item)(_cast(c, part, dtype) for part in item)
    if isinstance(item, ir.Value) and item.dtype in dtypes.FLOATS and item.dtype != dtype:
        sizes = c.sizes_of(item)
        item = c.cast(item, dtype)
        c.symbols.remember(item, sizes)
    return item
