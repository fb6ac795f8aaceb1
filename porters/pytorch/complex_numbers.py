"""Complex numbers: a real and an imaginary value inside the graph, trailing pairs where the graph begins and ends.

ONNX has complex dtypes and next to no operator that takes them. Operators that only move elements, and linear ones,
are translated once for each part by their ordinary translators; the others have translators of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from porters.pytorch import dtypes, registry
from porters.pytorch.nodes import flatten, map_parts
from porters.pytorch.ops.shared import known
from porters.pytorch.registry import Context
from porters.pytorch.writes import put_back

if TYPE_CHECKING:
    import torch

_PARTS = {ir.DataType.COMPLEX64: ir.DataType.FLOAT, ir.DataType.COMPLEX128: ir.DataType.DOUBLE}
# Operators that act on both parts alike. A real tensor among their values has no imaginary part; masks and indices
# belong to both.
_ALIKE = frozenset(
    {
        "clone", "detach", "alias", "contiguous", "lift_fresh_copy", "lift_fresh", "detach_copy", "lift", "view",
        "reshape", "_unsafe_view", "view_as", "reshape_as", "permute", "transpose", "t", "squeeze", "unsqueeze",
        "expand", "expand_as", "slice", "select", "narrow", "index", "gather", "index_select", "take_along_dim",
        "cat", "stack", "flip", "roll", "split", "split_with_sizes", "chunk", "tensor_split", "unbind",
        "constant_pad_nd", "pad", "repeat", "tile", "movedim", "flatten", "unflatten", "diagonal", "diagonal_copy",
        "tril", "triu", "where", "sum", "mean", "cumsum",
        "neg", "trace", "diag_embed", "unfold", "masked_fill", "fill", "full", "full_like", "new_full", "ones",
        "ones_like", "index_put", "masked_select", "numpy_T", "mT", "swapaxes", "moveaxis", "unsafe_chunk",
        "unsafe_split", "slice_scatter", "select_scatter", "diagonal_scatter", "squeeze_copy", "view_copy",
    }
)  # fmt: skip
# Among these a real integer tensor is a value as well, not an index.
_VALUES = frozenset({"cat", "stack", "slice_scatter", "select_scatter", "diagonal_scatter"})
# Where a number is a value of the result and not a size or an axis.
_NUMBERS = {"constant_pad_nd": 2, "pad": 3, "masked_fill": 2, "fill": 1, "full": 1, "full_like": 1, "new_full": 2}


@dataclass(frozen=True)
class ComplexValue:
    """A complex tensor of the source: two real values of one dtype and shape."""

    real: ir.Value
    imag: ir.Value


class ComplexContext(Context):
    """A context whose dtypes are those of one part.

    Attributes:
        is_complex: Whether the (first) result is complex.
    """

    def __init__(self, c: Context) -> None:
        super().__init__(c.g, c.symbols, [part_of(result) for result in c.results])
        self.is_complex = bool(c.results) and c.results[0] is not None and c.results[0][0] in _PARTS


class UntranslatedComplexError(Exception):
    """An operator on complex numbers has no translator of its own."""


def involved(arguments: Any, results: Sequence[Any]) -> bool:
    """Say whether an argument or a result is complex."""
    return any(isinstance(item, (ComplexValue, complex)) for item in flatten(arguments)) or any(
        result is not None and result[0] in _PARTS for result in results
    )


def translate(c: Context, target: str, args: Any, kwargs: Any) -> Any:
    """Translate an operator with complex arguments or results.

    Args:
        c: Its context; the dtypes of complex results are complex.
        target: ``namespace.name.overload``.
        args: Its arguments, emitted.
        kwargs: Its keyword arguments, emitted.

    Raises:
        UntranslatedComplexError: If there is no translator.
        NotImplementedError: From a translator that refuses.
    """
    inner = ComplexContext(c)
    own = registry.find_complex(target)
    if own is not None:
        return own(inner, *args, **kwargs)
    name = _name(target)
    ordinary = registry.find(target)
    if name not in _ALIKE or ordinary is None:
        raise UntranslatedComplexError(target)
    return _joined(inner, *(ordinary(inner, *given, **options) for given, options in _both(inner, name, args, kwargs)))


def _both(c: Context, name: str, args: Any, kwargs: Any) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Yield the arguments for the real part and those for the imaginary part."""
    for part in (0, 1):
        leaf = functools.partial(_leaf, c, name, part)
        given = [
            map_parts(_number(item, part) if _NUMBERS.get(name) == place else item, leaf)
            for place, item in enumerate(args)
        ]
        yield given, {key: map_parts(item, leaf) for key, item in kwargs.items()}


