"""The walker: decomposition, regions, a user's own operators, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from porters.porter import UnsupportedOpsError
from porters.pytorch import registry, torchvision_shim
from porters.pytorch.registry import Context, translates
from porters.pytorch.whole_functions import whole_functions

# -- decomposition --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.special.entr(x.sigmoid()),
        torch.sinc,
        torch.trapezoid,
        lambda x: torch.special.xlog1py(x, x.abs()),
        lambda x: F.binary_cross_entropy(x.sigmoid(), x.sigmoid()),
        lambda x: F.mse_loss(x, x * 2),
        lambda x: F.nll_loss(F.log_softmax(x, 1), torch.zeros(x.shape[0], 3, dtype=torch.long)),
        lambda x: torch.nanmean(x, 1),
        lambda x: F.cosine_embedding_loss(x[..., 0], x[..., 1], torch.ones(x.shape[0], dtype=x.dtype)),
        lambda x: F.huber_loss(x, x.flip(1), delta=0.3),
    ],
)
def test_an_operator_without_translator_is_decomposed_alone(port_and_compare: Any, function: Any) -> None:
    port_and_compare({"y": function}, "batch,4,3")


def test_what_a_decomposition_emits_is_attributed_to_the_operator(port_and_compare: Any) -> None:
    ported = port_and_compare({"y": lambda x: torch.special.entr(x.sigmoid())}, "batch,4")
    sources = {node.metadata_props["zooport.source_op"] for node in ported.model.graph}
    assert sources == {"aten.sigmoid.default", "aten.special_entr.default"}
    assert len({node.metadata_props["zooport.node"] for node in ported.model.graph}) == 2


def test_a_decomposition_that_fixes_the_batch_is_refused(walked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The composite kernel looks at the sizes; a graph for the example's batch would be wrong for any other."""
    monkeypatch.delitem(registry._TRANSLATORS, "aten.lstm_cell")
    cell = torch.nn.LSTMCell(3, 3)

    class Stepped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, a: Any) -> Any:
            return self.cell(a)

    with pytest.raises(UnsupportedOpsError, match="lstm_cell"):
        walked(Stepped(), "batch,3")


# -- regions --------------------------------------------------------------------------------------------------------


def test_grad_regions_are_inlined(port_and_compare: Any) -> None:
    def function(x: Any) -> Any:
        with torch.enable_grad():
            y = x * 2
            with torch.no_grad():
                z = y + 1
        with torch.set_grad_enabled(True):
            return y * z, z

    ported = port_and_compare({"y": function}, "batch,3")
    assert ported.ops == {"Mul": 2, "Add": 1}


class Autocast(torch.nn.Module):
    """A linear layer, a convolution and a softmax under autocast, the rest outside."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.conv = torch.nn.Linear(6, 6), torch.nn.Conv1d(4, 4, 3, padding=1)

    def forward(self, x: Any) -> Any:
        with torch.autocast("cpu", torch.float16):
            y = self.conv(torch.relu(self.linear(x)))
            z = torch.softmax(y @ y.mT, -1)
            with torch.autocast("cpu", enabled=False):
                w = self.linear(x)
        return y.float() + w, z


def test_autocast_regions_cast_their_operands(port_and_compare: Any) -> None:
    ported = port_and_compare(Autocast(), "batch,4,6")
    halves = [n for n in ported.model.graph if n.op_type in ("Conv", "MatMul") and n.outputs[0].dtype.name == "FLOAT16"]
    assert len(halves) == 3


# -- a user's own operator --------------------------------------------------------------------------------------------


@torch.library.custom_op("zooport_tests::shifted_relu", mutates_args=())
def shifted_relu(x: torch.Tensor, shift: float) -> torch.Tensor:
    """An operator that neither torch nor the porter knows."""
    return torch.relu(x - shift)


@shifted_relu.register_fake
def _(x: torch.Tensor, shift: float) -> torch.Tensor:
    return torch.empty_like(x)


@pytest.fixture
def translated() -> Iterator[None]:
    @translates("zooport_tests.shifted_relu")
    def translator(c: Context, x: Any, shift: float) -> Any:
        return c.op("Relu", c.op("Sub", x, shift))

    yield
    registry._TRANSLATORS.pop("zooport_tests.shifted_relu")


@pytest.mark.usefixtures("translated")
def test_a_users_operator_with_a_translator(port_and_compare: Any) -> None:
    assert port_and_compare({"y": lambda x: shifted_relu(x, 0.25)}, "batch,4").ops == {"Sub": 1, "Relu": 1}


# -- what is refused --------------------------------------------------------------------------------------------------


class Inner(torch.nn.Module):
    """Holds one operator without translation."""

    def forward(self, x: Any) -> Any:
        return torch.linalg.eig(x)[1].real


class Outer(torch.nn.Module):
    """Holds several, at different places."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, a: Any) -> Any:
        y = self.inner(a)
        y = shifted_relu(y, 0.5)
        return torch.linalg.ldl_factor(y @ y.mT)[0] + y.sum()


