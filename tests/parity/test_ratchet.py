"""Budgets: judged once more without running, loosened only with a reason that stays in the card."""

import json

import pytest
import torch

from parity import check, ratchet
from parity.tolerance import LIMITS
from porters.pytorch.sources import seeded
from tests.parity.conftest import CONV_INPUTS, make
from tests.parity.test_harness import attribute, find
from zoo.artifact import open_artifact, seal, verify
from zoo.errors import UserError
from zoo.main import main

WHY = "an epsilon of the vendor's"


class Net(torch.nn.Module):
    """A norm whose epsilon can be changed a little."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3)
        self.norm = torch.nn.GroupNorm(2, 8)

    def forward(self, x):
        return torch.tanh(self.norm(self.conv(x)))


@pytest.fixture
def coarse(tmp_path):
    """A sealed port that is a few times too far from the truth; its golden data stand for the original."""

    def change(model):
        attribute(find(model, "GroupNormalization"), "epsilon").f = 1.12e-5

    artifact = make(seeded(Net, 0), CONV_INPUTS, tmp_path / "sound").copy(tmp_path / "coarse", change)
    seal(artifact.path)
    return open_artifact(artifact.path)


def ratio_of(artifact):
    return artifact.result("parity")["outputs"][0]["budget"]["ratio"]


def test_a_saved_result_is_judged_again_without_running(coarse, capsys):
    assert main(["check", str(coarse.path), "--json"]) == 1
    first = json.loads(capsys.readouterr().out)
    assert main(["check", "--from", str(coarse.path), "--budget", "1000", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["verdict"] == "pass"
    assert again["outputs"][0]["budget"]["ratio"] == first["outputs"][0]["budget"]["ratio"] > 3
    assert again["outputs"][0]["budget"]["limit"] == 1000
    assert again["outputs"][0]["budget"]["max_abs_limit"] == 2000
    assert main(["check", "--from", str(coarse.path), "--json"]) == 1
    assert coarse.result("parity")["verdict"] == "fail", "nothing was written"


def test_a_looser_budget_needs_a_reason_which_stays(coarse, capsys):
    assert main(["check", str(coarse.path), "--budget", "1000"]) == 2
    assert "needs a reason" in capsys.readouterr().err
    assert main(["check", str(coarse.path), "--budget", "1000", "--reason", WHY, "--json"]) == 0
    capsys.readouterr()
    assert verify(coarse.path) == []
    artifact = open_artifact(coarse.path)
    (step,) = ratchet.history(artifact, "fp32")
    assert (step.was, step.ratio, step.reason) == (3.0, 1000.0, WHY)
    assert 3 < step.measured < 1000
    assert main(["check", str(coarse.path), "--json"]) == 0, "it is the card's budget now"
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any("loosened from 3 to 1000" in note and "vendor" in note for note in notes)
    assert main(["check", str(coarse.path), "--budget", "3", "--json"]) == 1, "a tighter one needs no reason"
    assert main(["check", str(coarse.path), "--budget", "2000", "--json"]) == 2, "but a looser one once more"


def test_a_budget_that_nothing_needs_is_not_loosened(conv, tmp_path):
    artifact = conv.copy(tmp_path / "sound")
    before = artifact.card()
    result = check(artifact, original=conv.original, save=False)
    assert ratchet.loosen(artifact, result, 50, "just in case") is None
    assert open_artifact(artifact.path, unsealed=True).card() == before


@pytest.mark.parametrize("budget", [-1.0, float("nan")])
def test_a_budget_that_is_no_limit_is_refused(budget):
    with pytest.raises(UserError, match="positive"):
        ratchet.scaled(LIMITS["fp32"], budget)


def test_what_no_limit_decides_stays(transformer, tmp_path):
    artifact = transformer.copy(tmp_path / "faulty", lambda model: setattr(find(model, "ArgMax"), "op_type", "ArgMin"))
    result = check(artifact, original=transformer.original)
    record = artifact.result("parity")
    assert ratchet.read(record).verdict == result.verdict == "fail"
    again = ratchet.rejudge(record, ratchet.scaled(LIMITS["fp32"], 1e6))
    assert {output.name: output.verdict for output in again.outputs} == {"hidden": "pass", "best": "fail"}
    assert not again.holds


def test_nothing_saved_is_the_users_fault(conv, capsys):
    assert main(["check", "--from", str(conv.artifact.path)]) == 2
    assert "no saved result" in capsys.readouterr().err
