"""The command line's contract: exit codes, JSON on standard output, and whose fault it is."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo import main as command_line
from zoo.errors import InternalError, UserError
from zoo.verb import Verb

Run = Callable[..., Any]


def one_object(text: str) -> Any:
    """Parse what must be one JSON value and nothing else."""
    value, end = json.JSONDecoder().raw_decode(text)
    assert text[end:].strip() == ""
    return value


# -- run, verify, list, doctor -------------------------------------------------------------------------------------


def test_run_prints_and_writes_the_outputs(tiny: Path, zooport: Run) -> None:
    out = tiny.parent / "out.npz"
    answer = zooport("run", tiny, "--json", "-o", out)
    assert answer.code == 0
    assert one_object(answer.out) == {
        "executor": "onnxruntime",
        "outputs": [{"name": "output", "shape": [2, 24], "dtype": "float32"}],
        "file": str(out),
    }
    assert np.load(out)["output"].shape == (2, 24)


def test_run_takes_inputs_from_a_file(tiny: Path, zooport: Run) -> None:
    np.savez(tiny.parent / "in.npz", x=np.zeros((7, 3, 8, 8), np.float32))
    answer = zooport("run", tiny, "--input", tiny.parent / "in.npz")
    assert answer.out == "output  float32[7, 24]\n"


@pytest.mark.parametrize("shape", [(7, 1, 8, 8), (3, 8, 8)])
def test_run_refuses_inputs_of_another_shape(tiny: Path, refused: Callable[..., str], shape: tuple[int, ...]) -> None:
    np.savez(tiny.parent / "in.npz", x=np.zeros(shape, np.float32))
    said = refused("run", tiny, "--input", tiny.parent / "in.npz")
    assert "expected: float32 ['batch', 3, 8, 8]" in said
    assert f"got:      float32 {list(shape)}" in said


def test_verify_reports_the_seal(tiny: Path, zooport: Run) -> None:
    answer = zooport("verify", tiny, "--json")
    assert (answer.code, one_object(answer.out)) == (0, {"artifact": str(tiny), "sealed": True, "problems": []})
    (tiny / "card.yaml").write_text("other")
    answer = zooport("verify", tiny, "--json")
    found = one_object(answer.out)
    assert (answer.code, found["sealed"]) == (2, False)
    assert [(p["file"], p["fact"]) for p in found["problems"]] == [("card.yaml", "changed")]
    assert set(found["problems"][0]) == {"file", "fact", "expected", "got"}


def test_list_gives_the_fields_of_every_card(zooport: Run) -> None:
    entries = one_object(zooport("list", "--json").out)
    assert "efficientnet-lite0" in {entry["name"] for entry in entries}
    for entry in entries:
        assert {"name", "task", "frameworks", "tags", "weights"} <= set(entry)
        assert entry["weights"] in ("real", "seeded")
        assert set(entry["frameworks"]) <= {"pytorch", "tensorflow", "onnx"}
    shown = zooport("list").out
    assert all(f"card:{entry['name']} " in shown for entry in entries)


def test_doctor_reports_what_is_installed(zooport: Run) -> None:
    report = one_object(zooport("doctor", "--json").out)
    assert {"python", "platform", "core", "extras", "executors", "accelerators"} <= set(report)
    assert report["core"]["onnxruntime"]
    assert {"name": "onnxruntime", "ready": True} in report["executors"]
    assert "executors (--on): onnxruntime" in zooport("doctor").out


# -- check and bench on the tiny artifact --------------------------------------------------------------------------


def test_check_gives_its_fields_and_records_the_result(tiny: Path, zooport: Run) -> None:
    answer = zooport("check", tiny, "--json")
    result = one_object(answer.out)
    assert (answer.code, result["verdict"]) == (0, "pass")
    assert {"cases", "truth", "outputs", "layers", "first_divergence", "diagnosis"} <= set(result)
    fields = {"name", "shape", "dtype", "max_abs", "rel_l2", "cosine", "sqnr_db", "ulp_p99", "budget", "verdict"}
    assert fields <= set(result["outputs"][0])
    assert {"original_error", "port_error", "ratio", "limit"} <= set(result["outputs"][0]["budget"])
    assert json.loads((tiny / "parity.json").read_text()) == result
    assert zooport("verify", tiny).code == 0


def test_bench_gives_its_fields(tiny: Path, zooport: Run) -> None:
    answer = zooport("bench", tiny, "--rounds", 2, "--threads", 1, "--json")
    result = one_object(answer.out)
    assert (answer.code, [row["side"] for row in result["rows"]]) == (0, ["port"])
    fields = {"side", "route", "threads", "p50_ms", "p90_ms", "p99_ms", "throughput", "peak_rss_bytes", "load_s"}
    assert fields <= set(result["rows"][0])
    assert result["machine"]["cores"] > 0


# -- exit codes ----------------------------------------------------------------------------------------------------


def offer(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> None:
    def run(args: object) -> int:
        if error is not None:
            raise error
        return 0

    verb = Verb("work", "for a test", lambda parser: None, run)
    monkeypatch.setattr(command_line, "load_verbs", lambda: {"work": verb})


@pytest.mark.parametrize("error", [RuntimeError("boom"), InternalError("boom"), KeyError("boom")])
def test_an_unforeseen_failure_is_ours(monkeypatch: pytest.MonkeyPatch, zooport: Run, error: Exception) -> None:
    offer(monkeypatch, error)
    answer = zooport("work")
    assert (answer.code, answer.out) == (3, "")
    assert "this is our fault, not yours" in answer.err
    assert "Please report" in answer.err
    assert "Traceback" in answer.err
    assert "boom" in answer.err


def test_a_users_fault_is_told_in_parts_without_a_traceback(monkeypatch: pytest.MonkeyPatch, zooport: Run) -> None:
    offer(monkeypatch, UserError("the fact", place="file:3", expected="this", got="that", hint="do so"))
    answer = zooport("work")
    assert answer.code == 2
    parts = ["error: the fact", "  where:    file:3", "  expected: this", "  got:      that", "  next:     do so"]
    assert answer.err.splitlines() == parts
    assert "Traceback" in zooport("--traceback", "work").err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_full_or_closed_disk_is_not_our_fault(monkeypatch: pytest.MonkeyPatch, zooport: Run, number: int) -> None:
    offer(monkeypatch, OSError(number, "no way", "/some/file"))
    answer = zooport("work")
    assert answer.code == 2
    assert "where:    /some/file" in answer.err
    assert "got:      no way" in answer.err


def test_an_interruption_says_that_nothing_was_left(monkeypatch: pytest.MonkeyPatch, zooport: Run) -> None:
    offer(monkeypatch, KeyboardInterrupt())
    answer = zooport("work")
    assert (answer.code, answer.err) == (130, "interrupted; nothing half-written was left\n")


def test_a_closed_pipe_is_no_failure(monkeypatch: pytest.MonkeyPatch, zooport: Run) -> None:
    offer(monkeypatch, BrokenPipeError())
    assert zooport("work").code == 0


@pytest.mark.parametrize("argv", [[], ["prot"], ["run"], ["port", "onnx:x"], ["check", "d", "--cases", "many"]])
def test_a_command_that_cannot_be_read_exits_2(zooport: Run, argv: list[str]) -> None:
    answer = zooport(*argv)
    assert (answer.code, answer.out) == (2, "")
    assert "usage: zooport" in answer.err


def test_version_is_that_of_the_package(zooport: Run) -> None:
    from importlib.metadata import version

    assert zooport("--version").out == f"zooport {version('zooport')}\n"
