"""What a correction of a known porting mistake is, and the list of all of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

# Changes a fresh copy of the layer at the node.
Change = Callable[[ir.Graph, ir.Node], object]
# What was right instead, in words, and the change that makes it so.
Attempt = tuple[str, Change]


@dataclass(frozen=True)
class Around:
    """What is known of a wrong layer beside its graph.

    Attributes:
        upstream: The tensor that upstream has, by the name of the layer's weight; only where the port has another one.
        parameters: Upstream's parameters of the layer's module, by the last part of their names (``bias``).
        results: What the original has at this point, by handle.
        shape: Shape of the layer's result.
    """

    upstream: Mapping[str, np.ndarray] = field(default_factory=dict)
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    results: Mapping[str, np.ndarray] = field(default_factory=dict)
    shape: tuple[int, ...] = ()

    def alike(self) -> list[tuple[str, np.ndarray]]:
        """Return the floating-point results of the layer's own shape, with their handles."""
        return [
            (handle, array)
            for handle, array in self.results.items()
            if array.dtype.kind == "f" and array.shape == self.shape
        ]


Attempts = Callable[[ir.Node, Around], Iterator[Attempt]]


@dataclass(frozen=True)
class Correction:
    """One kind of mistake and how it is undone.

    Attributes:
        name: The mistake's name; that of the fault that ``zooport selftest`` makes of it, where there is one.
        mistake: What somebody got wrong, in words.
        ops: The operators at which it is made; every one where there are none.
        attempts: What may be right instead, the likeliest first. Raises ``NotHereError`` where nothing is.
    """

    name: str
    mistake: str
    ops: frozenset[str]
    attempts: Attempts


_CORRECTIONS: dict[str, Correction] = {}
# In this order a mistake is looked for: what is most particular first, so that a transposed matrix is not called
# "another tensor than upstream's".
_MODULES = ("attributes", "wiring", "recurrent", "numerics", "weights")


def correction(mistake: str, *ops: str) -> Callable[[Attempts], Attempts]:
    """Register a function as the correction of its own name, tried at nodes of the types ``ops``."""

    def register(attempts: Attempts) -> Attempts:
        name = attempts.__name__.strip("_").replace("_", "-")
        _CORRECTIONS[name] = Correction(name, mistake, frozenset(ops), attempts)
        return attempts

    return register


def all_corrections() -> list[Correction]:
    """Return every correction in the order in which they are tried."""
    for name in _MODULES:
        importlib.import_module(f"parity.corrections.{name}")
    return list(_CORRECTIONS.values())
