"""Gelu in the spellings that models use, and what is nearly one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from porters.pytorch.sources import need

torch = pytest.importorskip("torch")
X = ("batch", "sequence", 16)
C = math.sqrt(2 / math.pi)


class Curve(torch.nn.Module):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


EXACT = {
    "half first": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
    "half last": lambda x: x * (torch.erf(x * 0.7071067811865475) + 1.0) * 0.5,
    "half by division": lambda x: x * (1.0 + torch.erf(x / math.sqrt(2.0))) / 2,
    "distribution": lambda x: x * (0.5 * (1 + torch.erf(x / math.sqrt(2)))),
}
TANH = {
    "power": lambda x: 0.5 * x * (1.0 + torch.tanh(C * (x + 0.044715 * torch.pow(x, 3.0)))),
    "products": lambda x: 0.5 * x * (1.0 + torch.tanh(C * (x + 0.044715 * x * x * x))),
    "factored": lambda x: 0.5 * x * (1.0 + torch.tanh(x * 0.7978845608 * (1.0 + 0.044715 * x * x))),
}


@pytest.mark.parametrize(("name", "approximate"), [*[(n, "none") for n in EXACT], *[(n, "tanh") for n in TANH]])
def test_one_node_and_the_same_function(port: Any, name: str, approximate: str) -> None:
    ported = port(Curve({**EXACT, **TANH}[name]), x=X)
    assert ported.ops == {"Gelu": 1}
    assert ported.node("Gelu").attributes["approximate"].value == approximate
    ported.assert_same()


@pytest.mark.parametrize(
    ("name", "approximate"), [("gelu_new", "tanh"), ("gelu_fast", "tanh"), ("gelu_python", "none")]
)
def test_transformers_own(port: Any, name: str, approximate: str) -> None:
    need("transformers", "text")
    from transformers.activations import get_activation

    ported = port(Curve(get_activation(name)), x=X)
    assert ported.ops == {"Gelu": 1}
    assert ported.node("Gelu").attributes["approximate"].value == approximate


def test_inside_a_product(port: Any) -> None:
    ported = port(Curve(lambda x: EXACT["half first"](x * 2) * x), x=X)
    assert ported.ops == {"Gelu": 1, "Mul": 2}
    ported.assert_same(batches=(2,), lengths=(5,))


NEAR_MISSES = {
    "no half": lambda x: x * (1 + torch.erf(x / math.sqrt(2))),
    "another width": lambda x: 0.5 * x * (1 + torch.erf(x / 1.4)),
    "minus": lambda x: 0.5 * x * (1 - torch.erf(x / math.sqrt(2))),
    "another x": lambda x: 0.5 * x.sin() * (1 + torch.erf(x / math.sqrt(2))),
    "two": lambda x: 0.5 * x * (2 + torch.erf(x / math.sqrt(2))),
    "divided": lambda x: 0.5 / x * (1 + torch.erf(x / math.sqrt(2))),
    "another coefficient": lambda x: 0.5 * x * (1 + torch.tanh(C * (x + 0.044 * x**3))),
    "another power": lambda x: 0.5 * x * (1 + torch.tanh(C * (x + 0.044715 * x**2))),
    "another slope": lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.044715 * x**3))),
    "sigmoid": lambda x: x * torch.sigmoid(1.702 * x),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_a_near_miss_is_left_alone(port: Any, name: str) -> None:
    assert port(Curve(NEAR_MISSES[name]), x=X).ops["Gelu"] == 0


def test_what_is_seen_elsewhere_stays(port: Any) -> None:
    def both(x: Any) -> Any:
        bell = 1 + torch.erf(x / math.sqrt(2))
        return 0.5 * x * bell, bell

    ported = port(Curve(both), x=X)
    assert ported.ops["Gelu"] == 0
    ported.assert_same(batches=(2,), lengths=(5,))


def test_provenance_stays(port: Any) -> None:
    gelu = port(Curve(EXACT["half first"]), x=X).node("Gelu")
    assert gelu.metadata_props["zooport.fused"].split(",") == ["div", "erf", "add", "mul", "mul_1"]
    assert gelu.metadata_props["zooport.node"] == "mul_1"
