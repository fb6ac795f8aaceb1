"""Runs `zooport port` over an artifact again and again and kills it at various moments once it has begun to write.

Runs alone: ``python kill_a_port.py FOLDER`` prints one JSON object. Each port is a child of a process that has ported
once: torch is loaded, so that many ports fit into a test, and a single thread makes forking safe.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import tiny_models

from zoo.artifact import verify
from zoo.main import main

DELAYS = (0.0, 0.01, 0.03, 0.06, 0.1)


def port(out: Path, seed: int) -> int:
    with contextlib.redirect_stdout(None):
        return main(["port", *tiny_models.CONVNET, "--seed", str(seed), "-o", str(out)])


def killed_after(delay: float, out: Path) -> tuple[bool, bool]:
    """Port in a child and kill it ``delay`` seconds after its directory is there; say whether it was seen, and died."""
    child = os.fork()
    if child == 0:
        os._exit(port(out, seed=1))
    building = out.parent / f".{out.name}.tmp-{child}"
    deadline = time.monotonic() + 60
    while not building.exists() and time.monotonic() < deadline:
        time.sleep(0.0005)
    seen = building.exists()
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return seen, os.WIFSIGNALED(status)


def rounds(folder: Path) -> list[dict[str, object]]:
    out, told = folder / "art", []
    port(out, seed=0)
    for delay in DELAYS:
        seen, died = killed_after(delay, out)
        whole = out.exists() and not verify(out)
        left = sorted(os.listdir(folder))
        port(out, seed=0)
        told.append({
            "seen": seen, "died": died, "whole": whole, "left": left,
            "after": sorted(os.listdir(folder)), "sealed": not verify(out),
        })  # fmt: skip
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(rounds(Path(sys.argv[1]))))
