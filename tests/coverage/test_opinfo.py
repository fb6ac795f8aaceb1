"""The operator coverage run itself: it calls right what is right, and can say that something is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from porters.pytorch import registry
from tests.coverage import opinfo
from tests.coverage.judge import difference
from tests.coverage.samples import entries
from tests.coverage.table import markdown

ENTRIES = entries()


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("atan2", "right"),
        ("linalg.inv", "right"),
        ("fft.rfft", "right"),
        ("special.i1e", "right"),
        ("masked_select", "right"),
        ("linalg.eig", "unsupported"),
        ("rand_like", "no meaning"),
        ("empty", "no meaning"),
    ],
)
def test_entries(name: str, status: str) -> None:
    assert opinfo.judge_entry(name, ENTRIES[name], most=3, seed=0).status == status


def test_a_wrong_translator_is_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.find("aten.add.Tensor")
    wrong = {"aten.sinh.default": lambda c, x: c.op("Mul", c.op("Sinh", x), 1.00001)}
    monkeypatch.setattr(registry, "_TRANSLATORS", {**registry._TRANSLATORS, **wrong})
    row = opinfo.judge_entry("sinh", ENTRIES["sinh"], most=3, seed=0)
    assert row.status == "wrong"
    assert "noise ratio" in row.reason


def test_an_entry_that_hangs_or_dies_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import time

    def misbehave(name: str, *_: Any) -> Any:
        return time.sleep(60) if name == "slow" else os._exit(3)

    monkeypatch.setattr(opinfo, "judge_entry", misbehave)
    assert opinfo.in_own_process("slow", None, 1, 0, seconds=0.2).status == "timeout"
    assert opinfo.in_own_process("dead", None, 1, 0, seconds=20).status == "broken"


@pytest.mark.parametrize(
    ("port", "problem"),
    [
        ([1.0, 2.0, 3.0000002], ""),
        ([1.0, 2.0, 3.001], "noise ratio"),
        ([1.0, 2.0, np.nan], "NaN"),
        ([[1.0, 2.0, 3.0]], "instead of"),
    ],
)
def test_the_judge(port: Any, problem: str) -> None:
    own = np.array([1, 2, 3], np.float32)
    truth = own.astype(np.float64)
    answer = difference(own, truth, truth, np.array(port, np.float32))
    assert problem in answer
    assert bool(answer) == bool(problem)


def test_a_budget_that_would_pass_anything_passes_nothing() -> None:
    own = np.array([1, -1], np.float32)
    assert "decides nothing" in difference(own, -own.astype(np.float64), own.astype(np.float64), own * 2)
    assert difference(own, -own.astype(np.float64), own.astype(np.float64), own) == ""


def test_the_table_counts_and_lists() -> None:
    rows = [opinfo.Row("a", samples=2, counts={"right": 2}), opinfo.Row("linalg.b", "unsupported", 1, {}, "a | b")]
    text = markdown(rows)
    assert "2 entries, 2 with a meaning to a graph, 1 right (50.0%)." in text
    assert "| `linalg.b` | unsupported |  | a / b |" in text