def test_all_unsupported_operators_are_listed_at_once(walked: Any) -> None:
    with pytest.raises(UnsupportedOpsError) as caught:
        walked(Outer(), "batch,3,3")
    found = {item.op: item for item in caught.value.ops}
    assert set(found) == {
        "aten.linalg_eig.default",
        "zooport_tests.shifted_relu.default",
        "aten.linalg_ldl_factor_ex.default",
    }
    assert found["aten.linalg_eig.default"].module == "inner"
    assert found["zooport_tests.shifted_relu.default"].module == ""
    code, inner = Outer.forward.__code__, Inner.forward.__code__
    assert found["aten.linalg_eig.default"].line.endswith(f"test_walker.py:{inner.co_firstlineno + 1}")
    assert found["zooport_tests.shifted_relu.default"].line.endswith(f"test_walker.py:{code.co_firstlineno + 2}")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: torch.dropout(x, 0.5, True), "dropout"),
        (lambda x: F.rrelu(x, training=True), "rrelu"),
        (
            lambda x: torch.batch_norm(x, None, None, torch.zeros(4), torch.ones(4), True, 0.1, 1e-5, False),
            "batch norm",
        ),
        (lambda x: x.view(torch.int32), "dtype"),
        (lambda x: x.T.as_strided((2, 2), (1, 2)), "as_strided"),
        (lambda x: x[:, 1:].as_strided((2, 2), (1, 2)), "as_strided"),
        (lambda x: x[: -(-x.shape[0] // 3)], "negative"),
        (lambda x: x.long() ** x.long().abs(), "power"),
        (lambda x: F.avg_pool1d(x.long()[None], 2), "pooling"),
    ],
)
def test_what_could_be_wrong_is_refused(refused: Any, function: Any, reason: str) -> None:
    assert reason in refused(function, "batch,4")


def test_every_translator_has_a_one_sentence_docstring() -> None:
    for target in registry.registered():
        translator = registry._TRANSLATORS[target]
        if translator.__module__.startswith("porters.") and translator.__name__ != "translator":
            assert translator.__doc__ is not None, target
            assert "\n" not in translator.__doc__.split("\n\n")[0], target


def test_every_translator_names_an_operator_that_exists() -> None:
    pytest.importorskip("transformers.integrations.moe")  # it brings an operator of its own
    unknown = []
    torchvision_shim.prepare()
    pytest.importorskip("torchvision")
    with whole_functions():  # declares the operators that stand for whole functions
        pass
    for target in [*registry.registered(), *registry._COMPLEX]:
        namespace, name, *overload = target.split(".")
        packet = getattr(getattr(torch.ops, namespace), name, None)
        known = packet is not None and (not overload or overload[0] in packet.overloads())
        if not known and not hasattr(getattr(torch.ops, namespace), name + "_"):
            unknown.append(target)
    assert not unknown
