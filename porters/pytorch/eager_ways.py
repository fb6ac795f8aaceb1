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
        stack.enter_context(_no_empty_masks())
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


@contextlib.contextmanager
def _no_empty_masks() -> Iterator[None]:
    """Let transformers leave out the mask that masks nothing, as in eager mode: no padding, attention both ways.

    For torch.export it makes one all the same, which is in the way where layers change the length that it was made
    for, or attend to more than the tokens it was made for.
    """
    masking = sys.modules.get("transformers.masking_utils")
    own = getattr(masking, "_ignore_bidirectional_mask_sdpa", None)
    if own is None:
        yield
        return
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    def ignore(padding_mask: Any, kv_length: Any, local_attention_size: Any = None) -> Any:
        reaches_all = local_attention_size is None or statically_known_true(kv_length < local_attention_size)
        if padding_mask is None and reaches_all:
            return True
        return own(padding_mask, kv_length, local_attention_size)

    with mock.patch.object(masking, "_ignore_bidirectional_mask_sdpa", ignore):
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
