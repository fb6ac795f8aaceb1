"""Reading, writing, sorting and counting by index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

I0, I1 = torch.tensor([2, 0, -1]), torch.tensor([[1], [3]])
COLUMN_MASK = torch.tensor([True, False, True, True, False])

READS = {
    "one": lambda x, i: x[:, I0],
    "one_matrix": lambda x, i: x[:, :, I1],
    "adjacent": lambda x, i: x[:, I0, torch.tensor([0, 4, 2])],
    "adjacent_broadcast": lambda x, i: x[:, torch.tensor([2, 0]), I1],
    "not_adjacent": lambda x, i: x[:, I0, :, torch.tensor([1, 0, 1])],
    "three": lambda x, i: x[:, I0, torch.tensor([4, 4, 0]), torch.tensor([0, 1, 1])],
    "front": lambda x, i: x[torch.zeros(3, dtype=torch.long), I0],
    "front_and_back": lambda x, i: x[torch.zeros(3, dtype=torch.long), :, I0],
    "int_and_tensor": lambda x, i: x[:, 0, I0 % 5],
    "none_and_tensor": lambda x, i: x[:, None, I0],
    "scalar_tensor": lambda x, i: x[:, torch.tensor(1)],
    "batch_arange": lambda x, i: x[torch.arange(x.shape[0]), i[:, 0] % 3],
    "mask_constant": lambda x, i: x[:, :, COLUMN_MASK],
    "mask_two_axes": lambda x, i: x[:, torch.ones(3, 5, dtype=torch.bool).tril()],
    "mask_of_input": lambda x, i: x[x > 0],
    "mask_rows": lambda x, i: x[i[:, 0] > 1],
    "mask_behind": lambda x, i: x[:, (x > -9)[0, :, 0, 0]],
    "masked_select": lambda x, i: x.masked_select(i[:, :1, None, None] > 0),
    "gather": lambda x, i: x[..., 0].gather(2, i[:, :3, None]),
    "gather_negative_axis": lambda x, i: x[:, 0, :, 0].gather(-1, i),
    "gather_smaller": lambda x, i: x[:, :, 0, 0].gather(1, i[:, :2] % 3),
    "take_along_dim": lambda x, i: x[0, 0].take_along_dim(torch.tensor([[1, 0], [4, 4]]), 0),
    "take": lambda x, i: x.take(i),
    "index_select": lambda x, i: x.index_select(2, torch.tensor([3, 3, 0])),
    "index_select_batch": lambda x, i: x.index_select(0, torch.tensor([0, 0])),
    "nonzero": lambda x, i: (x > 0.5).nonzero(),
    "argwhere": lambda x, i: torch.argwhere(x > 0.5),
    "one_hot": lambda x, i: F.one_hot(i, 6),
    "bucketize": lambda x, i: torch.bucketize(x, torch.tensor([-1.0, 0, 0.5])),
    "bucketize_right": lambda x, i: torch.bucketize(i, torch.tensor([1, 2, 3]), right=True),
    "searchsorted": lambda x, i: torch.searchsorted(torch.tensor([0, 1, 3]), i, side="right"),
    "searchsorted_rows": lambda x, i: torch.searchsorted(x[:, 0, :, 0].sort(-1)[0], x[:, 1, :, 0]),
    "repeats": lambda x, i: x[0, 0].repeat_interleave(torch.tensor([1, 0, 2, 3, 1]), dim=0),
    "repeats_of_input": lambda x, i: x[0, 0].repeat_interleave(i[0], dim=0),
    "unique": lambda x, i: torch.unique(i),
    "isin": lambda x, i: torch.isin(i, torch.tensor([1, 4])),
    "unsafe_index": lambda x, i: torch.ops.aten._unsafe_index(x, [None, I0]),
}  # fmt: skip


def _put(x: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    return torch.ops.aten.index_put(x, indices, values, accumulate)


def _accumulated(x: Any, i: Any) -> Any:
    return _put(torch.zeros(6), (i.flatten(),), x[:, 0, :, 0].flatten(), accumulate=True)


def _reduced(x: Any, i: Any, start: float, reduce: str, include_self: bool = True) -> Any:
    whole = x.new_full((x.shape[0], 6), start)
    return whole.scatter_reduce(1, i, x[:, 0, :, 0], reduce, include_self=include_self)


WRITES = {
    "index_put": lambda x, i: _put(x, (torch.zeros(1, dtype=torch.long), I0[:1]), torch.tensor(9.0)),
    "index_put_accumulate": _accumulated,
    "put_one_axis": lambda x, i: _put(x, (None, I0), torch.tensor(3.0)),
    "put_values": lambda x, i: _put(x, (None, I0), x[:, :3] * 2),
    "put_adjacent": lambda x, i: _put(x, (None, I0, torch.tensor([0, 2, 4])), x[:, :, 0] + 1),
    "put_apart": lambda x, i: _put(x, (None, I0, None, torch.tensor([0, 1, 0])), x[0, :, :, 0][:, None] + 5),
    "put_row": lambda x, i: _put(x, (None, None, torch.tensor([1, 3])), torch.tensor([7.0, 8.0])),
    "put_mask": lambda x, i: _put(x, (x > 0,), torch.tensor(-1.0)),
    "put_mask_rows": lambda x, i: _put(x, (i[:, 0] > 1,), torch.tensor([3.0, 4.0])),
    "put_mask_accumulate": lambda x, i: _put(x, (x > 0,), torch.tensor(10.0), accumulate=True),
    "put_mask_behind": lambda x, i: _put(x, (None, None, COLUMN_MASK), x[:, :, :3] * 3),
    "scatter": lambda x, i: x[:, 0, :, 0].scatter(1, i, x[:, 1, :, 0]),
    "scatter_value": lambda x, i: torch.zeros(x.shape[0], 6).scatter(-1, i[:, :1], 1.0),
    "scatter_short": lambda x, i: x[:, 0, :, 0].scatter(1, i[:, :2] * 0 + torch.tensor([1, 3]), x[:, 1, :, 0]),
    "scatter_add": lambda x, i: torch.zeros(x.shape[0], 6).scatter_add(1, i, x[:, 0, :, 0]),
    "scatter_multiply": lambda x, i: torch.ones(x.shape[0], 6).scatter(1, i, x[:, 0, :, 0], reduce="multiply"),
    "scatter_amax": lambda x, i: _reduced(x, i, 0.0, "amax"),
    "scatter_amin": lambda x, i: _reduced(x, i, 0.0, "amin", include_self=False),
    "scatter_mean": lambda x, i: _reduced(x, i, 1.0, "mean"),
    "scatter_mean_others": lambda x, i: _reduced(x, i, 1.0, "mean", include_self=False),
    "scatter_prod": lambda x, i: _reduced(x, i, 2.0, "prod", include_self=False),
    "index_add": lambda x, i: x.index_add(1, torch.tensor([0, 0, 2]), x * 2, alpha=0.5),
    "index_copy": lambda x, i: x.index_copy(2, torch.tensor([4, 1]), x[:, :, :2]),
    "index_fill": lambda x, i: x.index_fill(-1, torch.tensor([1]), 2.5),
    "index_reduce": lambda x, i: x.index_reduce(1, torch.tensor([0, 0, 2]), x * 2, "amax"),
    "masked_fill": lambda x, i: x.masked_fill(i[:, None, :, None] > 2, float("-inf")),
    "masked_scatter": lambda x, i: x.masked_scatter(x > 0, torch.arange(200.0)),
    "select_scatter": lambda x, i: x.select_scatter(x[:, 0] * 2, 1, -1),
    "slice_scatter": lambda x, i: x.slice_scatter(x[:, :, 1:3] * 2, 2, 0, 2),
    "slice_scatter_step": lambda x, i: x.slice_scatter(x[:, :, :2] * 2, 2, 1, 5, 2),
    "diagonal_scatter": lambda x, i: x.diagonal_scatter(x[:, :, :2, 0] * 2, 0, 2, 3),
    "put": lambda x, i: x.put(torch.tensor([0, 5]), torch.tensor([1.0, 2.0])),
    "triu_put": lambda x, i: _put(x[:, :, :3, 0], (None, *torch.triu_indices(3, 3, 1)), torch.tensor(0.0)),
}  # fmt: skip

ORDERED = {
    "topk": lambda x: x.topk(3)[0],
    "topk_places": lambda x: x.topk(3, dim=1)[1],
    "topk_smallest": lambda x: x.topk(2, dim=1, largest=False),
    "topk_int": lambda x: (x * 1e3).int().topk(2)[0],
    "sort": lambda x: x.sort(),
    "sort_down": lambda x: x.sort(1, descending=True),
    "sort_stable_ties": lambda x: torch.sort((x > 0).int(), dim=-1, stable=True)[1],
    "sort_bool": lambda x: (x > 0).sort(-1)[0],
    "argsort": lambda x: x.argsort(-2),
    "argsort_down": lambda x: x.argsort(descending=True),
    "kthvalue": lambda x: x.kthvalue(2, 1),
    "median": lambda x: x.median(-1),
    "median_all": lambda x: x[0].median(),
    "nanmedian": lambda x: torch.where(x > 0.5, torch.nan, x).nanmedian(-1)[0],
    "cumsum": lambda x: x.cumsum(1),
    "cumsum_int": lambda x: (x > 0).cumsum(-1),
    "cumprod": lambda x: x.cumprod(-1),
    "cummax": lambda x: x.cummax(1),
    "cummin": lambda x: torch.round(x).cummin(-1),
    "cummax_int": lambda x: (x * 3).long().cummax(1),
    "cummin_int": lambda x: (x * 3).short().cummin(2),
    "cummax_bool": lambda x: (x > 1).cummax(-1),
    "cummax_of_least": lambda x: torch.where(x > 1, x.long(), torch.iinfo(torch.int64).min).cummax(1),
    "logcumsumexp": lambda x: x.logcumsumexp(-1),
    "msort": lambda x: x[0].msort(),
    "quantile": lambda x: x[0].quantile(0.3, dim=-1),
}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "inputs"),
    [
        pytest.param(READS, ("batch,3,5,2", "batch,5:i0..5"), id="reads"),
        pytest.param(WRITES, ("batch,3,5,2", "batch,5:i0..5"), id="writes"),
        pytest.param(ORDERED, ("batch,6,7",), id="ordered"),
    ],
)
def test_values(port_and_compare: Any, table: dict[str, Callable[..., Any]], inputs: tuple[str, ...]) -> None:
    port_and_compare(table, *inputs)


class Embeddings(torch.nn.Module):
    """Tables of rows, single and in bags."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.nn.Embedding(10, 4, padding_idx=0)
        self.limited = torch.nn.Embedding(10, 4, max_norm=1.0)
        self.bags = torch.nn.ModuleDict(
            {mode: torch.nn.EmbeddingBag(10, 4, mode=mode) for mode in ("sum", "mean", "max")}
        )
        self.padded = torch.nn.EmbeddingBag(10, 4, mode="mean", padding_idx=3)

    def forward(self, ids: Any) -> Any:
        bags = {mode: bag(ids) for mode, bag in self.bags.items()}
        return {"plain": self.plain(ids), "limited": self.limited(ids), "padded": self.padded(ids), **bags}


def test_embeddings(port_and_compare: Any) -> None:
    port_and_compare(Embeddings(), "batch,6:i0..10")


def test_an_embedding_is_one_gather(port_and_compare: Any) -> None:
    table = torch.randn(5, 3)
    assert port_and_compare({"y": lambda i: F.embedding(i, table)}, "batch,4:i0..5").ops == {"Gather": 1}


def test_a_pad_as_long_as_the_data_say(port_and_compare: Callable[..., Any]) -> None:
    def pad(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        count = (b > 0).sum().item()
        torch._check(count >= 0)
        return F.pad(a, (0, count), value=2.0)

    port_and_compare({"pad": pad}, "3,4", "5")
