"""What a porting fault is, and the list of all of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

Inject = Callable[[ir.Graph, ir.Node], "Sequence[ir.Node] | None"]


@dataclass(frozen=True)
class Fault:
    """One kind of porting mistake.

    Attributes:
        name: Its name in tables.
        mistake: What somebody got wrong, in words.
        ops: The operators it is made at; every one where there are none.
        inject: Changes the graph at a node; returns the nodes that are wrong afterwards, where that is not the node
            alone. Raises :class:`NotHereError` before anything is changed.
    """

    name: str
    mistake: str
    ops: frozenset[str]
    inject: Inject


# Which known mistakes a fault looks like, where that is not the mistake of its own name.
_LOOKS_LIKE = {
    "padding-same": {"padding"}, "padding-shifted": {"padding"}, "resize-nearest": {"resize-mode"},
    "softmax-axis": {"axis"}, "queries-for-keys": {"queries-keys-values"}, "keys-for-values": {"queries-keys-values"},
    "similar-activation": {"activation"}, "activation-lost": {"activation"}, "half-overflow": {"half-precision"},
    "coarse-quantisation": {"half-precision"}, "one-per-cent": {"weight-scaled"}, "scale-lost": {"upstream-tensor"},
    "channel-zeroed": {"upstream-tensor"}, "layers-swapped": {"upstream-tensor"},
    "stale-statistics": {"upstream-tensors"},
    "chunks-reordered": {"chunks-reordered", "another-operand"}, "recurrent-bias": {"factor-too-many"},
    "input-frozen": {"factor-too-many"},
    "added-bias-lost": {"upstream-tensor", "bias-lost"}, "bias-lost": {"bias-lost", "upstream-tensor"},
}  # fmt: skip


def looks_like(fault: str) -> set[str]:
    """Return the names of the known mistakes that a checker may take a fault for."""
    return _LOOKS_LIKE.get(fault, {fault})


_FAULTS: dict[str, Fault] = {}
_MODULES = ("attributes", "numerics", "recurrent", "weights", "wiring")


def fault(mistake: str, *ops: str) -> Callable[[Inject], Inject]:
    """Register a function as the fault of its own name, made at nodes of the types ``ops``."""

    def register(inject: Inject) -> Inject:
        name = inject.__name__.strip("_").replace("_", "-")
        _FAULTS[name] = Fault(name, mistake, frozenset(ops), inject)
        return inject

    return register


def all_faults() -> dict[str, Fault]:
    """Return every fault by name."""
    for name in _MODULES:
        importlib.import_module(f"parity.selftest.faults.{name}")
    return dict(sorted(_FAULTS.items()))
