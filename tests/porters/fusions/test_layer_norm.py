"""LayerNormalization spelled out in small ops, as models write it."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
X = ("batch", "sequence", 16)


class Norm(torch.nn.Module):
    def __init__(self, shape: Any = (16,)) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(16) + 0.5)
        self.bias = torch.nn.Parameter(torch.randn(*shape))

    def forward(self, x: Any) -> Any:
        mean = x.mean(-1, keepdim=True)
        var = (x - mean).pow(2).mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(var + 1e-5) * self.weight + self.bias


class ByVariance(Norm):
    def forward(self, x: Any) -> Any:
        var, mean = torch.var_mean(x, -1, keepdim=True, correction=0)
        return self.bias + self.weight * ((x - mean) * torch.rsqrt(var + 1e-5))


class WithoutBias(Norm):
    def forward(self, x: Any) -> Any:
        centred = x - x.mean(-1, keepdim=True)
        return centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + 1e-5) * self.weight


class Parallel(Norm):
    """Two norms of one value: their statistics are shared only after both are whole."""

    def forward(self, x: Any) -> Any:
        first = super().forward(x)
        mean = x.mean(-1, keepdim=True)
        var = (x - mean).pow(2).mean(-1, keepdim=True)
        return first, (x - mean) / torch.sqrt(var + 1e-5) * self.bias + self.weight


@pytest.mark.parametrize(("build", "count"), [(Norm, 1), (ByVariance, 1), (WithoutBias, 1), (Parallel, 2)])
def test_one_node_and_the_same_function(port: Any, build: Any, count: int) -> None:
    ported = port(build(), x=X)
    assert ported.ops == {"LayerNormalization": count}
    ported.assert_same()


class Unbiased(Norm):
    def forward(self, x: Any) -> Any:
        var, mean = torch.var_mean(x, -1, keepdim=True)
        return (x - mean) * torch.rsqrt(var + 1e-5) * self.weight + self.bias


class EpsilonOutside(Norm):
    def forward(self, x: Any) -> Any:
        mean = x.mean(-1, keepdim=True)
        var = (x - mean).pow(2).mean(-1, keepdim=True)
        return (x - mean) / (torch.sqrt(var) + 1e-5) * self.weight + self.bias


class OtherMean(Norm):
    def forward(self, x: Any) -> Any:
        mean = x.mean(1, keepdim=True)
        var = (x - mean).pow(2).mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(var + 1e-5) * self.weight + self.bias


class Added(Norm):
    def forward(self, x: Any) -> Any:
        mean = x.mean(-1, keepdim=True)
        var = (x - mean).pow(2).mean(-1, keepdim=True)
        return (x + mean) / torch.sqrt(var + 1e-5) * self.weight + self.bias


class VarianceSeen(Norm):
    def forward(self, x: Any) -> Any:
        mean = x.mean(-1, keepdim=True)
        var = (x - mean).pow(2).mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(var + 1e-5) * self.weight + self.bias, var


@pytest.mark.parametrize("build", [Unbiased, EpsilonOutside, OtherMean, Added, VarianceSeen])
def test_a_near_miss_is_left_alone(port: Any, build: Any) -> None:
    ported = port(build(), x=X)
    assert ported.ops["LayerNormalization"] == 0
    ported.assert_same(batches=(2,), lengths=(5,))


def test_a_bias_of_another_shape_stays_an_addition(port: Any) -> None:
    ported = port(Norm((1, 16)), x=X)
    assert ported.ops == {"LayerNormalization": 1, "Add": 1}
    ported.assert_same(batches=(2,), lengths=(5,))


def test_provenance_stays(port: Any) -> None:
    norm = port(WithoutBias(), x=X).node("LayerNormalization")
    sources = norm.metadata_props["zooport.fused"].split(",")
    assert sources[0] == "mean"
    assert sources[-1] == norm.metadata_props["zooport.node"] == "mul_2"
