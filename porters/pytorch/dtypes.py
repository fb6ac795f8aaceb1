"""dtypes of PyTorch, ONNX and cards: one table."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

if TYPE_CHECKING:
    import torch

# torch attribute -> ONNX.
_NAMES = {
    "float32": ir.DataType.FLOAT,
    "float64": ir.DataType.DOUBLE,
    "float16": ir.DataType.FLOAT16,
    "bfloat16": ir.DataType.BFLOAT16,
    "float8_e4m3fn": ir.DataType.FLOAT8E4M3FN,
    "float8_e5m2": ir.DataType.FLOAT8E5M2,
    "int64": ir.DataType.INT64,
    "int32": ir.DataType.INT32,
    "int16": ir.DataType.INT16,
    "int8": ir.DataType.INT8,
    "uint8": ir.DataType.UINT8,
    "uint16": ir.DataType.UINT16,
    "uint32": ir.DataType.UINT32,
    "uint64": ir.DataType.UINT64,
    "bool": ir.DataType.BOOL,
    "complex64": ir.DataType.COMPLEX64,
    "complex128": ir.DataType.COMPLEX128,
}
FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16})


@functools.cache
def _tables() -> tuple[dict[Any, ir.DataType], dict[ir.DataType, Any]]:
    import torch

    forward = {getattr(torch, name): dtype for name, dtype in _NAMES.items()}
    return forward, {dtype: name for name, dtype in forward.items()}


def to_ir(dtype: torch.dtype) -> ir.DataType:
    """Return the ONNX dtype of a torch dtype.

    Raises:
        NotImplementedError: If ONNX has none.
    """
    if dtype not in _tables()[0]:
        raise NotImplementedError(f"numbers of dtype {to_card(dtype)}")
    return _tables()[0][dtype]


def to_torch(dtype: ir.DataType) -> torch.dtype:
    """Return the torch dtype of an ONNX dtype."""
    result: torch.dtype = _tables()[1][dtype]
    return result


def to_card(dtype: torch.dtype) -> str:
    """Return the card's name of a torch dtype (``float32``)."""
    return str(dtype).removeprefix("torch.")
