"""The table of ATen translators and what a translator is given to work with."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from porters.pytorch import dtypes
from zoo.errors import InternalError, UserError
from zoo.graph import GraphBuilder

if TYPE_CHECKING:
    import torch

    from porters.pytorch.symbols import Symbols

Translator = Callable[..., Any]
# Installed packages name modules here that register translators when they are imported.
PLUGINS = "zooport.translators"
_TRANSLATORS: dict[str, Translator] = {}
_COMPLEX: dict[str, Translator] = {}


def translates(*targets: str) -> Callable[[Translator], Translator]:
    """Register a translator for ATen operators, with or without overload: ``aten.add.Tensor`` or ``aten.add``.

    The function is called as ``fn(c, *args, **kwargs)`` with the operator's own arguments: tensors are values
    (``onnx_ir.Value``), sizes are integers or :class:`Dim`, absent tensors are ``None``. It returns the value, or a
    tuple for several outputs. An in-place operator (``add_``) uses the translator of the functional one.
    """

    def register(translator: Translator) -> Translator:
        for target in targets:
            _refuse_second(target, translator)
            _TRANSLATORS[target] = translator
        return translator

    return register


def translates_complex(*targets: str) -> Callable[[Translator], Translator]:
    """Register a translator that takes over where an argument or a result is complex.

    Complex arguments are ``complex_numbers.ComplexValue``; the context's dtype is that of one part of the result.
    """

    def register(translator: Translator) -> Translator:
        for target in targets:
            _COMPLEX[target] = translator
        return translator

    return register


def _refuse_second(target: str, translator: Translator) -> None:
    """Users may replace one of our translators; two of our own for one operator are a mistake."""
    places = [getattr(item, "__module__", "") for item in (_TRANSLATORS.get(target), translator)]
    if all(place.startswith("porters.") for place in places) and places[0] != places[1]:
        raise InternalError(f"{target} has two translators, in {places[0]} and {places[1]}")


def find(target: str) -> Translator | None:
    """Return the translator for ``namespace.name.overload``, the most specific one first."""
    return _find(_TRANSLATORS, target)


def find_complex(target: str) -> Translator | None:
    """Return the translator for an operator on complex numbers."""
    return _find(_COMPLEX, target)


def _find(table: Mapping[str, Translator], target: str) -> Translator | None:
    _load_domains()
    namespace, _, rest = target.partition(".")
    name, _, overload = rest.partition(".")
    plain = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    for candidate in (target, f"{namespace}.{name}", f"{namespace}.{plain}.{overload}", f"{namespace}.{plain}"):
        if candidate in table:
            return table[candidate]
    return None


def registered() -> list[str]:
    """Return every operator with a translator."""
    _load_domains()
    return sorted(_TRANSLATORS)


@functools.cache
def _load_domains() -> None:
    package = importlib.import_module("porters.pytorch.ops")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"porters.pytorch.ops.{module.name}")
    for point in entry_points(group=PLUGINS):
        _load_plugin(point)


def _load_plugin(point: EntryPoint) -> None:
    """Import a module of the user's that registers translators.

    Raises:
        UserError: If it cannot be imported.
    """
    try:
        point.load()
    except Exception as error:
        raise UserError(
            "a module with translators cannot be imported",
            place=f"entry point {point.name!r} of the group {PLUGINS!r}",
            expected="a module that imports",
            got=f"{point.value}: {type(error).__name__}: {error}",
            hint="mend it or uninstall the package that brings it",
        ) from error


@dataclass(frozen=True)
class Dim:
    """A size that is not known before the model runs: a sympy expression over the graph's symbolic dimensions."""

    expression: Any
    symbols: Symbols

    @property
    def value(self) -> ir.Value:
        """The size as an INT64 scalar; the nodes that compute it are emitted on first use."""
        return self.symbols.scalar(self.expression)

    @property
    def vector(self) -> ir.Value:
        """The size as an INT64 vector of one element."""
        return self.symbols.vector(self.expression)


Size = int | Dim


def may_be_zero(size: Size) -> bool:
    """Say whether only the data decides a size, so that it may be 0; a size of the inputs is at least 1."""
    from torch.utils._sympy.symbol import SymT, symbol_is_type

    return isinstance(size, Dim) and any(
        symbol_is_type(symbol, SymT.UNBACKED_INT) for symbol in size.expression.free_symbols
    )


