"""RMSNormalization: transformers' own modules are put together again, near misses are left alone."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
import pytest

from porters.pytorch.sources import need

torch = pytest.importorskip("torch")
X = ("batch", "sequence", 16)


class Rms(torch.nn.Module):
    """The usual spelling, with a hole for each thing that can be done otherwise."""

    def __init__(self, weight: Any = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(16) + 0.5 if weight is None else weight)

    def scale(self, x: Any) -> Any:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)

    def forward(self, x: Any) -> Any:
        return self.weight * self.scale(x)


def upstream(name: str) -> Any:
    need("transformers", "text")
    from transformers.models.llama.modeling_llama import LlamaRMSNorm
    from transformers.models.t5.modeling_t5 import T5LayerNorm

    module = {"llama": LlamaRMSNorm, "t5": T5LayerNorm}[name](16)
    torch.nn.init.uniform_(module.weight, 0.5, 1.5)

    class Named(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = module

        def forward(self, x: Any) -> Any:
            return self.norm(x)

    return Named()


class BySqrt(Rms):
    def scale(self, x: Any) -> Any:
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6)


class ByPower(Rms):
    def scale(self, x: Any) -> Any:
        return x * (1e-6 + x.pow(2).mean(-1, keepdim=True)) ** -0.5


class LastTwo(Rms):
    def scale(self, x: Any) -> Any:
        return x * torch.rsqrt(x.pow(2).mean((-2, -1), keepdim=True) + 1e-6)


class OnePlusWeight(Rms):
    def forward(self, x: Any) -> Any:
        return self.scale(x) * (1 + self.weight)


@pytest.mark.parametrize(
    "build",
    [lambda: upstream("llama"), lambda: upstream("t5"), Rms, BySqrt, ByPower, OnePlusWeight],
    ids=["llama", "t5", "rsqrt", "sqrt", "power", "one plus weight"],
)
def test_one_node_and_the_same_function(port: Any, build: Any) -> None:
    ported = port(build(), x=X)
    assert ported.ops["RMSNormalization"] == 1
    assert ported.ops["ReduceMean"] == ported.ops["Mul"] == 0
    ported.assert_same()


def test_several_last_axes(port: Any) -> None:
    ported = port(LastTwo(torch.rand(4, 16)), x=("batch", 4, 16))
    assert ported.ops == {"RMSNormalization": 1}
    assert ported.node("RMSNormalization").attributes["axis"].value == -2
    ported.assert_same(lengths=(5,))


def test_half_precision_with_its_casts(port: Any) -> None:
    from zoo.inputs import InputSpec

    ported = port(upstream("llama").half(), x=InputSpec("x", "float16", X))
    assert ported.ops == {"RMSNormalization": 1}
    assert ported.model.graph.outputs[0].dtype == ir.DataType.FLOAT16


class EpsilonOutside(Rms):
    def scale(self, x: Any) -> Any:
        return x / (torch.sqrt(x.pow(2).mean(-1, keepdim=True)) + 1e-6)


class Cubed(Rms):
    def scale(self, x: Any) -> Any:
        return x * torch.rsqrt(x.pow(3).mean(-1, keepdim=True).abs() + 1e-6)


class OfAnother(Rms):
    def scale(self, x: Any) -> Any:
        return x * torch.rsqrt(x.sin().pow(2).mean(-1, keepdim=True) + 1e-6)


class OtherAxis(Rms):
    def scale(self, x: Any) -> Any:
        return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)


class Summed(Rms):
    def scale(self, x: Any) -> Any:
        return x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + 1e-6)


class NotInverse(Rms):
    def scale(self, x: Any) -> Any:
        return x * torch.sqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class WeightAdded(Rms):
    def forward(self, x: Any) -> Any:
        return self.weight + self.scale(x)


class StatisticsSeen(Rms):
    def forward(self, x: Any) -> Any:
        mean = x.pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(mean + 1e-6)), mean


class QuotientSeen(Rms):
    def forward(self, x: Any) -> Any:
        scaled = self.scale(x)
        return self.weight * scaled, scaled + 1


NEAR_MISSES = [
    EpsilonOutside,
    Cubed,
    OfAnother,
    OtherAxis,
    Summed,
    NotInverse,
    WeightAdded,
    StatisticsSeen,
    QuotientSeen,
]


@pytest.mark.parametrize("build", NEAR_MISSES)
def test_a_near_miss_is_left_alone(port: Any, build: Any) -> None:
    ported = port(build(), x=X)
    assert ported.ops["RMSNormalization"] == 0
    ported.assert_same(batches=(2,), lengths=(5,))


@pytest.mark.parametrize("shape", [(1, 16), (16, 1), (1,)], ids=str)
def test_a_weight_of_another_shape_is_left_alone(port: Any, shape: Any) -> None:
    assert port(Rms(torch.rand(shape)), x=("batch", 16, 16)).ops["RMSNormalization"] == 0


def test_half_precision_without_the_cast_back_is_another_function(port: Any) -> None:
    from zoo.inputs import InputSpec

    class Late(torch.nn.Module):
        """Gemma's order: the weight comes before the result is rounded to half precision."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.rand(16).half())

        def forward(self, x: Any) -> Any:
            wide = x.float()
            scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
            return (scaled * self.weight.float()).type_as(x)

    ported = port(Late(), x=InputSpec("x", "float16", X))
    norm = ported.node("RMSNormalization")
    assert [value.dtype for value in norm.inputs] == [ir.DataType.FLOAT, ir.DataType.FLOAT]
    assert ported.ops["Cast"] == 3


def test_provenance_stays(port: Any) -> None:
    ported = port(upstream("llama"), x=X)
    norm = ported.node("RMSNormalization")
    assert norm.metadata_props["zooport.module"] == "norm"
    assert norm.metadata_props["zooport.source_op"] == "aten.mul.Tensor"
    assert "modeling_llama.py" in norm.metadata_props["zooport.line"]
    sources = norm.metadata_props["zooport.fused"].split(",")
    assert sources == ["pow_1", "mean", "add", "rsqrt", "mul", "mul_1"]
    assert norm.metadata_props["zooport.node"] == sources[-1]
    assert ported.model.graph.outputs[0].name == "output"


def test_the_same_every_time(port: Any) -> None:
    first, second = (ir.to_proto(port(upstream("llama"), x=X).model) for _ in range(2))
    for model in (first, second):  # the weights are random
        del model.graph.initializer[:]
    assert first.SerializeToString() == second.SerializeToString()
