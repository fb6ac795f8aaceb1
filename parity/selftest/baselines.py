"""What other tools would say: the usual comparisons of one pair of outputs, with their usual thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]


def _close(reference: np.ndarray, candidate: np.ndarray) -> bool:
    return bool(np.allclose(candidate, reference, rtol=1e-5, atol=1e-5, equal_nan=True))


def _cosine(reference: np.ndarray, candidate: np.ndarray) -> bool:
    r, c = reference.astype(np.float64).ravel(), candidate.astype(np.float64).ravel()
    scale = float(np.linalg.norm(r) * np.linalg.norm(c))
    return bool(np.array_equal(r, c)) if scale == 0 else bool(r @ c / scale > 0.99)


def _pearson(reference: np.ndarray, candidate: np.ndarray) -> bool:
    r, c = reference.astype(np.float64), candidate.astype(np.float64)
    return _cosine(r - r.mean(), c - c.mean())


# Thresholds that porting guides and test suites use.
BASELINES: Mapping[str, Callable[[np.ndarray, np.ndarray], bool]] = {
    "allclose(1e-5)": _close,
    "cosine > 0.99": _cosine,
    "PCC > 0.99": _pearson,
}


def accepted(original: Arrays, port: Arrays) -> dict[str, bool]:
    """Say for each baseline whether it takes the port's outputs for the original's."""
    return {name: all(_holds(accepts, original, port, key) for key in original) for name, accepts in BASELINES.items()}


def _holds(accepts: Callable[[np.ndarray, np.ndarray], bool], original: Arrays, port: Arrays, key: str) -> bool:
    candidate = port.get(key)
    if candidate is None or candidate.shape != original[key].shape or not original[key].size:
        return candidate is not None and candidate.shape == original[key].shape
    return accepts(original[key], candidate)
