"""Linear layers, matrix products, einsum, convolutions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

G = torch.Generator().manual_seed(0)


def _w(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=G, dtype=torch.float64)


W: dict[tuple[int, ...], torch.Tensor] = {
    shape: _w(*shape)
    for shape in (
        (3, 6),
        (6,),
        (3,),
        (4, 6, 3),
        (4, 5, 3),
        (5, 3),
        (5,),
        (2, 6, 6),
        (5, 6),
        (4, 6),
        (2, 5, 6),
        (1, 5, 3),
    )
}


def w(x: Any, *shape: int) -> torch.Tensor:
    """Return a constant in the dtype of ``x``: float32 constants would spoil the float64 truth."""
    return W[shape].to(x.dtype)


def _each(x: Any) -> torch.Tensor:
    return w(x, 4, 6, 3)[:1].expand(x.shape[0], -1, -1)


PRODUCTS = {
    "linear_3d": lambda x: F.linear(x, w(x, 3, 6), w(x, 3)),
    "linear_2d": lambda x: F.linear(x[:, 0], w(x, 3, 6), w(x, 3)),
    "linear_no_bias": lambda x: F.linear(x[:, 0], w(x, 3, 6)),
    "linear_vector": lambda x: F.linear(x, w(x, 6)),
    "matmul": lambda x: x @ x.mT,
    "matmul_vector": lambda x: x @ w(x, 6),
    "matmul_batches": lambda x: x[:, None] @ w(x, 4, 6, 3),
    "mm": lambda x: torch.mm(x[:, 0], w(x, 3, 6).T),
    "mv": lambda x: torch.mv(x[:, 0], w(x, 6)),
    "dot": lambda x: torch.dot(x[0, 0], w(x, 6)),
    "bmm": lambda x: torch.bmm(x, x.mT),
    "addmm": lambda x: torch.addmm(w(x, 3), x[:, 0], w(x, 3, 6).T, beta=0.5, alpha=2),
    "addmm_beta_0": lambda x: torch.addmm(w(x, 3) * torch.nan, x[:, 0], w(x, 3, 6).T, beta=0),
    "baddbmm": lambda x: torch.baddbmm(w(x, 1, 5, 3), x, _each(x), beta=2, alpha=0.5),
    "addmv": lambda x: torch.addmv(w(x, 5), x[0], w(x, 6), alpha=3),
    "addbmm": lambda x: torch.addbmm(w(x, 5, 3), x, _each(x), alpha=2),
    "outer": lambda x: torch.outer(x[0, 0], w(x, 3)),
    "bilinear": lambda x: F.bilinear(x, x * 2, w(x, 2, 6, 6)),
    "tensordot": lambda x: torch.tensordot(x, w(x, 3, 6), dims=([2], [1])),
    "cdist": lambda x: torch.cdist(x, w(x, 5, 6)),
    "cdist_1": lambda x: torch.cdist(x, w(x, 4, 6), p=1.0),
    "pdist": lambda x: F.pdist(x[0]),
    "dist": lambda x: torch.dist(x, x * 2 + 1, 3),
    "cross": lambda x: torch.linalg.cross(x[..., :3], x[..., 3:]),
    "det": lambda x: torch.linalg.det(x[..., :3, :3]),
    "slogdet": lambda x: torch.linalg.slogdet(x[..., :3, :3]),
    "matrix_power": lambda x: torch.linalg.matrix_power(x[..., :5, :5], 3),
    "einsum": lambda x: torch.einsum("bij,kj->bik", x, w(x, 5, 6)),
    "einsum_implicit": lambda x: torch.einsum("bij,kj", x, w(x, 5, 6)),
    "einsum_dots": lambda x: torch.einsum("...ij,...kj->...ik", x[:, None], x[:, None]),
    "einsum_dots_uneven": lambda x: torch.einsum("...j,jk->...k", x, w(x, 3, 6).T),
    "einsum_diagonal": lambda x: torch.einsum("bii->bi", x[..., :5]),
    "einsum_trace": lambda x: torch.einsum("bii", x[..., :5]),
    "einsum_outer": lambda x: torch.einsum("bi,bj->bij", x[:, 0], x[:, 1]),
    "int_matmul": lambda x: torch.matmul((x * 3).long(), (x * 3).long().mT),
    "renorm": lambda x: torch.renorm(x, 2, 1, 1.5),
}  # fmt: skip


def test_products(port_and_compare: Any) -> None:
    port_and_compare(PRODUCTS, "batch,5,6")


def test_a_linear_layer_is_one_node(port_and_compare: Any) -> None:
    assert port_and_compare(torch.nn.Linear(6, 3), "batch,6").ops == {"Gemm": 1}
    assert port_and_compare(torch.nn.Linear(6, 3), "batch,4,6").ops == {"Transpose": 1, "MatMul": 1, "Add": 1}


class Convolutions(torch.nn.Module):
    """Layers side by side on the same input."""

    def __init__(self, *layers: torch.nn.Module) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x: Any) -> Any:
        return [layer(x) for layer in self.layers]


nn = torch.nn


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        pytest.param(
            [
                nn.Conv1d(4, 6, 3),
                nn.Conv1d(4, 6, 3, stride=2, padding=2, bias=False),
                nn.Conv1d(4, 8, 3, dilation=2, groups=4),
                nn.Conv1d(4, 4, 4, padding="same"),
                nn.Conv1d(4, 4, 3, padding=2, padding_mode="circular"),
                nn.ConvTranspose1d(4, 3, 4, stride=3, padding=1, output_padding=2),
            ],
            "batch,4,11",
            id="1d",
        ),
        pytest.param(
            [
                nn.Conv2d(4, 6, 3, padding=(1, 2), stride=(2, 1)),
                nn.Conv2d(4, 8, (3, 2), dilation=(1, 2), groups=2, bias=False),
                nn.Conv2d(4, 4, 3, groups=4, padding="same", dilation=2),
                nn.Conv2d(4, 4, (2, 3), padding="valid"),
                nn.Conv2d(4, 2, (4, 2), padding="same"),
                nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect"),
                nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2),
                nn.ConvTranspose2d(4, 3, (3, 2), stride=(1, 2), bias=False),
                nn.ConvTranspose2d(4, 3, 3, stride=1, padding=2, output_padding=1, dilation=2),
            ],
            "batch,4,9,8",
            id="2d",
        ),
        pytest.param(
            [nn.Conv3d(2, 3, (1, 2, 3), stride=(1, 2, 1), padding=(0, 1, 1)), nn.ConvTranspose3d(2, 2, 2, stride=2)],
            "batch,2,3,6,5",
            id="3d",
        ),
        pytest.param([nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(3, 2, 2)], "3,7,6", id="unbatched"),
    ],
)
def test_convolutions(port_and_compare: Any, layers: list[torch.nn.Module], shape: str) -> None:
    ported = port_and_compare(Convolutions(*layers), shape)
    assert ported.ops["Conv"] + ported.ops["ConvTranspose"] == len(layers)


def test_a_convolution_keeps_its_upstream_weight(port_and_compare: Any) -> None:
    ported = port_and_compare(nn.Sequential(nn.Conv2d(3, 4, 3)), "batch,3,5,5")
    assert ported.ops == {"Conv": 1}
    assert set(ported.model.graph.initializers) == {"0.weight", "0.bias"}
