"""Decisions by data: settled where they decide nothing or where one way is an error, and refused where they do."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from porters.porting import port_to
from porters.pytorch.capture import capture
from porters.pytorch.decisions import Place, _not_raising
from porters.pytorch.eager_ways import eager_ways
from porters.pytorch.original import TorchOriginal, to_tensor
from porters.source import SourceOptions
from zoo.artifact import open_artifact
from zoo.errors import UserError
from zoo.executors import onnxruntime
from zoo.inputs import InputSpec, sample


class Marked(torch.nn.Module):
    """Replaces marked elements if there are any: the answer is the same without the question."""

    def forward(self, x: Any) -> Any:
        x = x.clone()
        mask = x > 1.5
        if mask.any():
            x[mask] = x.sum()
        return x * 2


class Dropped(torch.nn.Module):
    """Does without a mask that marks nothing."""

    def forward(self, x: Any) -> Any:
        mask = x > 1.5
        if not mask.any():
            mask = None
        return x.exp() if mask is None else x.exp().masked_fill(mask, -1.0)


class Counted(torch.nn.Module):
    """Demands that a mask marks as many elements as there are values for them."""

    def forward(self, x: Any) -> Any:
        mask = torch.zeros_like(x, dtype=torch.bool)
        mask[:, :2] = x[:, :2] == x[:, :2]
        values = x[:, 2:].sum(dim=1, keepdim=True).expand(-1, 2)
        if values is not None and x[mask].numel() != values.numel():
            raise ValueError("another number of values")
        return x.masked_scatter(mask, values)


class Experts(torch.nn.Module):
    """Goes over the experts that any row chose."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(6))

    def forward(self, x: Any) -> Any:
        chosen = torch.nn.functional.one_hot(x.argmax(dim=-1), 6)[:, :6].permute(1, 0)
        result = torch.zeros_like(x[:, :4])
        for expert in chosen.sum(dim=-1).greater(0).nonzero():
            rows = torch.where(chosen[expert[0]])[0]
            result.index_add_(0, rows, self.layers[expert[0]](x[rows, :4]))
        return result


class Uncertain(torch.nn.Module):
    """Says how sure it is, by a distribution that refuses logits that are no numbers."""

    def forward(self, x: Any) -> Any:
        return torch.distributions.Categorical(logits=x).entropy()


class Clamped(torch.nn.Module):
    """Clamps what is not finite: what it clamps to is seen on few inputs."""

    def forward(self, x: Any) -> Any:
        if not torch.isfinite(x).all():
            x = x.clamp(-1e4, 1e4)
        return x + 1


class Halved(torch.nn.Module):
    """Has another way where nothing is marked."""

    def forward(self, x: Any) -> Any:
        mask = x > 1.5
        if mask.any():  # noqa: SIM108 - the statement is what is tested
            x = x * (1.0 + mask)
        else:
            x = x.neg()
        return x


class Doubled(torch.nn.Module):
    """Decides by the data, and it matters."""

    def forward(self, x: Any) -> Any:
        if x.sum() > 0:
            return x * 2
        return x * 3


class Unsure(torch.nn.Module):
    """Raises for some data only where another question says so too."""

    def forward(self, x: Any) -> Any:
        if (x.sum() > 0) and (x.max() > 100):
            raise ValueError("too large")
        return x * 2


def original_of(model: torch.nn.Module, *shape: int | str) -> TorchOriginal:
    return TorchOriginal(model.eval(), "", "subject", "", [InputSpec("x", "float32", shape)])


@pytest.mark.parametrize(
    ("model", "note"),
    [
        (Marked(), "is always True: the original answers the same"),
        (Dropped(), "is always True: the original answers the same"),
        (Counted(), "is always False: the other way is an error"),
        (Experts(), "all indices are gone over: the original answers the same"),
        (Uncertain(), "is always True: the other way is an error"),
    ],
    ids=["marked", "dropped", "counted", "experts", "uncertain"],
)
def test_a_decision_that_decides_nothing_is_captured(model: torch.nn.Module, note: str, tmp_path: Path) -> None:
    spec = InputSpec("x", "float32", ("batch", 6))
    result = port_to(model, tmp_path / "port", SourceOptions([spec]), record_golden=False)
    assert result.fallback is False
    assert any(note in item and ("test_decisions.py:" in item or "distribution.py:" in item) for item in result.notes)
    with onnxruntime.load(open_artifact(tmp_path / "port").model_path, threads=1) as session:
        for case, scale in enumerate((0.1, 1.0, 3.0)):  # both ways of every decision
            feed = {"x": sample([spec], 0, case, {"batch": 3})["x"] * np.float32(scale)}
            with torch.no_grad():
                wanted = model(to_tensor(feed["x"])).numpy()
            np.testing.assert_allclose(next(iter(session.run(feed).values())), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "model", [Doubled(), Unsure(), Clamped(), Halved()], ids=["doubled", "unsure", "clamped", "halved"]
)
def test_a_decision_that_matters_is_not_captured(model: torch.nn.Module) -> None:
    with pytest.raises(UserError, match=r"(?i)data-dependent"):
        capture(original_of(model, "batch", 6), {})


