"""A folder that appears whole or not at all: built beside its place, then renamed."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import UserError


@contextlib.contextmanager
def new_folder(out: Path | str) -> Iterator[Path]:
    """Give a directory to build in; on leaving, put it in the place of ``out`` by renaming.

    An exception inside leaves ``out`` as it was. A kill leaves the old folder or none, and a directory
    ``.NAME.tmp-PID`` that the next call for the same place removes. Whether ``out`` may be replaced is the
    caller's to say.

    Raises:
        UserError: If the directory cannot be made.
    """
    out = Path(out).resolve()  # where a link points to, not the link, is replaced
    building = out.parent / f".{out.name}.tmp-{os.getpid()}"
    old = out.parent / f".{out.name}.old-{os.getpid()}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(out)
        building.mkdir()
    except OSError as error:
        raise UserError("the output directory cannot be made", place=str(out), got=str(error)) from error
    try:
        yield building
        if out.exists():
            out.rename(old)
        building.rename(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
        if old.exists() and not out.exists():
            old.rename(out)
        shutil.rmtree(old, ignore_errors=True)


def _remove_stale(out: Path) -> None:
    """Remove what a killed port left behind; an artifact that it had moved aside goes back to its place."""
    for kind in ("old", "tmp"):
        for stale in out.parent.glob(f".{glob.escape(out.name)}.{kind}-*"):
            pid = stale.name.rpartition("-")[2]
            if not pid.isdigit() or _is_other_process(int(pid)):
                continue
            if kind == "old" and not out.exists():
                stale.rename(out)
            else:
                shutil.rmtree(stale, ignore_errors=True)


def _is_other_process(pid: int) -> bool:
    # Our own number is another's leftover: in a container every run may have the same one.
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
