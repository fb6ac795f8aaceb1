"""Puts a mode around every call of a model, by hooks: the model itself is left as it was; and makes such modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def around_calls(model: torch.nn.Module, make: Callable[[torch.nn.Module], Any], *, outermost: bool) -> Iterator[None]:
    """Enter a new ``make(model)`` before each forward inside and leave it after it, whether it fails or not.

    Args:
        model: The model.
        make: Makes the mode, a context manager.
        outermost: Whether it is entered before the modes of hooks that are there already and left after them, or
            within them.
    """
    open_modes: list[Any] = []

    def enter(module: Any, args: Any, kwargs: Any) -> None:
        mode = make(module)
        mode.__enter__()
        open_modes.append(mode)

    def leave(module: Any, args: Any, result: Any) -> None:
        open_modes.pop().__exit__(None, None, None)

    handles = [
        model.register_forward_pre_hook(enter, with_kwargs=True, prepend=outermost),
        model.register_forward_hook(leave, always_call=True, prepend=not outermost),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        while open_modes:
            open_modes.pop().__exit__(None, None, None)


def intercepting(handle: Callable[[Any, Any, dict[str, Any]], Any]) -> Any:
    """Return a mode in which every call of a function of torch's becomes ``handle(function, args, kwargs)``.

    What ``handle`` calls itself is not intercepted. It stands two frames above the code that made the call.
    """
    from torch.overrides import TorchFunctionMode

    class Intercepting(TorchFunctionMode):  # type: ignore[misc]  # torch is untyped here
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return handle(func, args, kwargs or {})

    return Intercepting()
