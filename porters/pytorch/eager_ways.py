"""Ways that a model has in eager mode only, kept while it is traced where torch.export can follow them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock


@contextlib.contextmanager
def eager_ways() -> Iterator[None]:
    """Let models do inside what they do without torch.export."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_no_idle_conversions())
        for module in _with_ways_for_export():
            stack.enter_context(mock.patch.object(module, "is_torchdynamo_exporting", return_value=False))
        yield


@contextlib.contextmanager
def _no_idle_conversions() -> Iterator[None]:
    """Let a module convert a part of itself, inside its ``forward``, to the dtype that the part has already.

    That changes nothing, but torch would replace every parameter by itself, which it cannot while it traces.
    """
    import torch

    own = torch.nn.Module.to

    def convert(module: Any, *args: Any, **kwargs: Any) -> Any:
        wanted = args[0] if len(args) == 1 and not kwargs else None
        tensors = [*module.parameters(), *module.buffers()]
        if isinstance(wanted, torch.dtype) and all(
            item.dtype == wanted or not (item.is_floating_point() or item.is_complex()) for item in tensors
        ):
            return module
        return own(module, *args, **kwargs)

    with mock.patch.object(torch.nn.Module, "to", convert):
        yield


def _with_ways_for_export() -> list[Any]:
    """Return the model files of transformers that do something else for torch.export alone.

    They avoid operators that an exporter may lack: a triangular system is solved row by row, in hundreds of nodes for
    each layer and minutes of tracing, where here it is one operator. Files that ask for torch.compile too decide about
    kernels, which cannot be traced.
    """
    found = []
    for name, module in list(sys.modules.items()):
        if name.startswith("transformers.models.") and "modeling_" in name:
            members = vars(module)
            if "is_torchdynamo_exporting" in members and "is_torchdynamo_compiling" not in members:
                found.append(module)
    return found
