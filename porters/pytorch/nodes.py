"""What the nodes of an exported graph and their arguments say about themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Operators that say something to torch and nothing to a graph.
SILENT = frozenset(
    {
        "aten._assert_tensor_metadata.default",
        "aten._assert_async.msg",
        "aten._assert_scalar.default",
        "aten.sym_constrain_range.default",
        "aten.sym_constrain_range_for_size.default",
        "aten._assert_async.default",
        # Raises where a factorization failed; a graph cannot, its results are infinite or NaN there.
        "aten._linalg_check_errors.default",
    }
)


def is_node(item: Any) -> bool:
    """Say whether ``item`` is a node of the exported graph."""
    return hasattr(item, "meta") and hasattr(item, "op") and hasattr(item, "users")


def target_name(target: Any) -> str:
    """Return ``namespace.name.overload`` of an operator, or the name of a Python function."""
    import torch

    if isinstance(target, torch._ops.OpOverload):
        return str(target)
    if isinstance(target, torch._ops.HigherOrderOperator):
        return f"higher_order.{target.name()}"
    return f"python.{getattr(target, '__name__', target)}"


def attribute(node: torch.fx.Node) -> Any:
    """Return what a ``get_attr`` node refers to."""
    owner: Any = node.graph.owning_module
    for part in str(node.target).split("."):
        owner = getattr(owner, part)
    return owner


def is_symbolic_number(item: Any) -> bool:
    """Say whether ``item`` is one of torch's symbolic numbers."""
    import torch

    return isinstance(item, (torch.SymInt, torch.SymFloat, torch.SymBool))


def is_factory(target: Any) -> bool:
    """Say whether an operator makes tensors out of none."""
    return all("Tensor" not in str(argument.type) for argument in target._schema.arguments)


def bytes_of(fake: Any) -> int:
    """Return the size of a node's results; a symbolic dimension counts as endless."""
    fakes = fake if isinstance(fake, (tuple, list)) else [fake]
    total = 0
    for item in fakes:
        if hasattr(item, "dtype"):
            count = 1
            for dim in item.shape:
                count *= dim if isinstance(dim, int) else 1 << 40
            total += count * item.dtype.itemsize
    return total


def empty_results(fake: Any) -> Any:
    """Return a node's results where none of them has any element, ``None`` elsewhere."""
    import torch

    if isinstance(fake, (tuple, list)):
        parts = [empty_results(item) for item in fake]
        return tuple(parts) if parts and all(part is not None for part in parts) else None
    if not isinstance(fake, torch.Tensor) or not all(isinstance(size, int) for size in fake.shape):
        return None
    return torch.empty(list(fake.shape), dtype=fake.dtype) if 0 in fake.shape else None


def on_cpu(arguments: Any) -> Any:
    """Return arguments with every device replaced by the CPU."""
    import torch

    return map_parts(arguments, lambda item: torch.device("cpu") if isinstance(item, torch.device) else item)


def map_parts(item: Any, function: Any) -> Any:
    """Return lists, tuples and mappings with ``function`` applied to every leaf."""
    if isinstance(item, (list, tuple)):
        return (
            type(item)(map_parts(part, function) for part in item)
            if type(item) in (list, tuple)
            else [map_parts(part, function) for part in item]
        )
    if isinstance(item, dict):
        return {key: map_parts(part, function) for key, part in item.items()}
    return function(item)


def flatten(item: Any) -> Any:
    """Yield the leaves of lists, tuples and mappings."""
    if isinstance(item, (list, tuple)):
        for part in item:
            yield from flatten(part)
    elif isinstance(item, dict):
        for part in item.values():
            yield from flatten(part)
    else:
        yield item
