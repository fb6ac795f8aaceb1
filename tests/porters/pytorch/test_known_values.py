"""Values followed through a model's code while it is exported: what is made of shapes alone, and sizes given by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from porters.pytorch.known_values import known_values


class Aligned(torch.nn.Module):
    """Goes over its rows with their lengths, which are made like the input and are the same for all data."""

    def forward(self, x: Any) -> Any:
        lengths = (x.shape[1] - 1) * x.new_ones(x.shape[0], dtype=torch.long)
        if (lengths == x.shape[1]).all():
            return x
        result = torch.zeros_like(x)
        for place, (row, length) in enumerate(zip(x, lengths, strict=True)):
            part = row[:length]
            if part.numel() > 0 and length > 1:
                result[place, :length] = part * 2
        return result


class Gridded(torch.nn.Module):
    """Makes coordinates out of sizes that are elements of a constant tensor."""

    def forward(self, x: Any) -> Any:
        sizes = torch.tensor([[2, 3]])
        height, width = sizes[0, 0], sizes[0, 1]
        rows, columns = torch.arange(0, height, dtype=x.dtype), torch.arange(0, width, dtype=x.dtype)
        grid = (rows[:, None] / height + columns[None, :] / width).flatten()
        return torch.nn.functional.scaled_dot_product_attention(x, x, x, attn_mask=grid[None, None, None, :])


class Gathered(torch.nn.Module):
    """Puts known elements, one by one, into a list and makes a tensor of it again."""

    def forward(self, x: Any) -> Any:
        ends = [0]
        for length in torch.tensor([1, 2, 1]):
            ends += [length] * (length // 1)
        lengths = torch.tensor(ends).cumsum(0)[1:3]
        return torch.cat([part.cumsum(1) for part in x.split(lengths.tolist(), dim=1)], dim=1)


class Written(torch.nn.Module):
    """Decides by a tensor made like the input, into which the input was written."""

    def __init__(self, write: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.write = write

    def forward(self, x: Any) -> Any:
        made = torch.zeros_like(x)
        self.write(made, x)
        return x * 2 if made.sum() > 0 else x


@pytest.mark.parametrize(
    ("model", "shape"),
    [(Aligned(), (2, 4)), (Gridded(), (1, 1, 6, 5)), (Gathered(), (2, 4))],
    ids=["like", "sizes", "elements"],
)
def test_what_is_made_of_shapes_alone_is_known(model: torch.nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(Exception, match=r"data-dependent|unbacked|u0"):
        torch.export.export(model, (torch.randn(shape),), strict=False)
    with known_values(model):
        program = torch.export.export(model, (torch.randn(shape),), strict=False)
    assert not any(node.meta.get("unbacked_bindings") for node in program.graph.nodes)
    x = torch.randn(shape)
    torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.parametrize(
    "write",
    [
        lambda made, x: made.__setitem__(slice(None), x),
        lambda made, x: made.copy_(x),
        torch.ops.aten.copy_.default,
        lambda made, x: torch.add(x, x, out=made),
        lambda made, x: made[0].view(-1)[1:].add_(x[0, 1:]),
    ],
    ids=["item", "method", "operator", "out", "view"],
)
def test_what_an_input_was_written_into_is_not_known(write: Callable[[Any, Any], Any]) -> None:
    model = Written(write)
    with known_values(model), pytest.raises(Exception, match=r"data-dependent|unbacked|u0"):
        torch.export.export(model, (torch.ones(2, 4),), strict=False)
