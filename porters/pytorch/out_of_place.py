"""Rewrites in-place operators of an exported graph to work on copies, so that every result stays what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from porters.pytorch.aliases import is_view, written_argument

if TYPE_CHECKING:
    import torch


def out_of_place(module: torch.fx.GraphModule) -> torch.fx.GraphModule | None:
    """Return the graph with the same names and no write to anything that is read as it was before or seen by others.

    Writes to parts of a tensor, and to one whose views are read afterwards, need more than a copy: ``None``.
    """
    import torch

    graph = torch.fx.Graph()
    copied: dict[torch.fx.Node, torch.fx.Node] = {}
    graph.output(graph.graph_copy(module.graph, copied))
    for source, node in copied.items():
        node.meta = dict(source.meta)
        node.name = source.name  # copying renames an input that is called as a Python function is: `input`
    order = {node: place for place, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        written = written_argument(node) if node.op == "call_function" else None
        if written is None:
            continue
        if not _alone(written, node, order):
            return None
        after = [user for user in written.users if order[user] > order[node]]
        with graph.inserting_before(node):
            copy = graph.call_function(torch.ops.aten.clone.default, (written,))
        order[copy] = order[node]
        node.replace_input_with(written, copy)
        for user in after:
            user.replace_input_with(written, node)
    return torch.fx.GraphModule(module, graph)


def _alone(written: torch.fx.Node, by: torch.fx.Node, order: dict[torch.fx.Node, int]) -> bool:
    """Say whether nothing is read after ``by`` that shares memory with what it writes to, but that itself."""
    root = written
    while root.op == "call_function" and is_view(root):
        root = root.args[0]
        if any(order[user] > order[by] for user in root.users):
            return False
    pending = [root]
    while pending:
        for user in pending.pop().users:
            if user is by or user.op != "call_function" or not is_view(user):
                continue
            if user is not written and any(order[reader] > order[by] for reader in user.users):
                return False
            pending.append(user)
    return True
