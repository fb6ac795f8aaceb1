"""Linear algebra out of Loops: factorizations, solutions, eigenvalues, singular values, exponentials."""

from __future__ import annotations

from typing import Any

import pytest
import torch

L = torch.linalg


def square(x: Any) -> torch.Tensor:
    """Return matrices that are far from singular."""
    return x[..., :5] + 4 * torch.eye(5, dtype=x.dtype)


def symmetric(x: Any) -> torch.Tensor:
    return x[..., :5] + x[..., :5].mT


def positive(x: Any) -> torch.Tensor:
    return x @ x.mT + torch.eye(5, dtype=x.dtype)


def rebuilt(values: Any, vectors: Any) -> torch.Tensor:
    """Return the matrix that eigenvalues and eigenvectors make: signs of vectors fall out."""
    return (vectors * values[..., None, :]) @ vectors.mT


def rebuilt_svd(x: Any, full: bool) -> tuple[torch.Tensor, ...]:
    """Return the product of the three factors, and that both sides are orthonormal."""
    u, s, vh = L.svd(x, full_matrices=full)
    count = s.shape[-1]
    return (u[..., :count] * s[..., None, :]) @ vh[..., :count, :], s, u.mT @ u, vh @ vh.mT


def deficient(x: Any) -> torch.Tensor:
    """Return matrices of rank two."""
    return x[..., :2] @ x[..., :2, :]


SYSTEMS = {
    "solve": lambda x: L.solve(square(x), x),
    "solve_vector": lambda x: L.solve(square(x), x[..., 6]),
    "solve_right": lambda x: L.solve(square(x), x.mT, left=False),
    "inv": lambda x: L.inv(square(x)),
    "det": lambda x: L.det(square(x)),
    "slogdet": lambda x: L.slogdet(square(x)),
    "slogdet_large": lambda x: L.slogdet(torch.block_diag(*[square(x[0])] * 5)),
    "logdet": lambda x: torch.logdet(positive(x)),
    "lu": lambda x: L.lu(square(x)),
    "lu_wide": L.lu,
    "lu_tall": lambda x: L.lu(x.mT),
    "lu_solve": lambda x: L.lu_solve(*L.lu_factor(square(x)), x),
    "lu_solve_right": lambda x: L.lu_solve(*L.lu_factor(square(x)), x.mT, left=False, adjoint=True),
    "lu_unpack": lambda x: torch.lu_unpack(*L.lu_factor(square(x))),
    "triangular": lambda x: L.solve_triangular(square(x).triu(), x, upper=True),
    "triangular_right": lambda x: L.solve_triangular(square(x).tril(), x.mT, upper=False, left=False),
    "triangular_unit": lambda x: L.solve_triangular(square(x) / 9, x, upper=False, unitriangular=True),
    "cholesky": lambda x: L.cholesky(positive(x)),
    "cholesky_upper": lambda x: L.cholesky(positive(x), upper=True),
    "cholesky_solve": lambda x: torch.cholesky_solve(x, L.cholesky(positive(x))),
    "cholesky_inverse": lambda x: torch.cholesky_inverse(L.cholesky(positive(x))),
    "power": lambda x: L.matrix_power(square(x) / 4, -3),
    "pinv": L.pinv,
    "pinv_tall": lambda x: L.pinv(x.mT),
    "exp": lambda x: L.matrix_exp(square(x) / 3),
}
ORTHOGONAL = {
    "qr": lambda x: L.qr(x.mT),
    "qr_complete": lambda x: L.qr(x.mT, mode="complete"),
    "qr_wide": L.qr,
    "qr_r": lambda x: L.qr(x, mode="r")[1],
    "eigh": lambda x: (*L.eigh(symmetric(x))[:1], rebuilt(*L.eigh(symmetric(x)))),
    "eigh_upper": lambda x: L.eigvalsh(square(x), UPLO="U"),
    "svd": lambda x: rebuilt_svd(x, False),
    "svd_full": lambda x: rebuilt_svd(x.mT, True),
    "svd_wide_full": lambda x: rebuilt_svd(x, True),
    "svd_deficient": lambda x: rebuilt_svd(deficient(x), False)[2:],
    "singular_values": L.svdvals,
    "norms": lambda x: (L.matrix_norm(x, "nuc"), L.matrix_norm(x, 2), L.cond(square(x))),
    "rank": lambda x: L.matrix_rank(deficient(x)),
}
# torch.export knows geqrf for sizes that are known only.
REFLECTORS = {
    "geqrf": torch.geqrf,
    "householder": lambda x: L.householder_product(*torch.geqrf(x.mT)),
    "ormqr": lambda x: torch.ormqr(*torch.geqrf(x.mT), x.mT, transpose=True),
    "ormqr_right": lambda x: torch.ormqr(*torch.geqrf(x.mT), x, left=False),
}


@pytest.mark.parametrize("table", [SYSTEMS, ORTHOGONAL], ids=["systems", "orthogonal"])
def test_matrices(port_and_compare: Any, table: Any) -> None:
    port_and_compare(table, "batch,5,7")


def test_reflectors(port_and_compare: Any) -> None:
    port_and_compare(REFLECTORS, "2,5,7", batches=(2,))


def test_pivots_are_those_of_lapack(port_and_compare: Any) -> None:
    def pivoted(x: Any) -> Any:
        factors, pivots, info = L.lu_factor_ex(x)
        return factors, pivots, info

    port_and_compare({"lu": pivoted}, "batch,6,6", batches=(1, 4, 9))


def test_a_singular_matrix_is_reported(port_and_compare: Any) -> None:
    port_and_compare({"info": lambda x: L.inv_ex(torch.zeros_like(x) + x * 0)[1]}, "batch,3,3")


@pytest.mark.parametrize(
    ("function", "op"),
    [(lambda x: L.eig(x)[0].real, "aten.linalg_eig"), (lambda x: L.ldl_factor(x)[0], "aten.linalg_ldl")],
)
def test_what_has_no_translation_is_listed(walked: Any, function: Any, op: str) -> None:
    from porters.porter import UnsupportedOpsError

    class Subject(torch.nn.Module):
        def forward(self, a: Any) -> Any:
            return function(a)

    with pytest.raises(UnsupportedOpsError) as caught:
        walked(Subject(), "3,3")
    assert any(item.op.startswith(op) for item in caught.value.ops)
