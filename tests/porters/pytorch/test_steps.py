"""The exported graph run operator by operator: what the original computes, in its own precision and in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from porters.pytorch.original import TorchOriginal
from porters.pytorch.out_of_place import out_of_place
from porters.pytorch.sources import open_live
from porters.source import SourceOptions
from zoo.inputs import InputSpec, sample

SPECS = [InputSpec("x", "float32", ("batch", 4, 6), "image")]


class Mixed(torch.nn.Module):
    """Several results of one operator, a cast inside, a number that the shape gives."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.dense = torch.nn.Linear(6, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.dense(x).chunk(2, -1)
        narrow = (first * second).to(torch.float16).to(torch.float32)
        return (narrow / x.shape[0]).softmax(-1)


def opened(model: torch.nn.Module) -> TorchOriginal:
    return open_live(model, SourceOptions(SPECS))


def test_a_walk_is_the_run_of_the_original() -> None:
    original = opened(Mixed())
    feed = sample(SPECS, 0, 0, {"batch": 3})
    steps = original.steps(SPECS)
    handles = steps.handles()
    assert {"linear", "chunk#0", "chunk#1", "softmax"} <= set(handles)
    found = {step.handle: step for step in steps.walk(feed, handles)}
    assert list(found) == list(handles), "in the order of computation"
    np.testing.assert_array_equal(found["softmax"].own, original.run(feed)["output"])
    np.testing.assert_array_equal(found["softmax"].truth, original.run(feed, "float64")["output"])
    assert found["chunk#1"].own.dtype == np.float32
    assert found["chunk#1"].truth.dtype == np.float64


def test_one_result_follows_from_the_results_that_it_is_given() -> None:
    original = opened(Mixed())
    steps = original.steps(SPECS)
    feed = sample(SPECS, 0, 0, {"batch": 3})
    walk = steps.walk(feed, ["linear", "chunk#0"])
    linear, first = next(walk), next(walk)
    known = {"linear": linear.own}
    single = steps.single(["chunk#0", "chunk#1"], known)
    np.testing.assert_array_equal(single["chunk#0"], linear.own[..., :4].astype(np.float64))
    changed = steps.single(["chunk#1"], {"linear": linear.own + 1})["chunk#1"]
    np.testing.assert_allclose(changed, single["chunk#1"] + 1, atol=1e-6)
    given = {"chunk#0": first.own, "chunk#1": np.zeros_like(first.own)}
    product = next(handle for handle in steps.handles() if handle.startswith("mul"))
    assert not steps.single([product], given)[product].any()


class InPlace(torch.nn.Module):
    """Writes to a whole result, and reads through another name what was written."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y.add_(1.0)
        z = y.exp()
        return y + z


class Viewed(torch.nn.Module):
    """Writes to a tensor one of whose views is read afterwards."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        view = y.view(-1)
        y.add_(1.0)
        return view.exp()


@pytest.mark.parametrize(("kind", "copies"), [(InPlace, True), (Viewed, False)])
def test_writes_are_made_on_copies_where_that_is_enough(kind: Any, copies: bool) -> None:
    model = kind()
    program = torch.export.export(model, (torch.randn(2, 4, 6),), strict=False)
    names = [node.name for node in program.graph.nodes]
    module = out_of_place(program.graph_module)
    assert (module is not None) == copies
    assert [node.name for node in program.graph.nodes] == names, "the program itself stays"
    original = opened(model)
    feed = sample(SPECS, 0, 0, {"batch": 3})
    steps = original.steps(SPECS)
    found = {step.handle: step.own for step in steps.walk(feed, steps.handles())}
    np.testing.assert_allclose(found["mul"], feed["x"] * 2, err_msg="what it was before the write")
    np.testing.assert_allclose(found["add_"], feed["x"] * 2 + 1)
    last = found[steps.handles()[-1]]
    np.testing.assert_allclose(last.reshape(-1), original.run(feed)["output"].reshape(-1))


def test_dimensions_that_the_port_fixes_are_fixed_here_too() -> None:
    ported = [InputSpec("x", "float32", (2, 4, 6), "image")]
    steps = opened(Mixed()).steps(ported)
    assert next(iter(steps.walk(sample(ported, 0), ["linear"]))).own.shape == (2, 4, 8)
