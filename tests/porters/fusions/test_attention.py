"""Attention spelled out: eager attention of transformers and timm, shifted windows, grouped heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from porters.pytorch.sources import need
from zoo.inputs import InputSpec

torch = pytest.importorskip("torch")
QKV = ("batch", 2, "sequence", 8)
THREE = {"q": QKV, "k": QKV, "v": QKV}


class Eager(torch.nn.Module):
    """The usual spelling, with a hole for each thing that can be done otherwise."""

    def scores(self, q: Any, k: Any) -> Any:
        return q @ k.transpose(-2, -1) * 0.3

    def forward(self, q: Any, k: Any, v: Any) -> Any:
        return self.scores(q, k).softmax(-1) @ v


class ScaledQuery(Eager):
    def scores(self, q: Any, k: Any) -> Any:
        return (q * 0.3) @ k.transpose(-2, -1)


class ScaledKey(Eager):
    def scores(self, q: Any, k: Any) -> Any:
        return q @ (k.transpose(-2, -1) * 0.3)


class Divided(Eager):
    def scores(self, q: Any, k: Any) -> Any:
        return torch.matmul(q, k.mT) / 3.3


class Unscaled(Eager):
    def scores(self, q: Any, k: Any) -> Any:
        return q @ k.mT


@pytest.mark.parametrize(
    ("build", "scale"), [(Eager, 0.3), (ScaledQuery, 0.3), (ScaledKey, 0.3), (Divided, 1 / 3.3), (Unscaled, 1.0)]
)
def test_one_node_and_the_same_function(port: Any, build: Any, scale: float) -> None:
    ported = port(build(), **THREE)
    assert ported.ops == {"Attention": 1}
    assert ported.node("Attention").attributes["scale"].value == pytest.approx(scale, rel=1e-6)
    ported.assert_same()


class Masked(torch.nn.Module):
    def forward(self, q: Any, k: Any, v: Any, mask: Any) -> Any:
        return (q @ k.mT * 0.3 + mask).softmax(-1) @ v


@pytest.mark.parametrize(
    "shape",
    [
        ("batch", 1, "sequence", "sequence"),
        (1, 2, "sequence", "sequence"),
        ("sequence", "sequence"),
        ("batch", 1, 1, "sequence"),
    ],
    ids=str,
)
def test_a_mask_is_added(port: Any, shape: Any) -> None:
    ported = port(Masked(), **THREE, mask=InputSpec("mask", "float32", shape))
    assert ported.ops["Attention"] == 1
    assert ported.ops["Softmax"] == ported.ops["Add"] == 0
    ported.assert_same()


def test_keys_of_another_layout(port: Any) -> None:
    class LengthFirst(torch.nn.Module):
        def forward(self, q: Any, k: Any, v: Any) -> Any:
            return (q.transpose(1, 2) @ k.permute(0, 2, 3, 1)).softmax(-1) @ v.transpose(1, 2)

    shape = ("batch", "sequence", 2, 8)
    ported = port(LengthFirst(), q=shape, k=shape, v=shape)
    assert ported.ops == {"Attention": 1, "Transpose": 3}
    ported.assert_same()


def test_shifted_windows_count_as_heads(port: Any) -> None:
    class Windows(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = torch.nn.Parameter(torch.randn(1, 2, 4, 4))
            mask = torch.zeros(3, 4, 4)
            mask[1, :2, 2:] = mask[2, 2:, :2] = -100.0
            self.register_buffer("mask", mask, persistent=False)

        def forward(self, q: Any, k: Any, v: Any) -> Any:
            scores = (q * 0.4) @ k.mT + self.bias
            scores = scores.view(-1, 3, 2, 4, 4) + self.mask[None, :, None]
            return scores.view(-1, 2, 4, 4).softmax(-1) @ v

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.windows = Windows()

        def forward(self, x: Any) -> Any:
            q, k, v = (x * n for n in (0.3, 1.0, 2.0))
            return self.windows(*(item.reshape(-1, 2, 4, 8) for item in (q, k, v)))

    ported = port(Model(), x=("batch", 3, 2, 4, 8))
    attention = ported.node("Attention")
    assert ported.ops["Softmax"] == 0
    assert [str(size) for size in attention.outputs[0].shape] == ["batch", "6", "4", "8"]
    ported.assert_same(lengths=(5,))


class Grouped(torch.nn.Module):
    def __init__(self, repeat: Any) -> None:
        super().__init__()
        self.repeat = repeat

    def forward(self, q: Any, k: Any, v: Any) -> Any:
        return torch.nn.functional.scaled_dot_product_attention(q, self.repeat(k), self.repeat(v))


GROUPED = {"q": ("batch", 4, "sequence", 8), "k": QKV, "v": QKV}


def test_grouped_heads_are_shared(port: Any) -> None:
    need("transformers", "text")
    from transformers.models.llama.modeling_llama import repeat_kv

    ported = port(Grouped(lambda x: repeat_kv(x, 2)), **GROUPED)
    assert ported.ops == {"Attention": 1}
    assert [value.name for value in ported.node("Attention").inputs] == ["q", "k", "v"]
    ported.assert_same()


def test_heads_repeated_in_another_order_stay(port: Any) -> None:
    ported = port(Grouped(lambda x: x.repeat(1, 2, 1, 1)), **GROUPED)
    assert ported.ops["Tile"] == 2
    ported.assert_same(batches=(2,), lengths=(5,))


class OtherAxis(Eager):
    def forward(self, q: Any, k: Any, v: Any) -> Any:
        return self.scores(q, k).softmax(-2) @ v


class Negative(Eager):
    def scores(self, q: Any, k: Any) -> Any:
        return q @ k.mT * -0.3


class NotTransposed(Eager):
    def scores(self, q: Any, k: Any) -> Any:
        return q @ k.sin().reshape(-1, 2, 8, k.shape[2])


class ScaledBehindMask(Eager):
    def scores(self, q: Any, k: Any) -> Any:
        return (q @ k.mT + q.mean((1, 3))[:, None, None, :]) * 0.3


class Capped(Eager):
    def scores(self, q: Any, k: Any) -> Any:
        return torch.tanh(q @ k.mT / 5) * 5


class ScaledByTensor(Eager):
    def scores(self, q: Any, k: Any) -> Any:
        return q @ k.mT * torch.arange(1.0, 3.0)[:, None, None]


class ProbabilitiesSeen(Eager):
    def forward(self, q: Any, k: Any, v: Any) -> Any:
        weights = self.scores(q, k).softmax(-1)
        return weights @ v, weights


class ScoresSeen(Eager):
    def forward(self, q: Any, k: Any, v: Any) -> Any:
        scores = self.scores(q, k)
        return scores.softmax(-1) @ v, scores


@pytest.mark.parametrize(
    "build",
    [OtherAxis, Negative, NotTransposed, ScaledBehindMask, Capped, ScaledByTensor, ProbabilitiesSeen, ScoresSeen],
)
def test_a_near_miss_is_left_alone(port: Any, build: Any) -> None:
    ported = port(build(), **THREE)
    assert ported.ops["Attention"] == 0
    ported.assert_same(batches=(2,), lengths=(5,))


@pytest.mark.parametrize("which", ["q", "k", "v"])
def test_operands_that_broadcast_are_left_alone(port: Any, which: str) -> None:
    shapes = {**THREE, which: (1, *QKV[1:])}
    ported = port(Eager(), **shapes)
    assert ported.ops["Attention"] == 0
    ported.assert_same(batches=(2,), lengths=(5,))


def test_provenance_stays(port: Any) -> None:
    attention = port(Eager(), **THREE).node("Attention")
    sources = attention.metadata_props["zooport.fused"].split(",")
    assert sources == ["transpose", "matmul", "mul", "softmax", "matmul_1"]
    assert attention.metadata_props["zooport.node"] == "matmul_1"


def test_the_scale_is_a_plain_number(port: Any) -> None:
    assert isinstance(port(Eager(), **THREE).node("Attention").attributes["scale"].value, (float, np.floating))
