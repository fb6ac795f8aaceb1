"""Reductions: every spelling of axes, keepdim, dtypes."""

from __future__ import annotations

from typing import Any

import torch

TABLE = {
    "sum": lambda x: x.sum(),
    "sum_axis": lambda x: x.sum(-1),
    "sum_axes": lambda x: x.sum((1, -1), keepdim=True),
    "sum_batch": lambda x: x.sum(0),
    "sum_double": lambda x: x.sum(-1, dtype=torch.float64),
    "sum_bool": lambda x: (x > 0).sum(),
    "sum_int": lambda x: (x * 5).int().sum(1),
    "sum_uint8": lambda x: (x > 0).to(torch.uint8).sum(),
    "mean": lambda x: x.mean((0, 2)),
    "mean_keep": lambda x: x.mean(1, True),
    "nansum": lambda x: torch.where(x > 0, torch.nan, x).nansum(-1),
    "nanmean": lambda x: torch.where(x > 0.5, torch.nan, x).nanmean(-1),
    "prod": lambda x: x.prod(-1),
    "prod_all": lambda x: x[0, 0].prod(),
    "amax": lambda x: x.amax((1, 2)),
    "amin": lambda x: x.amin(-1, keepdim=True),
    "amax_int": lambda x: (x * 9).long().amax(-1),
    "amax_uint8": lambda x: (x.abs() * 9).to(torch.uint8).amax(-1),
    "amax_bool": lambda x: (x > 0).amax(-1),
    "max": lambda x: x.max(),
    "max_dim": lambda x: x.max(1),
    "max_keep": lambda x: x.max(-1, keepdim=True),
    "max_int": lambda x: (x * 9).long().max(-1),
    "min": lambda x: x.min(),
    "min_dim": lambda x: x.min(-2),
    "aminmax": lambda x: torch.aminmax(x, dim=1),
    "argmax": lambda x: x.argmax(),
    "argmax_ties": lambda x: torch.round(x).argmax(-1),
    "argmin_keep": lambda x: x.argmin(1, keepdim=True),
    "argmax_int64": lambda x: (x * 9).long().argmax(-1),
    "any": lambda x: (x > 1).any(-1),
    "any_all": lambda x: (x > 1).any(),
    "all": lambda x: (x > -1).all(1, keepdim=True),
    "all_float": lambda x: torch.all(torch.round(x), dim=-1),
    "any_axes": lambda x: torch.any(x > 1, dim=(1, 2)),
    "count_nonzero": lambda x: torch.count_nonzero(torch.round(x), -1),
    "logsumexp": lambda x: x.logsumexp(1),
    "logsumexp_axes": lambda x: x.logsumexp((1, 2), keepdim=True),
    "norm": lambda x: x.norm(),
    "norm_axis": lambda x: x.norm(dim=-1, keepdim=True),
    "norm_1": lambda x: x.norm(1, -1),
    "norm_3": lambda x: torch.linalg.vector_norm(x, 3, -1),
    "norm_inf": lambda x: torch.linalg.vector_norm(x, float("inf"), (1, 2)),
    "norm_minus_inf": lambda x: torch.linalg.vector_norm(x, -float("inf"), 1),
    "norm_0": lambda x: torch.linalg.vector_norm(torch.round(x), 0, -1),
    "norm_half": lambda x: torch.linalg.vector_norm(x, 0.5, -1),
    "frobenius": torch.linalg.matrix_norm,
    "normalize": lambda x: torch.nn.functional.normalize(x, dim=1),
    "var": lambda x: x.var(),
    "var_axis": lambda x: x.var(-1),
    "var_biased": lambda x: x.var(1, unbiased=False, keepdim=True),
    "var_correction": lambda x: x.var(-1, correction=2),
    "var_all_biased": lambda x: x.var(False),
    "std": lambda x: x.std(-1, keepdim=True),
    "std_batch": lambda x: x.std((0, 1), correction=0),
    "var_mean": lambda x: torch.var_mean(x, -1),
    "std_mean": lambda x: torch.std_mean(x, 1, keepdim=True),
    "std_mean_all": torch.std_mean,
    "scalar": lambda x: x[0, 0, 0].sum() + x[0, 0, 0].mean() + x[0, 0, 0].amax(),
    "cosine": lambda x: torch.nn.functional.cosine_similarity(x, x.flip(1), dim=-1),
    "distance": lambda x: torch.nn.functional.pairwise_distance(x, x.flip(1)),
    "empty": lambda x: x[:, :0].sum(1),
    "empty_mean": lambda x: x[:, :0].mean(1),
}  # fmt: skip


def test_values(port_and_compare: Any) -> None:
    port_and_compare(TABLE, "batch,4,6")


def test_one_element_less_than_the_correction(port_and_compare: Any) -> None:
    port_and_compare({"var": lambda x: x.var(-1), "batch": lambda x: x.var(0)}, "batch,1")


def test_a_mean_of_many_elements_that_lie_apart_loses_no_digits(port_and_compare: Any) -> None:
    assert port_and_compare({"y": lambda x: x.mean((1, 2))}, "batch,32,32,8").ops == {"ReduceMean": 2}
    assert port_and_compare({"y": lambda x: x.mean((1, 2), True)}, "batch,32,32,8").ops == {"ReduceMean": 2}
    assert port_and_compare({"y": lambda x: x.mean((1, 2))}, "batch,4,4,8").ops == {"ReduceMean": 1}
    assert port_and_compare({"y": lambda x: x.mean((2, 3))}, "batch,3,32,32").ops == {"ReduceMean": 1}


def test_a_mean_is_one_node(port_and_compare: Any) -> None:
    assert port_and_compare({"y": lambda x: x.mean((2, 3))}, "batch,3,4,4").ops == {"ReduceMean": 1}


def test_a_sum_of_hashes_is_exact_in_all_its_bits(port_and_compare: Any) -> None:
    def hashed(x: Any) -> Any:
        return (x * torch.tensor([1, 1000000007, 1000000014000000049, -4377642754154037417])).sum(-1)

    table = {"hash": hashed, "kept": lambda x: (x * 6000000000000007).sum(1, keepdim=True)}
    port_and_compare(table, "batch,16,4:i")
    plain = port_and_compare({"plain": lambda x: (x * 3).sum(-1)}, "batch,16,4:i")
    assert plain.ops == {"Mul": 1, "ReduceSum": 1}
