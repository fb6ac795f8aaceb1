"""Metrics between a reference and a candidate, pooled over cases; a metric knows no threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

# ULP distances are kept for at most this many elements of a case, evenly spread: a percentile needs no more.
ULP_ELEMENTS = 1 << 18
# Elements that are widened to float64 at once.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Metrics:
    """What is said of an output, candidate against reference.

    Attributes:
        max_abs: Largest absolute difference.
        rel_l2: ``||c - r|| / ||r||``.
        cosine: Cosine of the angle between them; blind to scale.
        sqnr_db: ``10 log10(sum r^2 / sum (r - c)^2)``.
        ulp_p99: 99th percentile of the distance in ULPs of the output's dtype at the reference.
    """

    max_abs: float
    rel_l2: float
    cosine: float
    sqnr_db: float
    ulp_p99: float


@dataclass
class Pool:
    """Sums over all elements of all cases, in float64; elements that are not finite in the reference are left out."""

    square_error: float = 0.0
    square_reference: float = 0.0
    square_candidate: float = 0.0
    product: float = 0.0
    max_error: float = 0.0
    max_reference: float = 0.0
    elements: int = 0
    _ulps: list[np.ndarray] = field(default_factory=list)

    def add(self, reference: np.ndarray, candidate: np.ndarray, *, ulps: bool = False) -> None:
        """Take in one case, a block at a time: what is computed of it in float64 stays small beside it."""
        flat, other = reference.reshape(-1), candidate.reshape(-1)
        block = max(flat.size, 1) if ulps else _BLOCK  # a percentile is drawn from all of them evenly
        for start in range(0, flat.size, block):
            self._add_block(flat[start : start + block], other[start : start + block], ulps=ulps)

    def _add_block(self, reference: np.ndarray, candidate: np.ndarray, *, ulps: bool) -> None:
        r, c = reference.astype(np.float64).ravel(), candidate.astype(np.float64).ravel()
        if r.size == 0:
            return
        with np.errstate(invalid="ignore", over="ignore"):
            error = c - r
        square_error, square_reference = _dot(error, error), _dot(r, r)
        if not math.isfinite(square_error + square_reference):
            self._add_unbounded(reference, r, c, ulps=ulps)
            return
        self.square_error += square_error
        self.square_reference += square_reference
        self.square_candidate += _dot(c, c)
        self.product += _dot(r, c)
        self._largest(error, r)
        if ulps and reference.dtype.kind == "f":
            self._ulps.append(_ulp_distance(reference.ravel(), error))

    def _add_unbounded(self, reference: np.ndarray, r: np.ndarray, c: np.ndarray, *, ulps: bool) -> None:
        """Take in a case that has infinities or NaN, or squares beyond float64."""
        finite = np.isfinite(r)
        r, c = r[finite], c[finite]
        if r.size == 0:
            return
        # A candidate that is not finite where the reference is must not vanish: it is as wrong as can be.
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.where(np.isfinite(c), c - r, np.inf)
            self.square_error += _dot(error, error) if np.isfinite(error).all() else math.inf
        safe = np.where(np.isfinite(c), c, 0.0)
        self.square_reference += _dot(r, r)
        self.square_candidate += _dot(safe, safe)
        self.product += _dot(r, safe)
        self._largest(error, r)
        if ulps and reference.dtype.kind == "f":
            self._ulps.append(_ulp_distance(reference.ravel()[finite], error))

    def _largest(self, error: np.ndarray, reference: np.ndarray) -> None:
        self.max_error = max(self.max_error, float(error.max()), -float(error.min()))
        self.max_reference = max(self.max_reference, float(reference.max()), -float(reference.min()))
        self.elements += reference.size

    @property
    def error_norm(self) -> float:
        """``||c - r||``."""
        return math.sqrt(self.square_error)

    @property
    def reference_norm(self) -> float:
        """``||r||``."""
        return math.sqrt(self.square_reference)

    def metrics(self) -> Metrics:
        """Return the metrics of everything taken in."""
        scale = math.sqrt(self.square_reference * self.square_candidate)
        ulps = np.concatenate(self._ulps) if self._ulps else np.zeros(1)
        return Metrics(
            max_abs=self.max_error,
            rel_l2=_ratio(self.error_norm, self.reference_norm),
            cosine=1.0 if self.square_error == 0 else (self.product / scale if scale else 0.0),
            sqnr_db=_decibels(self.square_reference, self.square_error),
            ulp_p99=float(np.percentile(ulps, 99, method="higher")),
        )


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """Return the inner product without BLAS, whose threads wait for each other on a busy machine: 20 times as long."""
    return float(np.einsum("i,i->", a, b))


def is_float(array: np.ndarray) -> bool:
    """Say whether an array holds floats, of whatever width."""
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"


def _ulp_distance(reference: np.ndarray, error: np.ndarray) -> np.ndarray:
    step = max(1, -(-reference.size // ULP_ELEMENTS))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.spacing(np.abs(reference[::step])).astype(np.float64)
        distance: np.ndarray = np.abs(error[::step]) / gap
    return distance


def _ratio(numerator: float, denominator: float) -> float:
    if denominator:
        return numerator / denominator
    return 0.0 if numerator == 0 else math.inf


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return -math.inf if signal == 0 or math.isinf(noise) else 10 * math.log10(signal / noise)
