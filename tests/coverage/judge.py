"""Is a port's answer to a sample right? Exact for integers, by the operator's own float32 noise for floats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tests.coverage.samples import WIDE, Call

# The project's limits (design: 3 on the norm, 6 on the largest error) over a floor of one ULP of the whole.
RATIO, LARGEST = 3.0, 6.0
FLOOR = {np.dtype(np.float32): 2.0**-23, np.dtype(np.float64): 2.0**-52, np.dtype(np.float16): 2.0**-10}
ULP = 2.0**-24
# A budget wider than this part of the answer would pass anything.
DECIDES = 0.03


def answers(call: Call) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Return the operator's results in float32, in float64, and in float64 on inputs moved by half an ULP.

    Where it does not run in float64 the float32 results stand for all three.
    """
    own = _arrays(call([tensor.clone() for tensor in call.tensors]))
    wide = [tensor.to(WIDE.get(tensor.dtype, tensor.dtype), copy=True) for tensor in call.tensors]
    torch.manual_seed(0)
    moved = [_moved(tensor) for tensor in wide]
    try:
        return own, _arrays(call(wide, wide=True)), _arrays(call(moved, wide=True))
    except Exception:
        return own, own, own


def _moved(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor.clone()
    return tensor * (1 + ULP * (2.0 * torch.randint(0, 2, tensor.shape) - 1))


def _arrays(leaves: Sequence[object]) -> list[np.ndarray]:
    return [array(leaf) for leaf in leaves if isinstance(leaf, torch.Tensor)]


def array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array; complex numbers as trailing pairs, bfloat16 as float32."""
    plain = tensor.detach().resolve_conj().resolve_neg()
    if plain.dtype == torch.complex32:
        plain = plain.to(torch.complex64)
    if plain.is_complex():
        plain = torch.view_as_real(plain)
    result: np.ndarray = (plain.float() if plain.dtype == torch.bfloat16 else plain).contiguous().numpy()
    return result


def difference(own: np.ndarray, truth: np.ndarray, moved: np.ndarray, port: np.ndarray) -> str:
    """Return what is wrong with ``port``, nothing if it is right."""
    if (own.shape, own.dtype) != (port.shape, port.dtype):
        return f"{port.dtype}{list(port.shape)} instead of {own.dtype}{list(own.shape)}"
    if not np.issubdtype(own.dtype, np.floating):
        return "" if np.array_equal(own, port) else f"{int((own != port).sum())} of {own.size} elements differ"
    finite = np.isfinite(own)
    if not np.array_equal(own[~finite], port[~finite], equal_nan=True) or not np.isfinite(port[finite]).all():
        return "NaN or infinity in other places"
    if not finite.any():
        return ""
    if truth.shape != own.shape:
        truth = moved = own
    r, p = own[finite].astype(np.float64), port[finite].astype(np.float64)
    t, m = (np.where(np.isfinite(x[finite]), x[finite], r) for x in (truth, moved))
    return _noise(r - t, m - t, p - t, t, FLOOR[own.dtype])


def _noise(own: np.ndarray, moved: np.ndarray, port: np.ndarray, truth: np.ndarray, floor: float) -> str:
    for limit, order in ((RATIO, 2), (LARGEST, np.inf)):
        budget = max(_norm(own, order), floor * _norm(truth, order), 2.0**-149)
        # An operator that is exact (floor, sort) has no business being sensitive to its input.
        if own.any():
            budget = max(budget, _norm(moved, order))
        if truth.any() and budget > DECIDES * _norm(truth, order):
            return f"float32 itself is off by {budget:.2g} of {_norm(truth, order):.2g}: decides nothing"
        ratio = _norm(port, order) / budget
        if not ratio <= limit:
            return f"noise ratio {ratio:.3g} over {limit:g}"
    return ""


def _norm(x: np.ndarray, order: float) -> float:
    return float(np.linalg.norm(x.reshape(-1), order))
