"""A selftest that is interrupted keeps what is done, and goes on from there with the same options only."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from parity.selftest import selftest as module
from parity.selftest.baselines import BASELINES
from parity.selftest.selftest import SelftestOptions, Sound, selftest
from parity.selftest.trial import Trial
from zoo.errors import UserError
from zoo.main import main

RECURRENT = "python:parity.selftest.subjects:recurrent"
OPTIONS = ["selftest", "--subject", RECURRENT, "--fault", "gate-order", "--fault", "direction"]


@pytest.fixture
def counted(monkeypatch):
    """Count what is tried; interrupt where ``at`` says.

    Going on is what these tests are about: what a trial comes to is given here, and tried in ``test_selftest``.
    """
    tried = []

    def try_fault(bench, fault, random):
        tried.append(fault.name)
        if tried == counted.at:
            raise KeyboardInterrupt
        return Trial(RECURRENT, fault.name, "LSTM", 100.0, effective=True, caught=True, by="outputs", located=True)

    def sound_port(subject, number, seed, folder):
        tried.append(number)
        if tried == counted.at:
            raise KeyboardInterrupt
        return Sound(
            RECURRENT, f"seed {seed + number}", holds=True, ratio=0.9, baselines=dict.fromkeys(BASELINES, False)
        )

    counted = SimpleNamespace(at=None, tried=tried)
    monkeypatch.setattr(module, "_ported", lambda *arguments, **options: (None, None))
    monkeypatch.setattr(module, "Bench", lambda *arguments: None)
    monkeypatch.setattr(module, "try_fault", try_fault)
    monkeypatch.setattr(module, "_sound", sound_port)
    return counted


def test_an_interrupted_selftest_goes_on_where_it_stopped(tmp_path, counted, capsys):
    file = tmp_path / "table.json"
    command = [*OPTIONS, "--sound", "2", "--json", "-o", str(file)]
    counted.at = ["direction", "gate-order"]
    assert main(command) == 130
    told = capsys.readouterr()
    assert told.out == ""
    assert "the same command goes on" in told.err
    held = json.loads(file.read_text())
    assert not held["complete"]
    assert [row["fault"] for row in held["table"]] == ["direction"]

    counted.tried.clear()
    counted.at = ["gate-order", 0, 1]
    assert main(command) == 130
    held = json.loads(file.read_text())
    assert len(held["sound"]) == 1
    capsys.readouterr()

    counted.tried.clear()
    assert main(command) == 0
    assert counted.tried == [1], "what was done is not done again"
    answer = json.loads(capsys.readouterr().out)
    assert answer == json.loads(file.read_text())
    assert answer["complete"]
    assert answer["faults"] == answer["caught"] == answer["located"] == 2
    assert answer["sound_ports"] == 2
    assert not list(tmp_path.glob(".*")), "nothing half-written is left"


def interrupted(file, **changed):
    """Write what an interrupted selftest of one fault leaves."""
    result = {"table": [], "sound": [], "tried": [], "complete": False}
    options = {"subjects": [RECURRENT], "faults": ["gate-order"], "sites": 1, "sound": 0, "seed": 0}
    file.write_text(json.dumps({**result, "options": {**options, **changed}}))


def test_other_options_are_refused_and_fresh_begins_anew(tmp_path, counted):
    file = tmp_path / "table.json"
    interrupted(file, seed=3)
    before = file.read_bytes()
    options = SelftestOptions((RECURRENT,), ("gate-order",), sound=0)
    with pytest.raises(UserError) as caught:
        selftest(options, file=file)
    assert "other options" in caught.value.fact
    assert "seed 3" in str(caught.value.expected)
    assert "--fresh" in str(caught.value.hint)
    assert file.read_bytes() == before
    assert counted.tried == []
    assert selftest(options, file=file, fresh=True).faults == 1
    assert selftest(options, file=file).faults == 1, "one that has ended is run again"
    assert counted.tried == ["gate-order", "gate-order"]


@pytest.mark.parametrize("content", ["not JSON", "[]", '{"verdict": "pass"}'])
def test_another_file_is_not_overwritten(tmp_path, content):
    file = tmp_path / "notes.json"
    file.write_text(content)
    with pytest.raises(UserError, match="no selftest's"):
        selftest(SelftestOptions((RECURRENT,), ("gate-order",), sound=0), file=file)
    assert file.read_text() == content


def test_a_fault_that_cannot_be_made_is_not_tried_twice(tmp_path, counted):
    file = tmp_path / "table.json"
    interrupted(file, faults=["gate-order", "rotary-pairing"])
    held = json.loads(file.read_text())
    held["tried"] = [{"subject": RECURRENT, "fault": "rotary-pairing", "number": 0, "site": None}]
    file.write_text(json.dumps(held))
    result = selftest(SelftestOptions((RECURRENT,), ("gate-order", "rotary-pairing"), sound=0), file=file)
    assert counted.tried == ["gate-order"]
    assert (result.kinds, result.faults) == (1, 1)
