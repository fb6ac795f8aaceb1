"""The checker's own test: faults are made, caught and located; a checker that catches nothing would show."""

import json

import numpy as np
import onnx_ir as ir
import pytest

from parity.selftest.baselines import accepted
from parity.selftest.faults.fault import all_faults
from parity.selftest.selftest import SelftestOptions, selftest
from parity.selftest.subjects import SUBJECTS
from parity.surgery import NotHereError
from zoo.errors import UserError
from zoo.main import main

RECURRENT = "python:parity.selftest.subjects:recurrent"


@pytest.mark.thorough
def test_faults_in_a_recurrent_model_are_caught_and_located(tmp_path, capsys):
    out = tmp_path / "table.json"
    code = main(
        ["selftest", "--subject", RECURRENT, "--sound", "1", "-o", str(out), "--json"]
        + [word for name in ("gate-order", "activation-lost") for word in ("--fault", name)]
    )
    answer = json.loads(capsys.readouterr().out)
    assert code == 0, answer
    assert answer == json.loads(out.read_text())
    assert answer["faults"] == answer["caught"] == 2
    assert answer["located"] == answer["locatable"] == answer["caught"]
    assert (answer["sound_ports"], answer["false_alarms"]) == (1, 0)
    assert {row["fault"] for row in answer["table"]} == {"gate-order", "activation-lost"}
    assert all(row["effect"] > 3 for row in answer["table"] if row["effective"])


@pytest.mark.thorough
def test_faults_of_a_detectors_selections_are_caught_and_located():
    detector = "python:parity.selftest.subjects:detector"
    result = selftest(SelftestOptions((detector,), ("suppression", "confidence"), sound=1))
    assert {trial.fault for trial in result.table} == {"suppression", "confidence"}
    assert result.faults == result.caught == result.located == 2
    assert (result.sound_ports, result.false_alarms) == (1, 0)


def test_a_checker_that_catches_nothing_fails(monkeypatch):
    from parity.selftest import trial
    from tests.parity.selftest import blind

    monkeypatch.setattr(trial, "check", blind.check)
    options = SelftestOptions((RECURRENT,), ("gate-order",), sound=0)
    result = selftest(options)
    assert (result.faults, result.caught) == (1, 0)
    assert not result.holds


def test_there_are_as_many_faults_and_subjects_as_promised():
    assert len(all_faults()) >= 30
    assert len(SUBJECTS) >= 8
    assert {subject.kind for subject in SUBJECTS} == {"convolution", "transformer", "recurrent", "detection"}
    assert all(fault.mistake for fault in all_faults().values())


def graph_of(op: str, weight: np.ndarray, shape: list[int]) -> ir.Graph:
    x = ir.Value(name="x", shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))
    w = ir.Value(name="w", shape=ir.Shape(weight.shape), type=ir.TensorType(ir.DataType.FLOAT))
    w.const_value = ir.tensor(weight, name="w")
    node = ir.node(op, [x, w])
    return ir.Graph([x], node.outputs, nodes=[node], initializers=[w], opset_imports={"": 23})


def test_a_fault_that_would_change_nothing_is_not_made():
    transposed = all_faults()["square-transposed"]
    symmetric = graph_of("MatMul", np.eye(4, dtype=np.float32), [2, 4])
    with pytest.raises(NotHereError):
        transposed.inject(symmetric, symmetric[0])
    oblong = graph_of("MatMul", np.ones((4, 3), np.float32), [2, 4])
    with pytest.raises(NotHereError):
        transposed.inject(oblong, oblong[0])
    square = graph_of("MatMul", np.arange(16, dtype=np.float32).reshape(4, 4), [2, 4])
    transposed.inject(square, square[0])
    assert np.array_equal(square.initializers["w"].const_value.numpy(), np.arange(16).reshape(4, 4).T)


def test_the_usual_comparisons_as_they_are():
    wave = np.sin(np.arange(1000.0)).astype(np.float32)
    assert accepted({"y": wave}, {"y": wave}) == dict.fromkeys(["allclose(1e-5)", "cosine > 0.99", "PCC > 0.99"], True)
    scaled = accepted({"y": wave}, {"y": 3 * wave})
    assert scaled == {"allclose(1e-5)": False, "cosine > 0.99": True, "PCC > 0.99": True}
    shifted = accepted({"y": wave}, {"y": wave + 5})
    assert shifted == {"allclose(1e-5)": False, "cosine > 0.99": False, "PCC > 0.99": True}
    assert not any(accepted({"y": wave}, {"y": wave[1:]}).values())


def test_names_that_nobody_knows_are_refused():
    with pytest.raises(UserError, match="nothing to try"):
        selftest(SelftestOptions(("no-such-model",)))
    with pytest.raises(UserError, match="nothing to try"):
        selftest(SelftestOptions(faults=("no-such-fault",)))
