"""The artifact directory: whole or not there, sealed, and closed to strangers' files."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo.artifact import MANIFEST, MODEL, WEIGHTS, new_artifact, open_artifact, verify
from zoo.errors import UserError


def write(out: Path, text: str) -> Path:
    with new_artifact(out) as directory:
        (directory / MODEL).write_text(text)
    return out


def facts(path: Path) -> dict[str, str]:
    return {problem.file: problem.fact for problem in verify(path)}


@pytest.fixture
def art(tmp_path: Path) -> Path:
    return write(tmp_path / "art", "old")


# -- atomic writing ------------------------------------------------------------------------------------------------


def test_an_exception_leaves_the_old_artifact_and_nothing_else(art: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / MODEL).write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError), new_artifact(art) as directory:
        fail(directory)
    assert (art / MODEL).read_text() == "old"
    assert verify(art) == []
    assert os.listdir(art.parent) == ["art"]


def test_a_failure_of_the_last_rename_puts_the_old_artifact_back(art: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if ".tmp-" in self.name:
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="no"):
        write(art, "new")
    assert (art / MODEL).read_text() == "old"
    assert os.listdir(art.parent) == ["art"]


def test_a_new_artifact_takes_the_place_of_the_old_one(art: Path) -> None:
    (art / "left-over.json").write_text("{}")
    write(art, "new")
    assert sorted(os.listdir(art)) == [MANIFEST, MODEL]
    assert (art / MODEL).read_text() == "new"


@pytest.mark.parametrize("content", [{}, {"name": "a web page"}, []])
def test_a_foreign_directory_is_refused(tmp_path: Path, content: Any) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="is no artifact; it is left alone"):
        write(out, "new")
    assert os.listdir(out) == ["manifest.json"]


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("text")
    with pytest.raises(UserError, match="is no artifact; it is left alone"):
        write(tmp_path / "mine", "new")
    assert (tmp_path / "mine").read_text() == "text"


def test_an_output_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("text")
    with pytest.raises(UserError, match="cannot be made"):
        write(tmp_path / "mine" / "art", "new")


def test_an_output_where_no_directory_can_be_made_is_the_users_to_change() -> None:
    with pytest.raises(UserError, match="cannot be made"):
        write(Path("/proc/art"), "new")


def test_an_empty_directory_and_the_working_directory_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write(Path("."), "new")
    assert verify(tmp_path / "here") == []


def test_a_link_is_followed_and_kept(art: Path) -> None:
    link = art.parent / "link"
    link.symlink_to(art)
    write(link, "new")
    assert link.is_symlink()
    assert (art / MODEL).read_text() == "new"
    assert sorted(os.listdir(art.parent)) == ["art", "link"]


def test_leftovers_of_dead_processes_are_removed_and_those_of_live_ones_kept(art: Path) -> None:
    dead, ours, alive = (art.parent / f".art.tmp-{pid}" for pid in (2**31 - 7, os.getpid(), os.getppid()))
    for directory in (dead, ours, alive):
        directory.mkdir()
    write(art, "new")
    assert sorted(os.listdir(art.parent)) == [alive.name, "art"]


def test_an_artifact_that_a_killed_port_had_moved_aside_comes_back(art: Path) -> None:
    art.rename(art.parent / f".art.old-{2**31 - 7}")
    with pytest.raises(RuntimeError), new_artifact(art):
        raise RuntimeError
    assert (art / MODEL).read_text() == "old"


def test_files_can_be_read_by_whom_the_umask_allows(tiny: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tiny.iterdir()} == {0o666 & ~umask}


# -- the seal ------------------------------------------------------------------------------------------------------


def test_a_fresh_port_is_sealed_over_every_file(tiny: Path) -> None:
    named = json.loads((tiny / MANIFEST).read_text())["files"]
    assert verify(tiny) == []
    assert sorted([*named, MANIFEST]) == sorted(os.listdir(tiny))


def change(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def replace_by_link(file: Path) -> None:
    target = file.parent.parent / "elsewhere"
    file.rename(target)
    file.symlink_to(target)


def replace_by_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("name", [MODEL, WEIGHTS, "card.yaml", "golden.safetensors"])
@pytest.mark.parametrize(
    ("spoil", "fact"),
    [
        (change, "changed"),
        (Path.unlink, "missing"),
        (replace_by_link, "not a plain file"),
        (replace_by_directory, "not a plain file"),
    ],
)
def test_verify_names_each_spoiled_file(tiny: Path, spoil: Callable[[Path], None], fact: str, name: str) -> None:
    spoil(tiny / name)
    assert facts(tiny) == {name: fact}


def test_verify_names_added_files_and_links(tiny: Path) -> None:
    (tiny / "extra.bin").write_bytes(b"x")
    (tiny / "sub").mkdir()
    (tiny / "sub" / "model.onnx").write_bytes(b"x")
    (tiny / "looks.tmp-1.onnx").write_bytes(b"x")
    (tiny / "link").symlink_to("/nowhere")
    assert facts(tiny) == dict.fromkeys(
        ["extra.bin", "link", "looks.tmp-1.onnx", "sub/model.onnx"], "not in the manifest"
    )


def test_verify_names_every_file_on_the_command_line(tiny: Path, zooport: Callable[..., Any]) -> None:
    change(tiny / WEIGHTS)
    (tiny / "card.yaml").unlink()
    answer = zooport("verify", tiny)
    assert answer.code == 2
    assert f"{WEIGHTS}: changed" in answer.out
    assert "card.yaml: missing" in answer.out


@pytest.mark.parametrize("verb", ["run", "check", "bench", "report"])
def test_other_verbs_refuse_a_broken_seal(tiny: Path, refused: Callable[..., str], verb: str) -> None:
    change(tiny / WEIGHTS)
    said = refused(verb, tiny, *(["-o", tiny.parent / "out"] if verb == "report" else []))
    assert f"the artifact's seal is broken: {WEIGHTS} (changed)" in said
    assert "expected: sha256" in said
    assert "got:      sha256" in said
    assert "--unsealed" in said


def test_unsealed_lets_a_broken_seal_pass(tiny: Path, zooport: Callable[..., Any]) -> None:
    change(tiny / WEIGHTS)
    assert zooport("run", tiny, "--unsealed").code == 0


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "sub/../../outside"])
def test_a_manifest_that_names_files_outside_is_refused(tiny: Path, name: str) -> None:
    manifest = json.loads((tiny / MANIFEST).read_text())
    manifest["files"][name] = ["0" * 64]
    (tiny / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="names a file outside the artifact"):
        open_artifact(tiny)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ('{"schema": 99, "files": {}}', "another schema version"),
        ('{"schema": 1}', "cannot be read"),
        ('{"schema": 1, "files": {"a": []}}', "cannot be read"),
        ("[1]", "cannot be read"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tiny: Path, content: str, fact: str) -> None:
    (tiny / MANIFEST).write_text(content)
    with pytest.raises(UserError, match=fact):
        open_artifact(tiny)


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, Path.touch])
def test_what_is_no_artifact_is_refused_with_the_next_step(
    tmp_path: Path, refused: Callable[..., str], make: Callable[[Path], None]
) -> None:
    make(tmp_path / "none")
    assert "zooport port SOURCE -o" in refused("run", tmp_path / "none")


def test_unreadable_results_and_golden_data_are_named(tiny: Path) -> None:
    artifact = open_artifact(tiny)
    (tiny / "parity.json").write_text("{")
    (tiny / "golden.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(UserError, match=r"parity\.json"):
        artifact.result("parity")
    with pytest.raises(UserError, match=r"golden\.safetensors"):
        artifact.golden()


# -- results -------------------------------------------------------------------------------------------------------


def test_a_result_is_added_replaced_and_sealed(tiny: Path) -> None:
    artifact = open_artifact(tiny)
    assert artifact.result("parity") is None
    artifact.add_result("parity", {"verdict": "fail"})
    artifact.add_result("parity", {"verdict": "pass"})
    assert open_artifact(tiny).result("parity") == {"verdict": "pass"}
    assert artifact.result_names() == ["parity"]


def test_results_that_are_added_at_the_same_time_all_stay(tiny: Path) -> None:
    artifact = open_artifact(tiny)

    def add(worker: int) -> None:
        for count in range(10):
            artifact.add_result(f"result-{worker}", count)

    threads = [threading.Thread(target=add, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(tiny) == []
    assert artifact.result_names() == [f"result-{worker}" for worker in range(4)]
