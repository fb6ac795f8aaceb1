"""What no translator can see from its arguments and would get wrong: strides, some sizes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from porters.pytorch.registry import Context, Dim

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
