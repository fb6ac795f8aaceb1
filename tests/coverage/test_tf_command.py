"""The command of the TensorFlow coverage runs: what it judges, what it keeps, and when it fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

from tests.coverage.tf_command import read, run
from tests.coverage.tf_judge import Row


def _run(monkeypatch: pytest.MonkeyPatch, out: Path, *options: str, status: str = "right") -> tuple[int, list[str]]:
    judged: list[str] = []

    def judge(name: str, group: int) -> Row:
        judged.append(name)
        return Row(name, status if name == "Abs" else "right", group)

    monkeypatch.setattr(sys, "argv", ["command", "-o", str(out), *options])
    code = run("what it does", lambda: {"Tan": 2, "Abs": 1, "Add": 3}, judge, lambda rows: f"{len(rows)} rows")
    return code, judged


def test_a_run_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    assert _run(monkeypatch, out, "--only", "A*") == (0, ["Abs", "Add"])
    assert _run(monkeypatch, out) == (0, ["Tan"])
    assert _run(monkeypatch, out, "--again", "--only", "Add,T?n") == (0, ["Add", "Tan"])
    assert {name: row.samples for name, row in read(out).items()} == {"Abs": 1, "Add": 3, "Tan": 2}


def test_a_run_without_time_judges_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert _run(monkeypatch, tmp_path / "rows.jsonl", "--minutes", "-1") == (0, [])


@pytest.mark.parametrize(("status", "code"), [("wrong", 1), ("broken", 1), ("unsupported", 0), ("no kernel", 0)])
def test_what_is_wrong_makes_the_command_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: str, code: int
) -> None:
    assert _run(monkeypatch, tmp_path / "rows.jsonl", status=status)[0] == code


def test_the_page_of_what_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.jsonl"
    _run(monkeypatch, out, "--only", "A*")
    assert _run(monkeypatch, out, "--table") == (0, [])
    assert capsys.readouterr().out == "2 rows"
