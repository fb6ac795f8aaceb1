"""Where an exported node comes from: module path, file and line of the model's own code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zoo.graph import Provenance

if TYPE_CHECKING:
    import torch

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
# Frames inside the framework say nothing about the model.
_INSIDE = ("/torch/", "/torch/_")


def provenance_of(node: torch.fx.Node, target: str) -> Provenance:
    """Return the provenance of an exported node; parts that torch did not record stay empty."""
    stack = node.meta.get("nn_module_stack") or {}
    module = next(reversed(stack.values()))[0] if stack else ""
    return Provenance(target, module, _line(node.meta.get("stack_trace") or ""), node.name)


def _line(trace: str) -> str:
    frames = _FRAME.findall(trace)
    own = [frame for frame in frames if not any(part in frame[0] for part in _INSIDE)]
    if not (own or frames):
        return ""
    file, line = (own or frames)[-1]
    # Machine-independent: from the package's folder on.
    short = file.rpartition("site-packages/")[2].rpartition("dist-packages/")[2]
    if short.startswith("/"):
        short = "/".join(short.split("/")[-2:])
    return f"{short}:{line}"
