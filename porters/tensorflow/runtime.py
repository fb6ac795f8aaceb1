"""Brings TensorFlow up quietly and on the right Keras backend, or says what is missing."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from zoo.errors import UserError, missing_extra

PACKAGES = ("tensorflow", "keras", "numpy")


def keras() -> Any:
    """Import TensorFlow and return Keras.

    Raises:
        UserError: If TensorFlow or Keras is missing, or Keras runs on another backend.
    """
    # Read when TensorFlow's library is loaded: silences its banners about the processor and missing GPUs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        tensorflow = importlib.import_module("tensorflow")
        module = importlib.import_module("keras")
    except ImportError as error:
        raise missing_extra("tensorflow", "tensorflow", "a TensorFlow source") from error
    if module.backend.backend() != "tensorflow":
        raise UserError(
            "Keras runs on another backend",
            expected="tensorflow",
            got=module.backend.backend(),
            hint="set KERAS_BACKEND=tensorflow in the environment",
        )
    # TensorFlow warns of every model whose grouped convolutions Keras compiles; the user can do nothing about it.
    tensorflow.get_logger().setLevel("ERROR")
    return module


def versions() -> Mapping[str, str]:
    """Return the versions of the packages that decide the numbers."""
    import tensorflow as tf

    found = {"tensorflow": str(tf.__version__)}
    return {**found, **{name: metadata.version(name) for name in PACKAGES[1:]}}


def licence(package: str) -> str:
    """Return the licence that a package's metadata states, empty if it states none."""
    try:
        entries = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return ""
    for key in ("License-Expression", "License"):
        text = (entries.get_all(key) or [""])[0]
        # Some packages put the whole text of their licence there.
        if text and len(text) < 60:
            return _as_expression(text)
    marks = [item for item in entries.get_all("Classifier") or [] if item.startswith("License ::")]
    return _as_expression(marks[0].rpartition(":: ")[2]) if marks else ""


def _as_expression(text: str) -> str:
    return "Apache-2.0" if "apache" in text.lower() else text
