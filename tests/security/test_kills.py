"""A kill at any moment leaves the old artifact, the new one or none: never a half one, and never a broken seal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

HELPERS = Path(__file__).parents[1] / "helpers"


def report(answer: Any) -> list[dict[str, Any]]:
    assert answer.returncode == 0, answer.stderr
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found


def test_a_replacement_killed_at_any_step_leaves_a_whole_artifact_or_none(
    spawn: Callable[..., Any], tmp_path: Path
) -> None:
    steps = report(spawn(HELPERS / "kill_at_each_step.py", "replace", tmp_path))
    assert len(steps) > 15
    assert {step["left"] for step in steps} <= {"old", "new", "none"}
    assert (steps[0]["left"], steps[-1]["left"]) == ("old", "new")
    # The two renames are one step apart.
    assert [step["left"] for step in steps].count("none") <= 1


def test_the_next_port_after_a_kill_cleans_up(spawn: Callable[..., Any], tmp_path: Path) -> None:
    steps = report(spawn(HELPERS / "kill_at_each_step.py", "replace", tmp_path))
    assert {step["after"] for step in steps} == {"old"}
    assert {tuple(step["files"]) for step in steps} == {("art",)}


def test_a_result_killed_at_any_step_leaves_the_seal_whole(spawn: Callable[..., Any], tmp_path: Path) -> None:
    steps = report(spawn(HELPERS / "kill_at_each_step.py", "result", tmp_path))
    assert len(steps) > 10
    assert [step["broken"] for step in steps if step["broken"]] == []
    for before, first in (([], None), (["parity"], "first")):
        values = [step["left"] for step in steps if step["before"] == before]
        assert set(values) == {first, "second"}
        assert values == sorted(values, key=lambda value: value == "second"), "the change comes at one moment"


def test_a_killed_zooport_port_leaves_the_old_artifact(spawn: Callable[..., Any], tmp_path: Path) -> None:
    rounds = report(spawn(HELPERS / "kill_a_port.py", tmp_path))
    assert all(item["seen"] for item in rounds)
    assert any(item["died"] and item["left"] != ["art"] for item in rounds), "no kill came in time to prove anything"
    for item in rounds:
        assert item["whole"] or "art" not in item["left"], item
        assert (item["after"], item["sealed"]) == (["art"], True), item
