"""Decomposes one operator that has no translator of its own, and only that one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def decompose(node: torch.fx.Node) -> torch.fx.GraphModule | None:
    """Return the operator as a graph of simpler ones, its placeholders in the order of the node's tensor arguments.

    Torch's own decomposition is used: that of its table, or the composite kernel. ``None`` where there is neither.
    """
    import torch
    from torch._decomp import core_aten_decompositions
    from torch.fx.experimental.proxy_tensor import make_fx

    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return None
    table = core_aten_decompositions()
    composite = target._can_decompose()
    if target not in table and not composite:
        return None
    fakes = [item.meta["val"] for item in node.all_input_nodes if hasattr(item.meta.get("val"), "dtype")]
    mode = next((fake.fake_mode for fake in fakes if hasattr(fake, "fake_mode")), None)
    if mode is None:
        return None
    flat: list[Any] = []
    _collect(node.args, flat)
    _collect(node.kwargs, flat)

    def call(*tensors: Any) -> Any:
        pending = iter(tensors)
        args = _refill(node.args, pending)
        kwargs = _refill(node.kwargs, pending)
        return target(*args, **kwargs)

    try:
        with mode, torch.no_grad():
            graph = make_fx(call, decomposition_table={target: table[target]} if target in table else {})(*flat)
    except Exception:
        return None
    if any(step.target is target for step in graph.graph.nodes):
        return None
    for step in graph.graph.nodes:
        step.meta.setdefault("nn_module_stack", node.meta.get("nn_module_stack"))
        step.meta["stack_trace"] = node.meta.get("stack_trace")
    return graph


def _collect(item: Any, into: list[Any]) -> None:
    if isinstance(item, (list, tuple)):
        for part in item:
            _collect(part, into)
    elif isinstance(item, dict):
        for part in item.values():
            _collect(part, into)
    elif hasattr(item, "meta") and hasattr(item, "op"):
        into.append(item.meta["val"])


def _refill(item: Any, pending: Any) -> Any:
    if isinstance(item, (list, tuple)):
        return (
            type(item)(_refill(part, pending) for part in item)
            if type(item) in (list, tuple)
            else [_refill(part, pending) for part in item]
        )
    if isinstance(item, dict):
        return {key: _refill(part, pending) for key, part in item.items()}
    return next(pending) if hasattr(item, "meta") and hasattr(item, "op") else item