def test_the_original_is_left_as_it_was() -> None:
    model = Marked()
    capture(original_of(model, "batch", 6), {})
    assert not model._forward_pre_hooks
    assert not model._forward_hooks


@pytest.mark.parametrize(
    ("condition", "way"),
    [
        ("mask.any()", False),
        ("not mask.any()", True),
        ("a is not None and mask.any()", False),
        ("not (a is None or mask.any())", True),
        ("mask.any() and a is not None", None),
        ("0 < a < b", None),
    ],
)
def test_which_way_does_not_raise_is_read_from_the_code(condition: str, way: bool | None, tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(f"if {condition}:\n    raise ValueError(1)\n")
    assert _not_raising(Place(str(file), 1, "truth")) is way
    other = tmp_path / "other.py"
    other.write_text(f"if {condition}:\n    if a:\n        raise ValueError(1)\n")
    assert _not_raising(Place(str(other), 1, "truth")) is None


class Converted(torch.nn.Module):
    """Casts a part of itself in every call, as routers do."""

    def __init__(self) -> None:
        super().__init__()
        self.part = torch.nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        self.part = self.part.to(x.dtype)
        return self.part(x)


def test_a_conversion_to_the_same_dtype_is_none() -> None:
    program, notes = capture(original_of(Converted(), "batch", 4), {})
    assert notes == []
    x = torch.randn(3, 4)
    assert program.module()(x=x).shape == (3, 4)


class Resized(torch.nn.Module):
    """Takes the sizes of a picture out of a constant tensor, one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grid", torch.tensor([[1, 6, 4]]))

    def forward(self, x: Any) -> Any:
        for depth, height, width in self.grid:
            x = torch.nn.functional.interpolate(x, size=(height, width), mode="bilinear").repeat(depth, 1, 1, 1)
        return x


def test_sizes_given_as_known_tensors_are_numbers() -> None:
    program, _ = capture(original_of(Resized(), "batch", 2, 4, 4), {})
    result = program.graph.output_node().args[0][0].meta["val"]
    assert tuple(result.shape[1:]) == (2, 6, 4)


def test_a_model_file_that_does_something_else_for_export_does_it_the_eager_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone, both = (types.ModuleType(f"transformers.models.{name}.modeling_{name}") for name in ("alone", "both"))
    for module in (alone, both):
        module.__dict__["is_torchdynamo_exporting"] = lambda: True
        monkeypatch.setitem(sys.modules, module.__name__, module)
    both.__dict__["is_torchdynamo_compiling"] = lambda: True
    with eager_ways():
        assert not alone.is_torchdynamo_exporting()
        assert both.is_torchdynamo_exporting()
    assert alone.is_torchdynamo_exporting()


class Solved(torch.nn.Module):
    """Solves a system as large as the input is long."""

    def forward(self, x: Any) -> Any:
        system = (x @ x.mT).tril(-1)
        return torch.linalg.solve_triangular(system, x, upper=False, unitriangular=True)


def test_a_size_that_only_the_translation_needs_is_fixed_and_the_card_says_why(tmp_path: Path) -> None:
    spec = InputSpec("x", "float32", ("batch", "length", 3), std=0.3, sizes={"length": 5})
    result = port_to(Solved(), tmp_path / "port", SourceOptions([spec]), record_golden=False)
    assert result.fallback is False
    assert "length had to be fixed: linear algebra of a symbolic extent" in result.notes
    artifact = open_artifact(tmp_path / "port")
    assert artifact.card()["inputs"][0]["shape"] == ["batch", 5, 3]
    x = sample([spec], 0, sizes={"batch": 3})["x"]
    with onnxruntime.load(artifact.model_path, threads=1) as session:
        got = next(iter(session.run({"x": x}).values()))
    np.testing.assert_allclose(got, Solved()(to_tensor(x)).numpy(), rtol=1e-5, atol=1e-5)


class Listed(torch.nn.Module):
    """Takes its samples one by one."""

    def forward(self, x: Any) -> Any:
        return torch.cat([row.cumsum(0) for row in x])


def test_a_number_of_samples_that_the_code_goes_over_is_one() -> None:
    program, _ = capture(original_of(Listed(), "batch", 4), {})
    assert tuple(program.graph.output_node().args[0][0].meta["val"].shape) == (4,)
