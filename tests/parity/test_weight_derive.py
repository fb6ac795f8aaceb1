"""Maps between two models that run: what names and shapes get wrong, the layers' outputs put right."""

from __future__ import annotations

import numpy as np
import pytest

from parity.weight_derive import derive_sides
from parity.weight_sides import side_of
from weight_maps.derive import derive

torch = pytest.importorskip("torch")
FEEDS = [np.random.default_rng(0).standard_normal((2, 8, 6, 6)).astype("f4")]


class Tidy(torch.nn.Module):
    """Four like blocks and two square layers, in the order in which they run."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = torch.nn.ModuleList(torch.nn.Conv2d(8, 8, 3, padding=1) for _ in range(4))
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(8) for _ in range(4))
        self.query, self.key = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.relu(norm(conv(x))) + x
        x = x.mean((2, 3))
        return self.query(x) * torch.tanh(self.key(x))


class Untidy(torch.nn.Module):
    """The same, its parts called by letters and made in another order; one layer keeps its matrix transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Linear(8, 8)
        for name in ("n2", "n0", "n3", "n1"):
            setattr(self, name, torch.nn.BatchNorm2d(8))
        for name in ("c3", "c1", "c0", "c2"):
            setattr(self, name, torch.nn.Conv2d(8, 8, 3, padding=1))
        self.b = Transposed()

    def forward(self, x):
        for place in ("0", "1", "2", "3"):
            x = torch.relu(getattr(self, f"n{place}")(getattr(self, f"c{place}")(x))) + x
        x = x.mean((2, 3))
        return self.b(x) * torch.tanh(self.a(x))


class Transposed(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.offset = torch.nn.Parameter(torch.randn(8, 8)), torch.nn.Parameter(torch.randn(8))

    def forward(self, x):
        return x @ self.kernel + self.offset


def roughened(model):
    torch.manual_seed(3)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) * 0.5 + 0.25)
    return model


def test_layers_that_look_alike_find_their_places_by_what_they_give() -> None:
    ours, theirs = side_of(roughened(Tidy())), side_of(Untidy())
    right = {
        **{f"convs.{n}.{part}": f"c{n}.{part}" for n in range(4) for part in ("weight", "bias")},
        **{
            f"norms.{n}.{part}": f"n{n}.{part}"
            for n in range(4)
            for part in ("weight", "bias", "running_mean", "running_var")
        },
        "query.weight": "b.kernel", "query.bias": "b.offset", "key.weight": "a.weight", "key.bias": "a.bias",
    }  # fmt: skip
    guess = {e.source: e.target for e in derive(ours.checkpoint().specs(), theirs.checkpoint().specs()).edges}
    assert any(guess[name] != target for name, target in right.items()), "names alone would do"
    found = derive_sides(ours, theirs, FEEDS)
    edges = {edge.source: edge for edge in found.proposal.edges if edge.source in right}
    assert {name: edge.target for name, edge in edges.items()} == right
    assert (found.stopped, found.layers) == ("", found.compared)
    assert found.agrees
    assert edges["query.weight"].step == "transpose"
    assert edges["key.weight"].step == ""
    assert all(edge.confidence == 1.0 for edge in edges.values())


def test_a_model_that_computes_something_else_is_never_made_to_agree() -> None:
    class Other(Untidy):
        def forward(self, x):
            return super().forward(torch.nn.functional.avg_pool2d(x, 3, 1, 1))

    found = derive_sides(side_of(roughened(Tidy())), side_of(Other()), FEEDS)
    assert not found.agrees
    assert found.stopped == "convs.0"
    assert all(edge.confidence < 1.0 for edge in found.proposal.edges if edge.source.startswith("convs.0"))


def test_inputs_that_a_model_does_not_take_are_refused(refused) -> None:
    said = refused("map", "derive", "torchvision:squeezenet1_1", "torchvision:squeezenet1_1", "--input", "2,5,64,64")
    assert "does not run on these inputs" in said
    assert "[2, 5, 64, 64]" in said
