"""Decides which operators run as one kernel: a cube or vector operator and the elementwise operators behind it."""

from __future__ import annotations

from typing import Final

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult, PostconditionError

from zoo.ascend.operators import ELEMENTWISE, FUSES, KERNEL, NO_KERNEL, ROUNDING, is_view, operator_of

# A longer chain would not fit the Unified Buffer with its operands beside each other.
_LONGEST: Final = 16


class FusePass(InPlacePass):
    """Give every node that needs a kernel the number of its kernel.

    A kernel is one operator (its root) and what can follow it in the Unified Buffer without going back to memory:
    elementwise operators of the same shape whose other operands are ready by then. That covers convolution or matrix
    product with bias, activation and residual (GE's UB fusions conv+bn+relu+eltwise and matmul+eltwise), and chains of
    elementwise operators. Nothing is recomputed: a value that something else reads ends the kernel.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Number kernels in the order of their last node."""
        order = {node: index for index, node in enumerate(model.graph)}
        taken: set[ir.Node] = set()
        kernels = []
        for node in model.graph:
            if node in taken or not needs_kernel(node):
                continue
            group = _grow(node, taken, order)
            taken.update(group)
            kernels.append(group)
        for number, group in enumerate(sorted(kernels, key=lambda nodes: max(order[node] for node in nodes))):
            for node in group:
                node.metadata_props[KERNEL] = str(number)
        return PassResult(model, modified=True)

    def ensures(self, model: ir.Model) -> None:
        """Every node that needs a kernel has one."""
        left = [node.name for node in model.graph if needs_kernel(node) and KERNEL not in node.metadata_props]
        if left:
            raise PostconditionError(f"nodes without a kernel: {left[:5]}")


def needs_kernel(node: ir.Node) -> bool:
    """Say whether anything has to run on the chip for ``node``: not for constants and new views of a tensor."""
    if operator_of(node) in (*NO_KERNEL, ROUNDING) or is_view(node):
        return False
    given = [value for value in node.inputs if value is not None]
    return not given or any(value.is_graph_input() or value.const_value is None for value in given)


def _grow(root: ir.Node, taken: set[ir.Node], order: dict[ir.Node, int]) -> list[ir.Node]:
    """Return ``root`` and the elementwise nodes that run with it, in order."""
    group, pending = [root], list[ir.Node]()
    if operator_of(root) not in FUSES:
        return group
    while len(group) + len(pending) < _LONGEST:
        inside = {*group, *pending}
        users = (use.node for value in _leaving(inside) for use in value.uses())
        joining = next((user for user in users if user not in taken and _joins(user, inside, order)), None)
        if joining is None:
            break
        pending.append(joining)
        if len(_leaving({*group, *pending})) == 1:
            group, pending = [*group, *pending], []
    return group


def _leaving(inside: set[ir.Node]) -> list[ir.Value]:
    """Return the values that the nodes ``inside`` hand on."""
    return [
        value
        for node in inside
        for value in node.outputs
        if value.is_graph_output() or any(use.node not in inside for use in value.uses())
    ]


def _joins(node: ir.Node, inside: set[ir.Node], order: dict[ir.Node, int]) -> bool:
    """Say whether ``node`` works element by element on what ``inside`` makes, and all else it reads is ready."""
    if node in inside or operator_of(node) not in ELEMENTWISE or len(node.outputs) != 1 or node not in order:
        return False
    shape = node.outputs[0].shape
    mine = [value for value in node.inputs if value is not None and value.producer() in inside]
    if shape is None or any(value.shape is None or list(value.shape) != list(shape) for value in mine):
        return False
    others = [value for value in node.inputs if value is not None and value.producer() not in inside]
    return not any(_depends(value, inside, order) for value in others)


def _depends(value: ir.Value, inside: set[ir.Node], order: dict[ir.Node, int]) -> bool:
    """Say whether ``value`` is computed from what the nodes ``inside`` make."""
    first = min(order[node] for node in inside)
    waiting, seen = [value.producer()], set[ir.Node]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node in inside:
            return True
        seen.add(node)
        # What comes before the group in topological order cannot depend on it.
        if order.get(node, first) > first:
            waiting += [read.producer() for read in node.inputs if read is not None]
    return False