def _number(item: Any, part: int) -> Any:
    if not isinstance(item, (bool, int, float, complex)):
        return item
    return complex(item).imag if part else complex(item).real


def _name(target: str) -> str:
    name = target.split(".")[1]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def _leaf(c: Context, name: str, part: int, leaf: Any) -> Any:
    """Return what one part of the result takes for a leaf of the arguments."""
    import torch

    if isinstance(leaf, ComplexValue):
        return leaf.imag if part else leaf.real
    if isinstance(leaf, complex):
        return leaf.imag if part else leaf.real
    if isinstance(leaf, torch.dtype) and leaf.is_complex:
        return torch.float64 if leaf == torch.complex128 else torch.float32
    if isinstance(leaf, ir.Value) and (leaf.dtype in dtypes.FLOATS or name in _VALUES):
        return zeros_like(c, leaf) if part else c.cast(leaf, c.dtype)
    return leaf


def _joined(c: Context, real: Any, imag: Any) -> Any:
    if isinstance(real, (tuple, list)):
        return tuple(_joined(c, one, other) for one, other in zip(real, imag, strict=True))
    return ComplexValue(_emitted(c, real), _emitted(c, imag))


def _emitted(c: Context, item: Any) -> ir.Value:
    return item if isinstance(item, ir.Value) else c.const(item.numpy())


def part_of(result: Any) -> Any:
    """Return the (dtype, shape) of one part of a complex result; that of any other result as it is."""
    return (_PARTS[result[0]], result[1]) if result is not None and result[0] in _PARTS else result


def typed(c: Context, produced: Any, results: Sequence[Any]) -> Any:
    """Give complex results the shape that torch says they have; real ones pass."""
    if isinstance(produced, tuple):
        return tuple(typed(c, item, [result]) for item, result in zip(produced, results, strict=False))
    if isinstance(produced, ComplexValue) and results and results[0] is not None:
        dtype, sizes = part_of(results[0])
        return ComplexValue(*(known(c, c.cast(item, dtype), sizes) for item in (produced.real, produced.imag)))
    return produced


def zeros_like(c: Context, x: ir.Value) -> ir.Value:
    """Return zeros of the dtype of the context's result and the shape of ``x``."""
    sizes = c.sizes_of(x)
    zero = c.const(0, c.dtype)
    return known(c, c.op("Expand", zero, c.vector(sizes)), sizes) if sizes else zero


def constant(tensor: torch.Tensor, emit: Any) -> ComplexValue:
    """Return a constant complex tensor; ``emit`` makes a value of a real one."""
    plain = tensor.detach().resolve_conj()
    return ComplexValue(emit(plain.real.clone()), emit(plain.imag.clone()))


def pair(c: Context, x: ComplexValue) -> ir.Value:
    """Return a complex value as trailing pairs."""
    sizes = c.sizes_of(x.real)
    parts = [c.op("Unsqueeze", item, [len(sizes)]) for item in (x.real, x.imag)]
    return known(c, c.op("Concat", *parts, axis=len(sizes)), [*sizes, 2])


def split(c: Context, x: ir.Value) -> ComplexValue:
    """Return trailing pairs as a complex value."""
    sizes = c.sizes_of(x)[:-1]
    real, imag = (known(c, c.op("Gather", x, c.const(i, ir.DataType.INT64), axis=len(sizes)), sizes) for i in (0, 1))
    return ComplexValue(real, imag)


def put_back_parts(c: Context, whole: Any, value: Any, name: str, args: Sequence[Any], sizes: Sequence[Any]) -> Any:
    """Return ``whole`` after its view became ``value``, either of them complex; see ``writes.put_back``.

    Raises:
        NotImplementedError: If the view has no inverse here.
    """
    inner = ComplexContext(c)
    if name == "view_as_real":
        return split(inner, known(inner, value, sizes[-1]))
    if name == "view_as_complex":
        return pair(inner, value)
    if not isinstance(whole, ComplexValue):
        raise NotImplementedError(f"a complex write through {name} of real numbers")
    if name in ("real", "imag"):
        value = known(inner, inner.cast(value, inner.dtype), sizes[-1])
        return ComplexValue(value, whole.imag) if name == "real" else ComplexValue(whole.real, value)
    if name in ("_conj", "conj", "_neg_view"):
        raise NotImplementedError(f"a write through {name}")
    if not isinstance(value, ComplexValue):
        value = ComplexValue(inner.cast(value, inner.dtype), zeros_like(inner, value))
    parts = [
        put_back(inner, one, other, name, args, sizes)
        for one, other in ((whole.real, value.real), (whole.imag, value.imag))
    ]
    return ComplexValue(*parts)
