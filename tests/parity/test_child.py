"""Processes of their own: results, refusals, and last words of what dies, hangs or takes too much."""

from __future__ import annotations

import math
import time
from pathlib import Path

import children
import psutil
import pytest

from parity.child import ChildDiedError, Limits, run_apart
from zoo.errors import UserError


def last_words(function, *arguments, **limits):
    with pytest.raises(ChildDiedError) as caught:
        run_apart(function, arguments, Limits(**limits))
    return caught.value.failure


def test_a_child_speaks_and_answers(capfd):
    heard = []
    assert run_apart(children.answers, (3,), Limits(), lambda *word: heard.append(word)) == 4
    assert heard == [("phase", "think"), ("half", 1.5)]
    said = capfd.readouterr()
    assert said.out == ""
    assert "thought" in said.err, "what it prints is no part of a result"


def test_a_refusal_keeps_its_parts():
    with pytest.raises(UserError) as caught:
        run_apart(children.refuses, (), Limits())
    assert (caught.value.fact, caught.value.place, caught.value.expected) == ("no such size", "here", "x")
    assert "next:     another" in str(caught.value)


def test_an_exception_is_told_with_its_traceback():
    failure = last_words(children.raises)
    assert failure.reason == "KeyError: 'seven'"
    assert failure.phase == "count"
    assert any("children.py" in line for line in failure.last_words)
    assert failure.peak_rss_bytes > 1 << 20


def test_a_crash_is_told_with_its_signal_and_where_it_was():
    failure = last_words(children.aborts)
    assert (failure.signal, failure.phase, failure.limited) == ("SIGABRT", "almost there", False)
    assert any("in aborts" in line for line in failure.last_words)
    assert last_words(children.crashes).signal == "SIGSEGV"
    assert "exit code 7" in last_words(children.exits).reason


def ends(pid, seconds=10.0):
    """Say whether a process that was killed is gone soon: a signal is delivered when the process runs next."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_hung_child_is_stopped_with_all_that_it_started(tmp_path):
    note = tmp_path / "note"
    started = time.monotonic()
    failure = last_words(children.hangs_with_a_child, str(note), silence=2.0)
    assert time.monotonic() - started < 20
    assert failure.limited
    assert failure.phase == "wait"
    assert any("hangs_with_a_child" in line for line in failure.last_words), "where it hung"
    pid, folder = note.read_text().split()
    assert ends(int(pid))
    assert not Path(folder).exists(), "what it left in its folder is gone"


def test_a_child_that_eats_memory_is_stopped():
    failure = last_words(children.eats, memory_bytes=300 << 20)
    assert failure.limited
    assert 300 << 20 < failure.peak_rss_bytes < 1 << 30
    assert "0.29" in failure.reason
    assert math.isfinite(failure.seconds)


def test_a_death_is_heard_although_a_grandchild_holds_the_line():
    assert "exit code 3" in last_words(children.dies_while_its_child_lives, seconds=15).reason
