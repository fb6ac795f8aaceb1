"""Torch's OpInfo samples as modules: every tensor of a sample is an input, the rest is part of the module."""

from __future__ import annotations

import sys
import types
import unittest
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

# What these return is memory as it was found.
UNINITIALISED = ("empty", "new_empty")
WIDE = {torch.float32: torch.float64, torch.complex64: torch.complex128}


def entries() -> dict[str, Any]:
    """Return the entries of ``op_db`` that take float32, by name and variant."""
    try:
        import expecttest  # noqa: F401
    except ImportError:
        # The database's module derives a test class from it; the samples do not need it.
        stub = types.ModuleType("expecttest")
        stub.TestCase = unittest.TestCase  # type: ignore[attr-defined]
        sys.modules["expecttest"] = stub
    from torch.testing._internal.common_methods_invocations import op_db

    found: dict[str, Any] = {}
    for op in op_db:
        if torch.float32 in op.supported_dtypes("cpu"):
            found[f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name] = op
    return found


@dataclass
class Call:
    """One call of an operator: its tensors, and the rest of its arguments with holes where the tensors go."""

    function: Any
    tensors: list[torch.Tensor]
    leaves: list[Any]
    tree: Any

    def __call__(self, tensors: Sequence[torch.Tensor], wide: bool = False) -> list[Any]:
        """Run the operator on ``tensors`` and return the leaves of its result.

        Args:
            tensors: In the order of ``self.tensors``.
            wide: Ask for float64 where the arguments ask for float32.
        """
        pending = iter(tensors)
        leaves = [next(pending) if leaf is _HOLE else _widened(leaf) if wide else leaf for leaf in self.leaves]
        args, kwargs = pytree.tree_unflatten(leaves, self.tree)
        return list(pytree.tree_leaves(self.function(*args, **kwargs)))


def _widened(leaf: Any) -> Any:
    return WIDE.get(leaf, leaf) if isinstance(leaf, torch.dtype) else leaf


class _Hole:
    """Stands where a tensor goes."""


_HOLE = _Hole()


class Subject(torch.nn.Module):
    """A call as a module; integer tensors can be held constant where export cannot do without their values."""

    def __init__(self, call: Call, fixed: Sequence[int] = ()) -> None:
        super().__init__()
        self.call = call
        self.fixed = list(fixed)

    def forward(self, *given: torch.Tensor) -> Any:
        """Return the tensors of the operator's result."""
        pending = iter(given)
        tensors = [
            tensor.clone() if position in self.fixed else next(pending)
            for position, tensor in enumerate(self.call.tensors)
        ]
        return [leaf for leaf in self.call(tensors) if isinstance(leaf, torch.Tensor)]


def calls(op: Any, most: int, seed: int) -> list[Call]:
    """Return at most ``most`` of an entry's float32 samples, spread evenly over all of them."""
    torch.manual_seed(seed)
    samples = list(op.sample_inputs("cpu", torch.float32, requires_grad=False))
    if len(samples) > most:
        samples = [samples[round(i * (len(samples) - 1) / (most - 1))] for i in range(most)]
    return [_call(op, sample) for sample in samples]


def _call(op: Any, sample: Any) -> Call:
    leaves, tree = pytree.tree_flatten(((sample.input, *sample.args), dict(sample.kwargs)))
    # A graph's input has no strides.
    tensors = [leaf.detach().clone(memory_format=torch.contiguous_format) for leaf in leaves if _is_tensor(leaf)]
    return Call(_invariant(op, sample), tensors, [_HOLE if _is_tensor(leaf) else leaf for leaf in leaves], tree)


def _invariant(op: Any, sample: Any) -> Any:
    """Return the operator; where its vectors are determined up to a sign only, what torch's own tests compare of it."""
    name = op.name.removeprefix("linalg.")
    if name not in ("svd", "eigh", "eig"):
        return op.op
    return lambda *args, **kwargs: sample.output_process_fn_grad(op.op(*args, **kwargs))


def _is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor)


def why_no_meaning(name: str, call: Call) -> str | None:
    """Say why a sample means nothing to a graph: results that are random, uninitialised, sparse or no tensors."""
    if name.split(".")[0].startswith(UNINITIALISED):
        return "returns uninitialised memory"
    if any(tensor.layout != torch.strided for tensor in call.tensors):
        return "sparse arguments"
    runs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        try:
            runs.append(call([tensor.clone() for tensor in call.tensors]))
        except Exception as error:
            return f"eager refuses contiguous arguments: {type(error).__name__}"
    tensors = [leaf for leaf in runs[0] if _is_tensor(leaf)]
    if not tensors:
        return "returns no tensor"
    if any(tensor.layout != torch.strided for tensor in tensors):
        return "returns a sparse or nested tensor"
    pairs = zip(*([array(tensor) for tensor in run if _is_tensor(tensor)] for run in runs), strict=True)
    same = all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs)
    return None if same else "random"


def array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array; complex numbers as trailing pairs, bfloat16 as float32."""
    plain = tensor.detach().resolve_conj().resolve_neg()
    if plain.dtype == torch.complex32:
        plain = plain.to(torch.complex64)
    if plain.is_complex():
        plain = torch.view_as_real(plain)
    result: np.ndarray = (plain.float() if plain.dtype == torch.bfloat16 else plain).contiguous().numpy()
    return result
