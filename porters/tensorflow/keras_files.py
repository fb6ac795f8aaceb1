"""Looks into a Keras file without loading it: which layers of it are Python code."""

from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def lambdas(file: Path) -> list[str]:
    """Return the names of the Lambda layers in a ``.keras`` or ``.h5`` file; none where it cannot be read."""
    try:
        config = _config(file)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return []
    return list(dict.fromkeys(_named(config)))


def _config(file: Path) -> Any:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return json.loads(archive.read("config.json"))
    h5py: Any = importlib.import_module("h5py")  # which has no types
    with h5py.File(file, "r") as stored:
        return json.loads(stored.attrs["model_config"])


def _named(config: Any) -> Iterator[str]:
    """Yield the names of Lambda layers, those of models in models too."""
    if isinstance(config, dict):
        if config.get("class_name") == "Lambda":
            yield str(config.get("config", {}).get("name", "lambda"))
        for value in config.values():
            yield from _named(value)
    elif isinstance(config, list):
        for value in config:
            yield from _named(value)
