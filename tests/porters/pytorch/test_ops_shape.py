"""Shape operators, padding, creation: negative axes, steps, symbolic batch without shape arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

SHAPES = {
    "view": lambda x: x.view(x.shape[0], 12, -1),
    "view_first": lambda x: x.view(-1, 5),
    "flatten": lambda x: x.flatten(1),
    "flatten_all": lambda x: x.flatten(),
    "unflatten": lambda x: x.unflatten(-1, (5, 1)),
    "reshape_transposed": lambda x: x.transpose(1, 3).reshape(x.shape[0], -1),
    "split_batch": lambda x: x.reshape(x.shape[0] * 3, 4, 5),
    "view_as": lambda x: x.view_as(x + 1),
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "squeeze": lambda x: x[:, :1].squeeze(1),
    "squeeze_other": lambda x: x.squeeze(1),
    "squeeze_many": lambda x: x[:, :1, :1].squeeze((1, 2)),
    "transpose": lambda x: x.transpose(-1, 1),
    "permute": lambda x: x.permute(0, -1, 1, 2),
    "batch_last": lambda x: x.permute(1, 2, 3, 0),
    "mT": lambda x: x.mT,
    "T": lambda x: x[:, 0, 0].T,
    "numpy_T": lambda x: x.permute(*reversed(range(4))),
    "movedim": lambda x: x.movedim(1, -1),
    "movedims": lambda x: x.movedim((1, 2), (-1, 1)),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "expand": lambda x: x[:, :1].expand(-1, 6, -1, -1),
    "expand_front": lambda x: x.expand(2, *x.shape),
    "broadcast_to": lambda x: x[:, :1, :1].broadcast_to(x.shape),
    "repeat": lambda x: x.repeat(1, 2, 1, 3),
    "repeat_front": lambda x: x.repeat(2, 1, 1, 1, 1),
    "tile": lambda x: x.tile((2, 1)),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "repeat_interleave_flat": lambda x: x.repeat_interleave(3),
    "repeat_interleave_batch": lambda x: x.repeat_interleave(2, dim=0),
    "cat": lambda x: torch.cat([x, x * 2, x], -2),
    "cat_empty": lambda x: torch.cat([torch.empty(0), x], 1),
    "stack": lambda x: torch.stack([x, -x], -1),
    "hstack": lambda x: torch.hstack([x, x]),
    "slice": lambda x: x[:, 1:3],
    "slice_negative": lambda x: x[:, :, -3:-1],
    "slice_none": lambda x: x[:, None, :, ::2],
    "slice_step": lambda x: x[..., 1::2],
    "slice_past": lambda x: x[..., 2:99],
    "slice_empty": lambda x: x[..., 3:3],
    "ellipsis": lambda x: x[..., 0, :],
    "batch_slice": lambda x: x[:1],
    "batch_negative": lambda x: x[-1:],
    "narrow": lambda x: x.narrow(1, 1, 2),
    "narrow_end": lambda x: torch.narrow(x, 2, -2, 2),
    "select": lambda x: x.select(2, -1),
    "select_batch": lambda x: x[0],
    "split": lambda x: x.split(2, -1)[2],
    "split_sizes": lambda x: x.split([1, 3], 2)[1],
    "chunk": lambda x: x.chunk(3, 1)[1],
    "chunk_uneven": lambda x: x.chunk(4, -1)[2],
    "tensor_split": lambda x: x.tensor_split(2, -1)[0],
    "tensor_split_at": lambda x: x.tensor_split((1, 3), -1)[1],
    "unbind": lambda x: x.unbind(2)[3],
    "roll": lambda x: x.roll(1, 2),
    "roll_many": lambda x: torch.roll(x, (1, -2), (2, 3)),
    "roll_batch": lambda x: x.roll(5, 0),
    "roll_flat": lambda x: x.roll(7),
    "flip": lambda x: x.flip(-1, 1),
    "flip_batch": lambda x: x.flip(0),
    "flip_none": lambda x: x.flip([]),
    "rot90": lambda x: x.rot90(1, (2, 3)),
    "tril": lambda x: x.tril(),
    "triu": lambda x: x.triu(-1),
    "tril_bool": lambda x: (x > 0).tril(1),
    "triu_int": lambda x: x.int().triu(1),
    "unfold": lambda x: x.unfold(-1, 3, 1),
    "unfold_inner": lambda x: x.unfold(1, 2, 1),
    "diff": lambda x: x.diff(dim=2),
    "diagonal": lambda x: x.diagonal(1, -2, -1),
    "diagonal_low": lambda x: x.diagonal(-1, 1, 3),
    "trace": lambda x: torch.trace(x[0, 0, :, :4]),
    "as_strided": lambda x: x.as_strided((x.shape[0], 5, 3), (60, 7, 2)),
    "meshgrid": lambda x: torch.meshgrid(x[0, 0, 0], x[0, 0, :, 0], indexing="ij")[1],
    "atleast": lambda x: torch.atleast_3d(x[:, 0, 0]),
    "kron": lambda x: torch.kron(x[0, 0], x[0, 1]),
    "numel": lambda x: x * x.numel(),
    "size_arithmetic": lambda x: x.new_ones(x.shape[0] * 2 + 1),
}  # fmt: skip

PADS = {
    "constant": lambda x: F.pad(x, (1, 2)),
    "constant_2d": lambda x: F.pad(x, (1, 0, 2, 1), value=-3.5),
    "crop": lambda x: F.pad(x, (-1, -2)),
    "crop_and_pad": lambda x: F.pad(x, (-1, 2, 3, -2), value=1.0),
    "reflect": lambda x: F.pad(x, (2, 1, 0, 2), mode="reflect"),
    "reflect_crop": lambda x: F.pad(x, (2, -1, 0, 0), mode="reflect"),
    "replicate": lambda x: F.pad(x, (3, 1, 2, 2), mode="replicate"),
    "replicate_crop": lambda x: F.pad(x, (-2, 3, 0, 0), mode="replicate"),
    "circular": lambda x: F.pad(x, (2, 1, 1, 2), mode="circular"),
    "circular_crop": lambda x: F.pad(x, (2, -1, 0, 0), mode="circular"),
    "bool": lambda x: F.pad(x > 0, (1, 1), value=True),
    "int": lambda x: F.pad((x * 4).long(), (1, 1), value=7),
    "nothing": lambda x: F.pad(x, (0, 0)),
    "channels": lambda x: F.pad(x, (0, 0, 0, 0, 1, 1)),
    "zero_pad": torch.nn.ZeroPad2d((1, 2, 0, 1)),
}  # fmt: skip

CREATED = {
    "zeros_like": lambda x: torch.zeros_like(x) + x,
    "new_zeros": lambda x: torch.cat([x.new_zeros(x.shape[0], 2), x], 1),
    "ones": lambda x: torch.ones(x.shape[0], 3, dtype=torch.int64),
    "full": lambda x: torch.full((x.shape[0], 2), 1.5),
    "full_like": lambda x: torch.full_like(x, -2),
    "new_full_bool": lambda x: x.new_full((x.shape[0],), True, dtype=torch.bool),
    "arange": lambda x: torch.arange(x.shape[0]),
    "arange_float": lambda x: torch.arange(x.shape[0], dtype=torch.float32) / 3,
    "arange_steps": lambda x: torch.arange(0.5, 1.15, 0.1) + x,
    "arange_from": lambda x: torch.arange(1, 2 * x.shape[0] + 1, 2),
    "linspace": lambda x: torch.linspace(-1, 1, x.shape[1]) * x,
    "eye": lambda x: torch.eye(x.shape[0]),
    "eye_static": lambda x: x @ torch.eye(7, 4),
    "positions": lambda x: torch.arange(7).expand(x.shape[0], -1) + 1,
    "tril_mask": lambda x: torch.tril(torch.ones(7, 7, dtype=torch.bool)) & (x[:, None] > 0),
    "scalar": lambda x: x + torch.tensor(x.shape[0]),
    "hann": lambda x: x * torch.hann_window(7),
    "empty_filled": lambda x: torch.empty_like(x).fill_(3) + x,
    "triu_indices": lambda x: x[:, torch.triu_indices(7, 7, 1)[0][:5]],
}  # fmt: skip


TWO_SYMBOLIC = {
    "share": lambda x: torch.arange(12) < math.ceil(0.7 * x.shape[0] * x.shape[1]),
    "share_down": lambda x: torch.arange(12) < math.floor(1.4 * x.shape[0] + 0.25 * x.shape[1]),
    "share_cut": lambda x: torch.arange(12) < math.trunc(1.4 * x.shape[1]),
    "heads": lambda x: x.view(x.shape[0], x.shape[1], 2, 4).transpose(1, 2),
    "merge": lambda x: x.reshape(x.shape[0] * x.shape[1], 8),
    "tail": lambda x: x[:, 1:],
    "last": lambda x: x[:, -1],
    "causal": lambda x: torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril(),
    "positions": lambda x: torch.arange(x.shape[1])[None] + 2,
    "roll": lambda x: x.roll(1, 1),
    "pad": lambda x: F.pad(x, (0, 0, 0, 2)),
    "flip": lambda x: x.flip(1),
    "var": lambda x: x.var(1),
    "cumsum": lambda x: x.cumsum(1),
    "halves": lambda x: torch.cat([x[..., 4:], x[..., :4]], -1),
    "half": lambda x: x[:, : x.shape[1] // 2],
    "mean": lambda x: x.mean((0, 1)),
    "softmax": lambda x: torch.softmax(x @ x.mT, -1),
}


@pytest.mark.parametrize(
    ("table", "shape"),
    [
        pytest.param(SHAPES, "batch,3,4,5", id="shapes"),
        pytest.param(PADS, "batch,2,6,5", id="pads"),
        pytest.param(CREATED, "batch,7", id="creation"),
    ],
)
def test_values(port_and_compare: Any, table: dict[str, Callable[..., Any]], shape: str) -> None:
    port_and_compare(table, shape)


def test_a_view_is_strided_over_as_it_lies_in_memory(port_and_compare: Any) -> None:
    """Longformer reads overlapping chunks out of transposed heads; the memory is that before the transpose."""
    overlapping = {
        "turned": lambda x: x.transpose(0, 1).as_strided((4, 3, 2), (5, 20, 1)),
        "heads": lambda x: x.view(3, 4, 5, 1).permute(1, 0, 2, 3).as_strided((4, 2, 5), (5, 20, 1)),
    }
    port_and_compare(overlapping, "3,4,5", batches=(2,))


def test_what_vmap_maps_over_is_plain_operators(port_and_compare: Any) -> None:
    """Masks of transformers are functions of indices, mapped over each of them."""

    def mask(x: torch.Tensor) -> torch.Tensor:
        def near(row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
            return (row >= column) & (x.sum() * (row - column) > -1)

        rows = torch.arange(4)
        return x @ torch.vmap(torch.vmap(near, in_dims=(None, 0)), in_dims=(0, None))(rows, rows).to(x.dtype)

    port_and_compare({"mask": mask}, "batch,4")


def test_two_symbolic_axes(port_and_compare: Any) -> None:
    """Sizes that are known by their expressions only: ceil-free arithmetic, slices from the end, reshapes."""
    port_and_compare(TWO_SYMBOLIC, "batch,length,8", batches=(2, 3))


@pytest.mark.parametrize(
    ("function", "nodes"),
    [
        (lambda x: x.view(x.shape[0], 2, 6), {"Reshape": 1}),
        (lambda x: x.flatten(1), {"Reshape": 1}),
        (lambda x: x.reshape(-1, 4), {"Reshape": 1}),
        (lambda x: x.transpose(1, 2), {"Transpose": 1}),
        (lambda x: x[:, 1:2], {"Slice": 1}),
        (lambda x: x[:, 1], {"Gather": 1}),
        (lambda x: x[:, :1].expand(-1, 5, -1), {"Slice": 1, "Expand": 1}),
        (lambda x: F.pad(x, (1, 1)), {"Pad": 1}),
        (lambda x: x.chunk(2, 2)[0], {"Split": 1}),
        (lambda x: x.view(-1, 3, 2, 2).transpose(1, 2).reshape(-1, 2, 6), {"Reshape": 2, "Transpose": 1}),
    ],
)  # fmt: skip
def test_a_symbolic_batch_needs_no_shape_arithmetic(port_and_compare: Any, function: Any, nodes: Any) -> None:
    assert port_and_compare({"y": function}, "batch,3,4").ops == nodes
