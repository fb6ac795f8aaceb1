"""Guards: faults that no distance measures (names, shapes, dtypes, NaN where there was none, a dead output)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Finding:
    """A guard that did not hold: which output, which guard, in which case, and what was seen."""

    output: str
    guard: str
    case: str
    detail: str


def inspect(case: str, reference: Mapping[str, np.ndarray], candidate: Mapping[str, np.ndarray]) -> list[Finding]:
    """Hold the outputs of one case against those of the original."""
    findings = []
    if list(reference) != list(candidate):
        kind = "order" if sorted(reference) == sorted(candidate) else "names"
        findings.append(Finding("", kind, case, f"expected {', '.join(reference)}; got {', '.join(candidate)}"))
    for name in reference:
        if name in candidate:
            findings += _inspect_one(name, case, reference[name], candidate[name])
    return findings


def _inspect_one(name: str, case: str, r: np.ndarray, c: np.ndarray) -> list[Finding]:
    if r.shape != c.shape:
        return [Finding(name, "shape", case, f"expected {list(r.shape)}; got {list(c.shape)}")]
    findings = []
    if r.dtype != c.dtype:
        findings.append(Finding(name, "dtype", case, f"expected {r.dtype}; got {c.dtype}"))
    if r.dtype.kind not in "fV" or c.dtype.kind not in "fV" or r.size == 0:
        return findings
    wide_r, wide_c = r.astype(np.float64), c.astype(np.float64)
    for guard, test in (("nan", np.isnan), ("inf", np.isinf)):
        mine, theirs = test(wide_c), test(wide_r)
        if (mine != theirs).any():
            count = int((mine != theirs).sum())
            findings.append(Finding(name, guard, case, f"{count} of {r.size} elements differ in being {guard}"))
    if r.size > 1 and _constant(wide_c) and not _constant(wide_r):
        findings.append(Finding(name, "constant", case, f"every element is {wide_c.flat[0]:g}; the original's vary"))
    return findings


def _constant(array: np.ndarray) -> bool:
    return bool(np.isfinite(array).all() and (array == array.flat[0]).all())


def ignored_input(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> list[str]:
    """Return the outputs that are the same, bit for bit, for two different inputs."""
    return [
        name
        for name in first
        if name in second and first[name].shape == second[name].shape and np.array_equal(first[name], second[name])
    ]
