"""Masks that a model cannot do without and decides shapes by: all ones where a call leaves them out."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from porters.pytorch.hub.call import Call, run_call
from porters.pytorch.hub.documented import required
from zoo.inputs import InputSpec


class Whole:
    """A forward pre-hook that adds masks of ones, for as many samples as a call has; those of the caller win."""

    def __init__(self, names: Sequence[str], specs: Sequence[InputSpec]) -> None:
        self.masks = [spec for spec in specs if spec.name in names]
        self.batched = [spec.name for spec in specs if spec.shape[:1] == ("batch",)]

    def __call__(self, module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Return the arguments of a call with the masks that it leaves out among them."""
        import torch

        batch = next((kwargs[name].shape[0] for name in self.batched if kwargs.get(name) is not None), 1)
        ones = {
            spec.name: torch.ones([batch if dim == "batch" else dim for dim in spec.shape], dtype=_dtype(spec))
            for spec in self.masks
            if kwargs.get(spec.name) is None
        }
        return args, {**kwargs, **ones}


def needed(model: Any, call: Call) -> list[str]:
    """Return the masks of a call without which the model does not run and whose sizes, but the batch, are fixed."""
    demanded = required(inspect.signature(model.forward).parameters)
    found = []
    for spec in call.inputs:
        if spec.kind == "mask" and all(isinstance(dim, int) or dim == "batch" for dim in spec.shape):
            others = [other for other in call.inputs if other is not spec]
            if spec.name in demanded or not _runs(model, Call(others, call.constants)):
                found.append(spec.name)
    return found


def _runs(model: Any, call: Call) -> bool:
    try:
        run_call(model, call, {"batch": 1})
    except Exception:
        return False
    return True


def _dtype(spec: InputSpec) -> Any:
    import torch

    return getattr(torch, spec.dtype)
