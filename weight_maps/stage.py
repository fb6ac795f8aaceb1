"""Where a checkpoint is written before it is there: a safetensors file beside it, with a journal to go on from."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from weight_maps.formats.safetensors import SafetensorsFile, layout
from zoo.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from weight_maps.ledger import Journal
    from weight_maps.tensors import Spec

# Ending of a file -> (module, writer); safetensors is what the stage is already.
WRITERS = {
    ".safetensors": None,
    ".npz": ("npz", "write_npz"),
    ".ckpt": ("mindspore", "write_mindspore"),
    ".pt": ("pytorch", "write_pytorch"),
    ".pth": ("pytorch", "write_pytorch"),
    ".bin": ("pytorch", "write_pytorch"),
    ".weights.h5": ("keras", "write_weights_h5"),
}


# What the name of a file ends with while it is being written.
PART = ".part"


class Stage:
    """A checkpoint in the making.

    Tensors go straight to their places in ``OUT.part``; ``OUT.part.json`` holds, line by line, the fingerprints of
    what is there. A process that was killed is gone on from where the fingerprint of the task is the same: what was
    in the middle of being written has no line and is written again. (After a failure of the machine itself the proof
    reads every byte back and finds what the disk lost.)
    """

    def __init__(self, out: Path, specs: Mapping[str, Spec], task: str) -> None:
        self.out = out
        self._part, self._lines = out.with_name(f"{out.name}{PART}"), out.with_name(f"{out.name}{PART}.json")
        self._specs = specs
        header, self._begins = layout(specs)
        if not out.parent.is_dir():
            raise UserError("the folder does not exist", place=str(out), hint=f"mkdir -p {out.parent}")
        self.done = self._resume(task)
        if not self.done:
            self._part.write_bytes(header)
            self._lines.write_text(json.dumps({"task": task}) + "\n")
        os.truncate(self._part, max(len(header), *(self._end(name) for name in specs)) if specs else len(header))
        self._stream = self._part.open("r+b")
        self._journal = self._lines.open("a")

    def _end(self, name: str) -> int:
        return self._begins[name] + self._specs[name].nbytes

    def _resume(self, task: str) -> list[dict[str, dict[str, str]]]:
        """Return the lines of an earlier attempt at the same task; one cut off by a kill does not count."""
        if not (self._part.is_file() and self._lines.is_file()):
            return []
        lines = self._lines.read_text().split("\n")
        whole = []
        for line in lines[:-1]:
            with contextlib.suppress(ValueError):
                whole.append(json.loads(line))
        if not whole or whole[0] != {"task": task}:
            return []
        self._lines.write_text("".join(json.dumps(line) + "\n" for line in whole))
        return whole[1:]

    def put(self, arrays: Mapping[str, np.ndarray], sources: Mapping[str, str], targets: Mapping[str, str]) -> None:
        """Write the tensors of one entry, then the line with the fingerprints of what they are and come from."""
        import numpy as np

        for name, array in arrays.items():
            self._stream.seek(self._begins[name])
            self._stream.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        self._stream.flush()
        self._journal.write(json.dumps({"sources": sources, "targets": targets}) + "\n")
        self._journal.flush()

    def replay(self, journal: Journal) -> None:
        """Add what an earlier attempt did to the fingerprints."""
        for line in self.done:
            journal.sources |= line["sources"]
            journal.targets |= line["targets"]

    def finish(self) -> Path:
        """Write the file in its own format beside its place, and return where; see :meth:`publish`."""
        self._stream.close()
        self._journal.close()
        writer = writer_of(self.out)
        if writer is None:
            return self._part
        module, function = writer
        write: Callable[..., None] = getattr(importlib.import_module(f"weight_maps.formats.{module}"), function)
        # The name keeps its ending: readers know the format by it.
        beside = self.out.with_name(f".{os.getpid()}.{self.out.name}")
        spans = {name: (self._part, begin) for name, begin in self._begins.items()}
        try:
            write(SafetensorsFile(spans, self._specs), beside)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        return beside

    def discard(self) -> None:
        """Take the stage away without a result."""
        self._stream.close()
        self._journal.close()
        self._part.unlink(missing_ok=True)
        self._lines.unlink(missing_ok=True)

    def publish(self, written: Path) -> None:
        """Put the finished file in its place and take the stage away."""
        os.replace(written, self.out)
        self._part.unlink(missing_ok=True)
        self._lines.unlink(missing_ok=True)


def writer_of(out: Path) -> tuple[str, str] | None:
    """Return module and function that write a file, ``None`` for safetensors.

    Raises:
        UserError: If there is none for its ending.
    """
    ending = max((ending for ending in WRITERS if out.name.endswith(ending)), key=len, default=None)
    if ending is None:
        raise UserError("checkpoints are not written in this format", place=str(out), expected=", ".join(WRITERS))
    return WRITERS[ending]
