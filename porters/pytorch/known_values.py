"""Values that torch.export need not know but can: constants and buffers, followed through the model's own Python code.

Models read sizes of images, grids and windows out of tensors that are the same in every call (``grid.tolist()``,
``if mask_probability == 1``). torch.export sees only shapes and dtypes and stops there. Beside each traced tensor that
comes from constants, buffers and fixed sizes alone, its value is kept here, and what the code asks of it is answered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from porters.pytorch.around_calls import around_calls, intercepting
from porters.pytorch.nodes import is_symbolic_number

if TYPE_CHECKING:
    import torch

# Larger tensors are not followed: shapes are decided by small ones.
LARGEST = 1 << 16
# Their results differ from call to call, or are not defined.
_UNKNOWABLE = re.compile(
    r"rand|dropout|bernoulli|multinomial|normal|uniform|exponential|cauchy|geometric|empty|poisson"
)
_FACTORIES = frozenset({"arange", "zeros", "ones", "full", "tensor", "as_tensor", "linspace", "eye", "scalar_tensor"})
# Their results depend on the shape and the dtype of their first argument alone, not on its values.
_LIKE = frozenset({"new_zeros", "new_ones", "new_full", "new_tensor", "zeros_like", "ones_like", "full_like"})
# The shapes of their results depend on values.
_SHAPED_BY_VALUES = frozenset(
    {
        "nonzero", "where", "masked_select", "unique", "unique_consecutive", "repeat_interleave", "argwhere",
        "bincount", "__getitem__", "_unique2", "_unique_impl", "_consecutive_impl", "boolean_dispatch",
    }
)  # fmt: skip
# They take the values out of the tensors in a list, which traced ones have not.
_READS_ELEMENTS = frozenset({"tensor", "as_tensor"})
# Their arguments after the first are sizes and places; a known tensor of one integer among them is that integer.
_TAKES_SIZES = frozenset(
    {
        "interpolate", "upsample", "view", "reshape", "repeat", "expand", "split", "narrow", "pad", "tile", "unflatten",
        "roll", "new_zeros", "new_ones", "new_full", "tensor_split", "chunk", "unfold", "adaptive_avg_pool2d",
        "adaptive_avg_pool1d", "select", "zeros", "ones", "full", "arange",
    }
)  # fmt: skip


@contextmanager
def known_values(model: torch.nn.Module) -> Iterator[None]:
    """Follow known values through every call of ``model`` inside; the model itself is left as it was."""

    def small(tensor: torch.Tensor) -> bool:
        return tensor.numel() <= LARGEST and not tensor.is_meta

    values = {name: item.detach().clone() for name, item in model.named_buffers() if small(item)}

    def mode_of(module: torch.nn.Module) -> Any:
        known = _Knowledge()
        for name, buffer in module.named_buffers():
            if name in values:
                known.know_copy(buffer, values[name])
        return intercepting(known.call)

    with around_calls(model, mode_of, outermost=True):
        yield


class _Knowledge:
    """What is known of the tensors of one call, and the answers that the model's code gets for it."""

    def __init__(self) -> None:
        from torch.utils.weak import WeakIdKeyDictionary

        self._values: Any = WeakIdKeyDictionary()
        # Memory that something unknown was written to; held, so that no other tensor gets its address.
        self._spoiled: dict[int, Any] = {}

    def know(self, traced: Any, value: Any) -> None:
        """Keep the value of a traced tensor."""
        self._values[traced] = value

    def know_copy(self, traced: Any, value: Any) -> None:
        """Keep a copy of a value, which nothing written to the original changes."""
        import torch

        with torch._C.DisableTorchFunction(), _no_modes():
            self.know(traced, value.clone())

    def value(self, item: Any) -> Any:
        """Return the value of a traced tensor, or None."""
        found = self._values.get(item)
        if found is None or found.untyped_storage()._cdata in self._spoiled:
            return None
        return found

    def spoil(self, items: Sequence[Any]) -> None:
        """Forget what is known of tensors and of all that share their memory."""
        for item in items:
            found = self._values.get(item)
            if found is not None:
                storage = found.untyped_storage()
                self._spoiled[storage._cdata] = storage

    def call(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call a function of torch's: with known values where they are enough, else traced."""
        import torch

        name = getattr(func, "__name__", "")
        tensors = [item for item in _flat((args, kwargs)) if isinstance(item, torch.Tensor)]
        if name in ("__get__", "__set__", "__len__", "size", "dim", "stride") and not _makes_tensor(func):
            return func(*args, **kwargs)
        if self._knowable(name, args, kwargs, tensors):
            return self._follow(func, name, args, kwargs, tensors)
        try:
            return self._trace(func, name, args, kwargs)
        finally:
            if _writes(func, name, kwargs):
                # What stands in an index is only read; elsewhere it is not always the first that is written.
                self.spoil(args[:1] if name == "__setitem__" else tensors)

    def _trace(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Call a function of traced tensors, with the sizes that are known as integers."""
        if name in _TAKES_SIZES:
            first = 0 if name in _FACTORIES else 1
            args = (*args[:first], *_map(args[first:], self._number))
            kwargs = _map(kwargs, self._number)
        elif name in ("__getitem__", "__setitem__"):
            index = tuple(map(self._ends, args[1])) if isinstance(args[1], tuple) else self._ends(args[1])
            args = (args[0], index, *args[2:])
        return func(*args, **kwargs)

    def _knowable(self, name: str, args: Any, kwargs: Any, tensors: Sequence[Any]) -> bool:
        if _UNKNOWABLE.search(name) or any(is_symbolic_number(item) for item in _flat((args, kwargs))):
            return False
        if not tensors:
            return name in _FACTORIES
        if name in _LIKE and args and tensors[0] is args[0] and _stand_in(name, args[0]) is not None:
            tensors = tensors[1:]
        return all(self.value(item) is not None for item in tensors)

    def _follow(self, func: Any, name: str, args: Any, kwargs: Any, tensors: Sequence[Any]) -> Any:
        import torch

        try:
            with torch._C.DisableTorchFunction(), _no_modes(), torch.no_grad():
                first = _stand_in(name, args[0]) if name in _LIKE else None
                real = _map(args, self._real) if first is None else (first, *_map(args[1:], self._real))
                value = func(*real, **_map(kwargs, self._real))
        except Exception:
            # Nothing is known of the result, which may share memory with its arguments.
            self.spoil(tensors)
            return self._trace(func, name, args, kwargs)
        made = list(_flat(value))
        if not any(isinstance(item, torch.Tensor) for item in made):
            return value if tensors else self._trace(func, name, args, kwargs)
        if any(isinstance(item, torch.Tensor) and item.numel() > LARGEST for item in made):
            self.spoil(tensors if _shares(made, map(self.value, tensors)) else ())
            return self._trace(func, name, args, kwargs)
        reads = name in _SHAPED_BY_VALUES or (bool(tensors) and name in _READS_ELEMENTS)
        if reads and not _shares(made, map(self.value, tensors)):
            return _map(value, self._constant)
        result = self._trace(func, name, args, kwargs)
        self._remember(result, value)
        return result

    def _real(self, item: Any) -> Any:
        import torch

        if isinstance(item, torch.device):
            return torch.device("cpu")
        return self.value(item) if isinstance(item, torch.Tensor) else item

    def _ends(self, item: Any) -> Any:
        return _map(item, self._number) if isinstance(item, slice) else item

    def _number(self, item: Any) -> Any:
        """Return the integer that a known tensor holds; anything else as it is."""
        import torch

        value = self.value(item) if isinstance(item, torch.Tensor) else None
        if value is None or value.dim() or value.is_floating_point() or value.is_complex():
            return item
        return value.item()

    def _constant(self, value: Any) -> Any:
        """Return a value as a constant of the program."""
        import torch

        if not isinstance(value, torch.Tensor):
            return value
        with torch._C.DisableTorchFunction(), _no_modes():
            items = value.reshape(-1).tolist()
        traced = torch.tensor(items, dtype=value.dtype).reshape(value.shape)
        self.know_copy(traced, value)
        return traced

    def _remember(self, result: Any, value: Any) -> None:
        import torch

        for traced, known in zip(_flat(result), _flat(value), strict=False):
            if isinstance(traced, torch.Tensor) and isinstance(known, torch.Tensor):
                static = all(type(size) is int for size in traced.shape)
                if static and tuple(traced.shape) == tuple(known.shape) and traced.dtype == known.dtype:
                    self.know(traced, known)


def _stand_in(name: str, item: torch.Tensor) -> torch.Tensor | None:
    """Return a tensor for the first argument of one of ``_LIKE``; None where its shape is open or too large."""
    import torch

    if not name.endswith("_like"):
        return torch.empty(0, dtype=item.dtype)
    static = all(type(size) is int for size in item.shape)
    return torch.empty(tuple(item.shape), dtype=item.dtype) if static and item.numel() <= LARGEST else None


@contextmanager
def _no_modes() -> Iterator[None]:
    from torch.utils._python_dispatch import _disable_current_modes

    with _disable_current_modes():
        yield


def _makes_tensor(func: Any) -> bool:
    # Attributes that are views: x.T, x.mT, x.H, x.real, x.data.
    owner = getattr(getattr(func, "__self__", None), "__name__", "")
    return owner in ("T", "mT", "H", "mH", "real", "imag", "data")


def _writes(func: Any, name: str, kwargs: Mapping[str, Any]) -> bool:
    schema = getattr(func, "_schema", None)
    if schema is not None:
        return bool(schema.is_mutable)
    if name in ("__setitem__", "__set__") or kwargs.get("out") is not None or kwargs.get("inplace"):
        return True
    if name.startswith("__i") and name.endswith("__"):
        return name not in ("__int__", "__index__", "__invert__", "__iter__")
    return name.endswith("_") and not name.endswith("__")


def _shares(made: Sequence[Any], values: Any) -> bool:
    storages = {value.untyped_storage()._cdata for value in values if value is not None}
    return any(hasattr(item, "untyped_storage") and item.untyped_storage()._cdata in storages for item in made)


def _flat(item: Any) -> Iterator[Any]:
    if isinstance(item, (list, tuple)):
        for part in item:
            yield from _flat(part)
    elif isinstance(item, dict):
        for part in item.values():
            yield from _flat(part)
    elif isinstance(item, slice):
        yield from (item.start, item.stop, item.step)
    else:
        yield item


def _map(item: Any, function: Any) -> Any:
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*(_map(part, function) for part in item))
    if isinstance(item, (list, tuple)):
        kind = type(item) if type(item) in (list, tuple) else tuple
        return kind(_map(part, function) for part in item)
    if isinstance(item, dict):
        return {key: _map(part, function) for key, part in item.items()}
    if isinstance(item, slice):
        return slice(function(item.start), function(item.stop), function(item.step))
    return function(item)
