"""Decomposes one operator that has no translator of its own, and only that one."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def decompose(node: torch.fx.Node) -> torch.fx.GraphModule | None:
    """Return the operator as a graph of simpler ones, its placeholders in the order of the node's tensor arguments.

    Torch's own decomposition is used: that of its tables, or the composite kernel. ``None`` where there is neither, or
    where they hold for the example's sizes only.
    """
    import torch

    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return None
    ways = [_table()[target]] if target in _table() else []
    if _is_composite(target):
        ways.append(target)
    for way in ways:
        graph = _traced(node, way)
        if graph is None or any(step.target is target for step in graph.graph.nodes):
            continue
        for step in graph.graph.nodes:
            step.meta.setdefault("nn_module_stack", node.meta.get("nn_module_stack"))
            step.meta["stack_trace"] = node.meta.get("stack_trace")
        return graph
    return None


def _traced(node: torch.fx.Node, way: Callable[..., Any]) -> torch.fx.GraphModule | None:
    """Run ``way`` on the node's fake arguments and return what it did."""
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    fakes = [item.meta["val"] for item in node.all_input_nodes if hasattr(item.meta.get("val"), "dtype")]
    mode = next((fake.fake_mode for fake in fakes if hasattr(fake, "fake_mode")), None)
    if mode is None:
        return None
    flat: list[Any] = []
    _collect(node.args, flat)
    _collect(node.kwargs, flat)

    def call(*tensors: Any) -> Any:
        pending = iter(tensors)
        result = way(*_refill(node.args, pending), **_refill(node.kwargs, pending))
        return tuple(result) if isinstance(result, tuple) else result  # a named tuple would be one more call

    try:
        with mode, torch.no_grad(), _no_guards(mode.shape_env):
            graph: torch.fx.GraphModule = make_fx(call)(*flat)
    except Exception:
        return None
    # Sizes that the composite kernel looked at and torch has worked out since.
    graph.graph.eliminate_dead_code()
    return graph


@contextmanager
def _no_guards(shapes: Any) -> Iterator[None]:
    """Refuse guards: one would mean that the decomposition holds for the example's sizes only, and fix them for all."""
    if shapes is None:
        yield
        return
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    before, logger.disabled = logger.disabled, True
    try:
        with shapes.error_on_new_guards():
            yield
    finally:
        logger.disabled = before


def _is_composite(target: torch._ops.OpOverload) -> bool:
    try:
        return bool(target._can_decompose())
    except RuntimeError:  # an operator of TorchScript's, which the dispatcher does not know
        return False


@functools.cache
def _table() -> Mapping[Any, Callable[..., Any]]:
    """Return torch's decompositions; those meant for inference win over those of its reference implementations."""
    from torch._decomp import core_aten_decompositions, decomposition_table

    return {**decomposition_table, **core_aten_decompositions()}


def _collect(item: Any, into: list[Any]) -> None:
    if isinstance(item, (list, tuple)):
        for part in item:
            _collect(part, into)
    elif isinstance(item, dict):
        for part in item.values():
            _collect(part, into)
    elif hasattr(item, "meta") and hasattr(item, "op"):
        into.append(item.meta["val"])


def _refill(item: Any, pending: Iterator[Any]) -> Any:
    if isinstance(item, (list, tuple)):
        parts = [_refill(part, pending) for part in item]
        return tuple(parts) if type(item) is tuple else parts
    if isinstance(item, dict):
        return {key: _refill(part, pending) for key, part in item.items()}
    return next(pending) if hasattr(item, "meta") and hasattr(item, "op") else item
