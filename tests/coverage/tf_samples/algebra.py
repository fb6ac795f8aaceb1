"""Products, Einstein sums, factorizations, systems of equations, and Fourier transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.coverage.tf_samples.sample import B, f, i, made, op


def positive(random: Any, extent: tuple[int, ...]) -> np.ndarray:
    """Return symmetric matrices far from singular."""
    x = random.standard_normal(extent)
    return np.asarray(x @ np.swapaxes(x, -1, -2) + 2 * extent[-1] * np.eye(extent[-1]))


def regular(random: Any, extent: tuple[int, ...]) -> np.ndarray:
    """Return matrices far from singular whose rows want exchanging."""
    x = random.standard_normal(extent) + 3 * np.eye(extent[-2], extent[-1])
    return np.asarray(np.roll(x, 1, -2))


def tf() -> Any:
    import tensorflow

    return tensorflow


P = made(B, 4, 4, by=positive)
R = made(B, 4, 4, by=regular)
D = made(B, 4, 4, by=lambda random, extent: random.standard_normal(extent) + 4 * np.eye(4))

for _a in (False, True):
    for _b in (False, True):
        op("MatMul", a=f(*((5, B) if _a else (B, 5))), b=f(*((3, 5) if _b else (5, 3))), transpose_a=_a, transpose_b=_b)
        op("SparseMatMul", a=f(*((5, B) if _a else (B, 5))), b=f(*((3, 5) if _b else (5, 3))), transpose_a=_a,
           transpose_b=_b)  # fmt: skip
        for _name in ("BatchMatMul", "BatchMatMulV2"):
            _x, _y = f(B, *((5, 4) if _a else (4, 5))), f(B, *((3, 5) if _b else (5, 3)))
            op(_name, x=_x, y=_y, adj_x=_a, adj_y=_b)
op("MatMul", a=i(B, 5), b=i(5, 3))
op("BatchMatMulV2", x=f(B, 1, 4, 5), y=f(3, 5, 2))
op("BatchMatMulV3", x=f(B, 4, 5), y=f(B, 5, 2), Tout="float32")
for _equation, _shapes in (
    ("ij,jk->ik", ((B, 4), (4, 5))), ("bij,bjk->bik", ((B, 4, 5), (B, 5, 3))), ("bij->bji", ((B, 4, 5),)),
    ("bii->bi", ((B, 4, 4),)), ("bij->b", ((B, 4, 5),)),
    ("...ij,...jk->...ik", ((B, 3, 4, 5), (B, 3, 5, 2))), ("...ij,jk->...ik", ((B, 3, 4, 5), (5, 2))),
    ("b...i,i->b...", ((B, 3, 4), (4,))), ("...ij,...jk->...ik", ((B, 1, 4, 5), (3, 5, 2))),
    ("bqhd,bkhd->bhqk", ((B, 4, 2, 3), (B, 5, 2, 3))), ("ij,kl->ijkl", ((B, 2), (3, 4))),
):  # fmt: skip
    op("Einsum", inputs=[f(*shape) for shape in _shapes], equation=_equation)

op("Cholesky", input=P)
op("MatrixDeterminant", input=R)
op("MatrixDeterminant", input=f(B, 2, 2))
op("LogMatrixDeterminant", input=R)
op("MatrixInverse", input=R)
op("MatrixInverse", input=R, adjoint=True)
op("MatrixSolve", matrix=R, rhs=f(B, 4, 3))
op("MatrixSolve", matrix=R, rhs=f(B, 4, 3), adjoint=True)
for _lower in (True, False):
    for _adjoint in (True, False):
        op("MatrixTriangularSolve", matrix=D, rhs=f(B, 4, 2), lower=_lower, adjoint=_adjoint)
        _bands = made(B, 2, 4, by=lambda random, extent: random.standard_normal(extent) + np.array([[4], [0]]))
        _uppers = made(B, 2, 4, by=lambda random, extent: random.standard_normal(extent) + np.array([[0], [4]]))
        op(
            "BandedTriangularSolve",
            matrix=_bands if _lower else _uppers,
            rhs=f(B, 4, 2),
            lower=_lower,
            adjoint=_adjoint,
        )
for _fast in (True, False):
    op("MatrixSolveLs", matrix=f(B, 6, 3), rhs=f(B, 6, 2), l2_regularizer=np.float64(0.0), fast=_fast)
    op("MatrixSolveLs", matrix=f(B, 3, 6), rhs=f(B, 3, 2), l2_regularizer=np.float64(0.0), fast=_fast)
op("MatrixSolveLs", matrix=f(B, 6, 3), rhs=f(B, 6, 2), l2_regularizer=np.float64(0.5))
op("MatrixSquareRoot", input=P)
op("Lu", input=R)
for _shape in ((B, 5, 3), (B, 3, 5), (B, 4, 4)):
    for _full in (False, True):
        op("Qr", input=f(*_shape), full_matrices=_full)
        op("Svd", lambda s, u, v: [s, tf().abs(u[..., :, :3]), tf().abs(v[..., :, :3])], input=f(*_shape),
           full_matrices=_full)  # fmt: skip
op("Svd", lambda s, u, v: s, input=f(B, 4, 3), compute_uv=False)
op("SelfAdjointEigV2", lambda e, v: [e, tf().abs(v)], input=made(B, 4, 4, by=positive))
op("SelfAdjointEigV2", lambda e, v: e, input=f(B, 5, 5), compute_v=False)
op("TridiagonalMatMul", superdiag=f(B, 1, 5), maindiag=f(B, 1, 5), subdiag=f(B, 1, 5), rhs=f(B, 5, 2))
THREE = made(B, 3, 5, by=lambda random, extent: random.standard_normal(extent) + np.array([[0], [4], [0]]))
op("TridiagonalSolve", diagonals=THREE, rhs=f(B, 5, 2))
