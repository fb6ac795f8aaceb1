"""Results as JSON: any standard reader parses them, and nothing is lost."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.record import dumps, write_atomically


@dataclasses.dataclass(frozen=True)
class Inner:
    ratio: float
    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Outer:
    place: Path
    inner: list[Inner]
    missing: None = None


def strict(text: str) -> Any:
    """Parse as a reader does that knows nothing but the standard."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_dataclasses_become_objects_field_by_field() -> None:
    record = Outer(Path("a/b"), [Inner(0.1, ("x", "y"))])
    assert strict(dumps(record)) == {"place": "a/b", "inner": [{"ratio": 0.1, "names": ["x", "y"]}], "missing": None}


def test_what_is_not_finite_becomes_a_word() -> None:
    values = [float("nan"), float("inf"), -float("inf"), np.float32("nan"), np.float64("inf")]
    assert strict(dumps(values)) == ["nan", "inf", "-inf", "nan", "inf"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_kept_to_the_last_bit(value: float) -> None:
    assert strict(dumps({"v": value})) == {"v": value}


def test_numpy_scalars_and_non_ascii_text_are_plain() -> None:
    text = dumps({"n": np.int64(3), "b": np.bool_(True), "f": np.float32(0.5), 7: "模型"})
    assert strict(text) == {"n": 3, "b": True, "f": 0.5, "7": "模型"}
    assert "模型" in text


def test_equal_sets_are_equal_text_in_every_process(spawn: Callable[..., Any]) -> None:
    script = "from zoo.record import dumps; print(dumps({str(i) for i in range(50)}))"
    assert len({spawn("-c", script).stdout for _ in range(3)}) == 1


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "result.json"
    write_atomically(file, b"old")

    def fails(*args: object) -> None:
        raise OSError("no")

    monkeypatch.setattr("os.replace", fails)
    with pytest.raises(OSError, match="no"):
        write_atomically(file, b"new")
    assert [(item.name, item.read_bytes()) for item in tmp_path.iterdir()] == [("result.json", b"old")]
