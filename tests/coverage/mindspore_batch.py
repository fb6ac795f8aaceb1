"""Runs many small projects in one MindSpore process: ``python -m tests.coverage.mindspore_batch FOLDER MODE``."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from zoo.mindspore.serve import Runner, packed, unpacked

FEED, RESULT, ERROR = "feed.bin", "result.bin", "error.txt"


def main(folder: Path, mode: str) -> None:
    """Run every project of ``folder`` that has neither a result nor an error yet."""
    for project in sorted(folder.iterdir()):
        if (project / RESULT).exists() or (project / ERROR).exists():
            continue
        (project / ERROR).write_text("the process ended")  # stays where it does
        for name in ("model", "layers"):
            sys.modules.pop(name, None)
        try:
            outputs = Runner(project, mode, 0).run(unpacked((project / FEED).read_bytes()))
            (project / RESULT).write_bytes(packed(outputs))
            (project / ERROR).unlink()
        except Exception:
            (project / ERROR).write_text(traceback.format_exc())
        sys.path.remove(str(project))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
