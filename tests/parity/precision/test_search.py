"""The search finds what has to stay in float32, and what it says is what a run gives."""

from __future__ import annotations

import numpy as np
import pytest

from parity.precision.losses import losses
from parity.precision.search import search
from porters.porting import port_to
from porters.source import SourceOptions
from tests.parity.precision.test_losses import overflowing  # noqa: F401
from zoo.artifact import open_artifact
from zoo.errors import UserError
from zoo.executor import load


@pytest.mark.parametrize("chip", ["ascend310p3", "ascend910b3"])
def test_an_operator_that_overflows_is_found_with_its_reader(overflowing, chip):  # noqa: F811
    steps = []
    result = search(overflowing.artifact, chip, progress=steps.append)
    assert result.holds
    assert result.before > 10 * result.limit
    assert result.after <= result.limit < 0.02
    # The sum itself, the root that reads it, and where the square is out of range too, the square.
    assert "ReduceSum" in {kept.op for kept in result.keep}
    assert {kept.op for kept in result.keep} <= {"ReduceSum", "Sqrt", "Mul"}
    assert all("test_losses.py" in kept.line for kept in result.keep)
    assert steps
    assert result.runs < result.operators + 10
    # Verified by a run of its own.
    keep = [kept.node for kept in result.keep]
    case = {"x": np.random.default_rng(99).standard_normal((16, 16)).astype(np.float32)}
    path = overflowing.artifact.path / "model.onnx"
    outputs = []
    for on, options in (("onnxruntime", {}), (chip, {"precision": "force_fp16", "keep": keep})):
        with load(path, on, **options) as session:
            outputs.append(session.run(case)["output"])
    assert np.linalg.norm(outputs[1] - outputs[0]) < 2 * result.limit * np.linalg.norm(outputs[0])
    assert not any(item.overflows for item in losses(overflowing.artifact, chip, case, mode="force_fp16", keep=keep))


def test_nothing_is_kept_where_nothing_needs_it(conv):
    result = search(conv.artifact, "ascend310p3")
    assert result.holds
    assert (result.keep, result.runs) == ([], 1)
    assert result.after == result.before <= result.limit


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    out = tmp_path_factory.mktemp("bert") / "artifact"
    port_to("transformers:BertForQuestionAnswering@tiny", out, SourceOptions(), record_golden=False)
    return open_artifact(out)


def test_a_real_model_within_a_tighter_budget(bert):
    free = search(bert, "ascend310p3")
    assert free.keep == []
    wanted = 0.7 * free.before
    result = search(bert, "ascend310p3", budget=wanted)
    assert result.holds
    assert result.after <= wanted < result.before
    assert 0 < len(result.keep) < result.operators
    assert result.runs > len(result.keep), "leaving out each of them was tried"


def test_a_budget_that_cannot_be_met_is_said(conv):
    # float32 itself differs from run to run of another kernel: nothing is within 1e-12.
    result = search(conv.artifact, "ascend310p3", budget=1e-12, mode="cube_fp16")
    assert result.holds == (result.after <= 1e-12)
    assert len(result.keep) == result.operators if not result.holds else result.after <= 1e-12


def test_a_loss_of_accuracy(overflowing):  # noqa: F811
    case = {"x": np.random.default_rng(5).standard_normal((64, 16)).astype(np.float32)}
    path = overflowing.artifact.path / "model.onnx"
    with load(path, optimize=False) as session:
        labels = session.run(case)["output"].argmax(-1)

    def accuracy(session):
        return float(np.mean(session.run(case)["output"].argmax(-1) == labels))

    result = search(overflowing.artifact, "ascend310p3", max_accuracy_loss=0.02, score=accuracy)
    assert result.metric == "loss"
    assert result.before > 0.02 >= result.after
    assert "ReduceSum" in {kept.op for kept in result.keep}
    with pytest.raises(UserError, match="score"):
        search(overflowing.artifact, "ascend310p3", max_accuracy_loss=0.02)
