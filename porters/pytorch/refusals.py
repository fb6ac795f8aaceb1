"""What no translator can see from its arguments and would get wrong (strides, some sizes), and what has no answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from porters.porter import Unsupported
from porters.pytorch import registry
from porters.pytorch.registry import Context, Dim
from zoo.errors import UserError

if TYPE_CHECKING:
    import torch

# A size that stands for every large one where the sign of an expression is asked for.
LARGE_SIZE = 1_000_003


def refuse(node: torch.fx.Node, context: Context, arguments: Iterable[Any]) -> None:
    """Refuse what no translator can see from its arguments.

    Raises:
        NotImplementedError: Saying what it is.
    """
    if str(node.target).startswith("aten.as_strided"):
        context.memory_order = _memory_order(node.args[0].meta["val"])
    sizes = [size for result in context.results if result is not None for size in result[1]]
    for size in [*sizes, *arguments]:
        if isinstance(size, Dim) and _divides_negative(size.expression):
            raise NotImplementedError("a size that divides a negative number")


def refuse_draws(ops: Iterable[Unsupported]) -> None:
    """Refuse a model that draws random numbers: it gives another answer in every call, and a port has none to match.

    Raises:
        UserError: With every operator that draws, and where it stands.
    """
    drawing = [item for item in ops if _draws(item.op)]
    if not drawing:
        return
    lines = dict.fromkeys(f"{item.op}  in {item.module or 'the model'}  at {item.line}" for item in drawing)
    raise UserError(
        "the model draws random numbers in its forward: it answers differently in every call",
        got="\n    ".join(["", *lines]),
        hint="a static graph has no generator: make the drawn numbers an input of the model",
    )


def _draws(target: str) -> bool:
    """Say whether an operator that was not translated takes numbers from torch's generator.

    torch marks an LSTM, too, which draws in training only; dropout is refused nowhere else.
    """
    import torch

    parts = target.split(".")
    if len(parts) != 3 or (registry.find(target) is not None and "dropout" not in target):
        return False
    operator = getattr(getattr(getattr(torch.ops, parts[0]), parts[1], None), parts[2], None)
    return torch.Tag.nondeterministic_seeded in getattr(operator, "tags", ())


def _memory_order(fake: Any) -> list[int] | None:
    """Return the order of axes in which a tensor lies in memory without gaps; None where that is their own."""
    if fake.storage_offset() != 0:
        raise NotImplementedError("as_strided on a view into a tensor")
    if fake.is_contiguous():
        return None
    sizes, strides = list(fake.shape), list(fake.stride())
    if not all(type(number) is int for number in [*sizes, *strides]):
        raise NotImplementedError("as_strided on a view of symbolic size")
    order = sorted(range(len(sizes)), key=lambda axis: (sizes[axis] != 1, -strides[axis]))
    expected = 1
    for axis in reversed(order):
        if sizes[axis] != 1 and strides[axis] != expected:
            raise NotImplementedError("as_strided on a view that skips or repeats elements")
        expected *= sizes[axis]
    if fake.untyped_storage().nbytes() != expected * fake.element_size():
        raise NotImplementedError("as_strided on a view of a part of a tensor")
    return order


def _divides_negative(expression: Any) -> bool:
    """Say whether a size rounds a negative quotient down (``-(-n // 2)``), where ONNX rounds towards zero."""
    if type(expression).__name__ in ("FloorDiv", "CleanDiv"):
        # Sizes so large that no constant of a model outweighs them: ``n - 3`` is a size there, ``-n`` is not.
        large = dict.fromkeys(expression.free_symbols, LARGE_SIZE)
        if expression.args[0].subs(large).is_negative:
            return True
    return any(_divides_negative(part) for part in expression.args)
