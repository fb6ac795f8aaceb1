"""Functions that run in children of tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parity.child import Line
from zoo.errors import UserError


def answers(line: Line, number: int) -> int:
    line.phase("think")
    line.say("half", number / 2)
    print("thought")  # noqa: T201
    return number + 1


def refuses(line: Line) -> None:
    raise UserError("no such size", place="here", expected=Path("x"), got=lambda: 0, hint="another")


def raises(line: Line) -> None:
    line.phase("count")
    raise KeyError("seven")


def aborts(line: Line) -> None:
    line.phase("almost there")
    os.abort()


def crashes(line: Line) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def exits(line: Line) -> None:
    print("goodbye")  # noqa: T201
    os._exit(7)


def hangs_with_a_child(line: Line, file: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(tempfile.mkdtemp()).joinpath("left").write_text("x")
    Path(file).write_text(f"{child.pid} {tempfile.gettempdir()}")
    line.phase("wait")
    while True:
        time.sleep(1)


def eats(line: Line) -> None:
    line.phase("eat")
    eaten = []
    while True:
        eaten.append(bytearray(1 << 23))
        time.sleep(0.005)


def dies_while_its_child_lives(line: Line) -> None:
    os.set_inheritable(line.pipe.fileno(), True)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"], close_fds=False)
    os._exit(3)
