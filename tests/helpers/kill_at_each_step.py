"""Kills one action at each of its file operations in turn, a fresh process for each, and reports what was left.

Runs alone: ``python kill_at_each_step.py replace|result FOLDER`` prints one JSON object.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from zoo.artifact import Artifact, new_artifact, verify

FILE_OPERATIONS = {
    "open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.link", "os.truncate", "shutil.rmtree",
}  # fmt: skip


def write(out: Path, text: str) -> None:
    with new_artifact(out) as directory:
        (directory / "model.onnx").write_text(text)
        (directory / "card.yaml").write_text(text)


def killed_at(step: int, action: Callable[[], None]) -> bool:
    """Run ``action`` in a child that dies before its file operation number ``step``; say whether it did."""
    child = os.fork()
    if child == 0:
        count = 0

        def watch(event: str, args: object) -> None:
            nonlocal count
            if event in FILE_OPERATIONS:  # and not os.kill, which is an event too
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def state_of(out: Path) -> str:
    """Return ``none``, ``broken``, or the artifact's text: ``old`` or ``new``."""
    if not out.exists():
        return "none"
    texts = {file.read_text() for file in (out / "model.onnx", out / "card.yaml") if file.exists()}
    return texts.pop() if len(texts) == 1 and not verify(out) else "broken"


def replace(folder: Path) -> list[dict[str, object]]:
    """Kill the replacement of an artifact; then let the next one clean up."""
    out, seen = folder / "art", []
    write(out, "old")
    for step in range(1, 10_000):
        killed = killed_at(step, lambda: write(out, "new"))
        left = state_of(out)
        write(out, "old")
        seen.append({"left": left, "after": state_of(out), "files": os.listdir(folder)})
        if not killed:
            return seen
    raise AssertionError("the action never ended")


def result(folder: Path) -> list[dict[str, object]]:
    """Kill the adding and the replacing of a result; then add another one."""
    out, seen = folder / "art", []
    for before in ((), ("parity",)):
        for step in range(1, 10_000):
            shutil.rmtree(out, ignore_errors=True)
            write(out, "old")
            for name in before:
                Artifact(out).add_result(name, "first")
            killed = killed_at(step, lambda: Artifact(out).add_result("parity", "second"))
            broken = [problem.file for problem in verify(out)]
            value = Artifact(out).result("parity")
            Artifact(out).add_result("bench", 1)
            broken += [problem.file for problem in verify(out)]
            seen.append({"left": value, "broken": broken, "before": list(before)})
            if not killed:
                break
    return seen


if __name__ == "__main__":
    actions = {"replace": replace, "result": result}
    folder = Path(sys.argv[2])
    write(folder / "warm", "up")  # what Python imports on the way is no step of the action
    Artifact(folder / "warm").add_result("parity", 0)
    shutil.rmtree(folder / "warm")
    sys.stdout.write(json.dumps(actions[sys.argv[1]](folder)))
