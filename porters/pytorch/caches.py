"""Caches of keys and values among a model's results: trees of tensors, to torch.export as to everything here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def know_caches(model: torch.nn.Module) -> None:
    """Register the caches of transformers as pytrees, the library's own way, where a model is built of its parts.

    Without that torch.export refuses a model that returns one, and the tensors in it would not count as outputs.
    """
    parts = {module: part for part in model.modules() if (module := type(part).__module__).startswith("transformers.")}
    if not parts:
        return
    from transformers.exporters.exporter_dynamo import register_cache_pytrees_for_model

    for part in parts.values():
        register_cache_pytrees_for_model(part)