class Context:
    """What a translator works with: the builder and what is known of the node's results.

    Attributes:
        g: The graph builder.
        results: What torch says about the node's outputs, one (dtype, shape) for each; shapes hold integers and Dims.
        memory_order: For ``as_strided``: the axes of its operand as they lie in memory; None where in their own order.
    """

    def __init__(self, g: GraphBuilder, symbols: Symbols, results: Sequence[tuple[ir.DataType, list[Size]]]) -> None:
        self.g = g
        self.symbols = symbols
        self.results = results
        self.memory_order: list[int] | None = None
        self.op = g.op
        self.ops = g.ops
        self.const = g.const
        self.cast = g.cast

    @property
    def dtype(self) -> ir.DataType:
        """The dtype of the (first) result."""
        return self.results[0][0]

    @property
    def shape(self) -> list[Size]:
        """The shape of the (first) result."""
        return self.results[0][1]

    def sizes_of(self, value: ir.Value) -> list[Size]:
        """Return the shape of ``value`` as integers and Dims."""
        return self.symbols.sizes_of(value)

    def rank(self, value: ir.Value) -> int:
        """Return the number of dimensions of ``value``."""
        return len(self.symbols.sizes_of(value))

    def axis(self, value: ir.Value, axis: int) -> int:
        """Return ``axis`` counted from the front."""
        return axis % max(self.rank(value), 1)

    def axes(self, value: ir.Value, axes: int | Sequence[int] | None) -> list[int]:
        """Return ``axes`` counted from the front; all of them where none are named."""
        if axes is None or (not isinstance(axes, int) and len(axes) == 0):
            return list(range(self.rank(value)))
        return [self.axis(value, axis) for axis in ([axes] if isinstance(axes, int) else axes)]

    def vector(self, sizes: Sequence[Size]) -> ir.Value:
        """Return sizes as an INT64 vector; a constant where all are integers."""
        if all(isinstance(size, int) for size in sizes):
            return self.const(list(sizes), ir.DataType.INT64)
        parts = [self._as_vector(size) for size in sizes]
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=0)

    def _as_vector(self, size: Size | ir.Value) -> ir.Value:
        if isinstance(size, ir.Value):  # a number that only the data tells
            return self.op("Reshape", self.cast(size, ir.DataType.INT64), self.const([1], ir.DataType.INT64))
        return self.const([size], ir.DataType.INT64) if isinstance(size, int) else size.vector

    def scalar(self, number: Any, dtype: ir.DataType) -> ir.Value:
        """Return a number or size as a scalar of ``dtype``."""
        if isinstance(number, Dim):
            return self.cast(number.value, dtype)
        return self.const(number, dtype)

    def reshape(self, value: ir.Value, sizes: Sequence[Size]) -> ir.Value:
        """Reshape without shape arithmetic wherever ``0`` (copy) and one ``-1`` (infer) can say it."""
        before = self.sizes_of(value)
        if list(sizes) == before:
            return value
        target: list[Any] = []
        unknown = [index for index, size in enumerate(sizes) if isinstance(size, Dim)]
        for index, size in enumerate(sizes):
            copied = isinstance(size, Dim) and index < len(before) and before[index] == size
            target.append(0 if copied and len(unknown) > 1 else size)
        left = [index for index, size in enumerate(target) if isinstance(size, Dim)]
        if len(left) == 1 and 0 not in [size for size in sizes if isinstance(size, int)]:
            target[left[0]] = -1
            left = []
        if any(size == 0 for size in sizes if isinstance(size, int)) or (left and any(map(may_be_zero, sizes))):
            # A true zero beside a copied dimension: spell every size out and let 0 mean zero.
            return self.op("Reshape", value, self.vector(sizes), allowzero=1, shape=self.ir_shape(sizes))
        return self.op("Reshape", value, self.vector(target), shape=self.ir_shape(sizes))

    def ir_shape(self, sizes: Sequence[Size]) -> ir.Shape:
        """Return sizes as an ONNX shape; unknown ones under their symbolic names."""
        return self.symbols.shape(sizes)

    def promote(self, *operands: Any) -> list[Any]:
        """Cast tensor operands to their common dtype by torch's rules; numbers stay numbers."""
        import torch

        common: Any = None
        for operand in operands:
            common = (
                operand_like(operand)
                if common is None
                else torch.empty(
                    (1,) if common.dim() or _dimensioned(operand) else (),
                    dtype=torch.result_type(common, operand_like(operand)),
                )
            )
        dtype = dtypes.to_ir(common.dtype)
        return [self.cast(item, dtype) if isinstance(item, ir.Value) else self.scalar(item, dtype) for item in operands]


def _dimensioned(operand: Any) -> bool:
    return isinstance(operand, ir.Value) and operand.shape is not None and len(operand.shape) > 0


def operand_like(operand: Any) -> torch.Tensor:
    """Return an empty tensor that takes part in torch's type promotion as ``operand`` would."""
    import torch

    if isinstance(operand, ir.Value):
        assert operand.dtype is not None
        return torch.empty((1,) if _dimensioned(operand) else (), dtype=dtypes.to_torch(operand.dtype))
    if isinstance(operand, Dim):
        return torch.empty((), dtype=torch.int64)
    return torch.tensor(operand)
