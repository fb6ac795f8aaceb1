"""Control flow over data: If, Loop and Scan, on inputs that take each of the ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch._higher_order_ops.map import map as map_over
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

from porters.canonicalize import canonicalize
from porters.porter import PrecisionUnavailableError, UnsupportedOpsError
from porters.pytorch.original import TorchOriginal, named_outputs
from porters.pytorch.walker import Walker
from zoo.executors import onnxruntime
from zoo.graph import GraphBuilder


def ported(module: torch.nn.Module, *feeds: tuple[Any, ...]) -> ir.Model:
    """Port a module, the first input's axis 0 symbolic; run it on every feed and compare with eager."""
    dims = tuple({0: torch.export.Dim.AUTO} if index == 0 else None for index in range(len(feeds[0])))
    with torch.no_grad():
        program = torch.export.export(module.eval(), feeds[0], dynamic_shapes=dims, strict=False)
    g = GraphBuilder("subject")
    model = g.finish(Walker(g).program(program, {}))
    canonicalize(model)
    names = [value.name for value in g.inputs]
    for optimize in (False, True):
        with onnxruntime.load(ir.to_proto(model).SerializeToString(), optimize=optimize, threads=1) as session:
            for feed in feeds:
                got = session.run({name: item.numpy() for name, item in zip(names, feed, strict=True)})
                with torch.no_grad():
                    wanted = named_outputs(module(*feed)).values()
                for want, have in zip(wanted, got.values(), strict=True):
                    assert (tuple(want.shape), str(want.numpy().dtype)) == (have.shape, str(have.dtype))
                    np.testing.assert_allclose(have, want.numpy(), rtol=3e-6, atol=3e-6)
    return model


def ops(model: ir.Model, op_type: str) -> int:
    return sum(node.op_type == op_type for node in model.graph.all_nodes())


def x(batch: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(batch, 4, generator=torch.Generator().manual_seed(seed)) * scale


class Branches(torch.nn.Module):
    """A branch with a weight and an outer value, one that returns its operand, and a branch within a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 4)

    def forward(self, x: Any, flag: Any) -> Any:
        outer = x * 2

        def inner(a: Any) -> Any:
            return torch.cond(a.mean() > 0.1, lambda b: b.tanh() + outer, lambda b: self.layer(b) - 1, (a,))

        return (
            torch.cond(flag.sum() > 1, lambda a: self.layer(a) + outer, lambda a: a - 1, (x,)),
            torch.cond(flag[0] > 0, lambda a, b: (a.clone(), b + 1), lambda a, b: (b.exp(), a.clone()), (x, outer)),
            torch.cond(flag[1] > 0, inner, lambda a: a.abs().sqrt(), (x,)),
        )


def test_cond() -> None:
    flags = [(0, 0, 0), (1, 1, 1), (0, 1, 0), (1, 0, 1), (0, 1, 1)]
    model = ported(Branches(), *((x(2 + i, i), torch.tensor(f)) for i, f in enumerate(flags)))
    assert ops(model, "If") == 4
    assert set(model.graph.initializers) >= {"layer.weight", "layer.bias"}


class Loops(torch.nn.Module):
    """A loop whose number of rounds the data decides, one that counts a Python number, and one within a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((4,), 1.5))

    def forward(self, x: Any, limit: Any) -> Any:
        def growing(i: Any, a: Any) -> Any:
            return (a.abs().sum() < limit) & (i < 20)

        def grow(i: Any, a: Any) -> Any:
            return i + 1, a * self.scale + x.mean()

        count, grown = while_loop(growing, grow, (torch.tensor(0), x))
        swapped = while_loop(lambda a, b: a.sum() < b.sum(), lambda a, b: (b.clone(), a - 1), (x, x.abs() + 1))

        def looped(a: Any) -> Any:
            return while_loop(lambda b: b.sum() < 3, lambda b: (b + 0.5,), (a,))[0]

        return count, grown, *swapped, torch.cond(limit > 8, looped, lambda a: a.clone(), (x,))


def test_while_loop() -> None:
    feeds = [(x(2 + i, i), torch.tensor(limit)) for i, limit in enumerate((0.5, 6.0, 9.0, 40.0, 1e4))]
    assert ops(ported(Loops(), *feeds), "Loop") == 3


class Scans(torch.nn.Module):
    """A recurrence with a weight, one from behind, and one whose carry changes dtype on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(4) - 0.5)

    def forward(self, x: Any) -> Any:
        def step(carry: Any, item: Any) -> Any:
            after = torch.tanh(carry + item * self.weight)
            return after, after * 2 + x.sum()

        def counted(carry: Any, item: Any) -> Any:
            return (carry[0] + (item > 0), carry[1] * 0.5 + item), (carry[1].clone(), item.sum())

        zero = torch.zeros_like(x[0])
        return (
            scan(step, zero, x, dim=0),
            scan(step, zero, x, dim=0, reverse=True),
            scan(counted, (zero.long(), zero), x, dim=0),
        )


def test_scan() -> None:
    assert ops(ported(Scans(), (x(3, 0),), (x(2, 1),), (x(7, 2),)), "Scan") == 3


class Maps(torch.nn.Module):
    """A function of each row, and a branch for each row."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(5, 4))

    def forward(self, x: Any, y: Any) -> Any:
        def chosen(row: Any) -> Any:
            return torch.cond(row.sum() > 0, lambda a: self.weight @ a, lambda a: a.sum() * torch.ones(5), (row,))

        return map_over(lambda row, other: self.weight @ row + other, x, y), map_over(chosen, x)


def test_map() -> None:
    y = torch.randn(5, generator=torch.Generator().manual_seed(9))
    assert ops(ported(Maps(), (x(3, 0), y), (x(2, 1), -y), (x(7, 2), y)), "Scan") == 2


def test_complex_carries_are_refused() -> None:
    class Turning(torch.nn.Module):
        def forward(self, a: Any) -> Any:
            turned = torch.cond(a.sum() > 0, lambda b: b * 1j, lambda b: b + 1j, (a,))
            return torch.view_as_real(turned)

    with pytest.raises(UnsupportedOpsError, match="cond") as caught:
        ported(Turning(), (x(2, 0),))
    hints = {item.op: item.hint for item in caught.value.ops}
    assert hints["higher_order.cond"] == "complex numbers carried through control flow"


def test_the_original_runs_in_float64_through_branches(port_and_compare: Any) -> None:
    # The whole way of a port: the noise budget needs the original in float64, inside of the branches as well.
    port_and_compare(Branches(), "batch,4", "3:i0..2", batches=(2, 3, 5))


def test_a_scan_without_float64_truth_still_runs_in_its_own_precision() -> None:
    original = TorchOriginal(Scans().eval(), "", "subject", "test", [])
    feed = {"x": x(3, 0).numpy()}
    before = original.run(feed)
    with pytest.raises(PrecisionUnavailableError):
        original.run(feed, "float64")
    after = original.run(feed)
    assert all(np.array_equal(before[name], after[name]) for name in before)
