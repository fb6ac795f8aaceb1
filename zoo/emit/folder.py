"""A folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import UserError


@contextlib.contextmanager
def new_folder(out: Path, mark: str) -> Iterator[Path]:
    """Yield a folder beside ``out`` that becomes ``out`` when the block ends well.

    Args:
        out: Where the folder goes; one that holds the file ``mark`` is an older one of ours and is replaced.
        mark: A file that the block writes.

    Raises:
        UserError: If ``out`` is there and is none of ours.
    """
    if out.exists() and not (out / mark).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(
            "something else is there already",
            place=str(out),
            expected=f"nothing, or a folder with {mark}",
            got="neither",
            hint="give another -o",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    building.chmod(0o755)
    try:
        yield building
        old = building.with_name(building.name + ".old")
        if out.exists():
            out.rename(old)
        building.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(building, ignore_errors=True)
