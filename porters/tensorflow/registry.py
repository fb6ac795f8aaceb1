"""Which function translates which TensorFlow operation, and which recognise a composite."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from porters.tensorflow.node import Edge, Node
from porters.tensorflow.tensor import Tensor

if TYPE_CHECKING:
    pass

Result: TypeAlias = Tensor | Sequence[Tensor]
# (context, node, one tensor for each input) -> one tensor for each output.
Translator: TypeAlias = Callable[..., Result]
Function = TypeVar("Function", bound=Callable[..., Any])

# Folders whose every module registers something when it is loaded.
FOLDERS = ("porters.tensorflow.ops", "porters.tensorflow.composites")

TRANSLATORS: dict[str, Translator] = {}
RECOGNIZERS: dict[str, list[Callable[[Node], Match | None]]] = {}


class Untranslatable(Exception):  # noqa: N818 - a verdict about the user's graph, collected, never shown as a failure
    """This use of an operation has no translation; the message says what about it."""


class Unfinished(Exception):  # noqa: N818 - as above
    """A body holds something that has no translation, which has been noted."""


@dataclass(frozen=True)
class Match:
    """A composite found in the graph.

    Attributes:
        inputs: What the composite reads.
        emit: Called with the context and one tensor for each input; returns the root's output.
    """

    inputs: Sequence[Edge]
    emit: Callable[..., Tensor]


def translates(*ops: str) -> Callable[[Function], Function]:
    """Register the decorated function as the translator of ``ops``."""

    def register(function: Function) -> Function:
        TRANSLATORS.update(dict.fromkeys(ops, function))
        return function

    return register


def recognizes(*roots: str) -> Callable[[Function], Function]:
    """Register the decorated function, which finds a composite by its last operation (one of ``roots``)."""

    def register(function: Function) -> Function:
        for root in roots:
            RECOGNIZERS.setdefault(root, []).append(function)
        return function

    return register


@functools.cache
def load() -> None:
    """Import every module that registers something."""
    for folder in FOLDERS:
        for module in pkgutil.iter_modules(importlib.import_module(folder).__path__):
            importlib.import_module(f"{folder}.{module.name}")


def match(node: Node) -> Match | None:
    """Return the composite that ends in ``node``, if there is one."""
    for recognizer in RECOGNIZERS.get(node.op, ()):
        found = recognizer(node)
        if found is not None:
            return found
    return None
