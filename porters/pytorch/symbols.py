"""Symbolic sizes: torch's sympy expressions to ONNX names, and to nodes where a size is needed as a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from zoo.graph import GraphBuilder

if TYPE_CHECKING:
    from porters.pytorch.registry import Size


class Symbols:
    """Knows where each symbol of the graph can be read, and emits the arithmetic over them once."""

    def __init__(self, g: GraphBuilder) -> None:
        self.g = g
        self.names: dict[str, str] = {}
        self._where: dict[Any, tuple[ir.Value, int | None]] = {}
        self._scalars: dict[Any, ir.Value] = {}
        self._vectors: dict[Any, ir.Value] = {}
        self._sizes: dict[int, list[Any]] = {}

    # -- what is known ---------------------------------------------------------------------------------------------

    def define(self, symbol: Any, value: ir.Value, axis: int | None, name: str | None = None) -> None:
        """Say where ``symbol`` can be read: dimension ``axis`` of ``value``, or ``value`` itself (axis None)."""
        self._where.setdefault(symbol, (value, axis))
        if name is not None:
            self.names.setdefault(str(symbol), name)

    def knows(self, symbol: Any) -> bool:
        """Say whether ``symbol`` can be read somewhere."""
        return symbol in self._where

    def size(self, dim: Any) -> Size:
        """Return torch's int, SymInt or sympy expression as an integer or a Dim."""
        from porters.pytorch.registry import Dim

        if isinstance(dim, int):
            return int(dim)
        expression = dim.node.expr if hasattr(dim, "node") else dim
        return int(expression) if expression.is_Integer else Dim(expression, self)

    def remember(self, value: ir.Value, sizes: Sequence[Size]) -> None:
        """Attach the exact sizes of ``value``."""
        self._sizes[id(value)] = list(sizes)
        value.shape = self.shape(sizes)

    def sizes_of(self, value: ir.Value) -> list[Size]:
        """Return the sizes of ``value``: those remembered, else those of its ONNX shape, which must be static."""
        if id(value) in self._sizes:
            return self._sizes[id(value)]
        assert value.shape is not None, f"the shape of {value.name} is not known"
        return [int(dim) if isinstance(dim, int) else self._by_name(dim) for dim in value.shape]

    def _by_name(self, dim: Any) -> Size:
        import sympy

        return self.size(sympy.sympify(str(getattr(dim, "value", dim)), locals=self._locals()))

    def _locals(self) -> Mapping[str, Any]:
        return {self.names.get(str(symbol), str(symbol)): symbol for symbol in self._where}

    def shape(self, sizes: Sequence[Size]) -> ir.Shape:
        """Return sizes as an ONNX shape."""
        return ir.Shape([size if isinstance(size, int) else self.name(size.expression) for size in sizes])

    def name(self, expression: Any) -> str:
        """Return the text of an expression with the user's names in it (``2*batch``)."""
        symbols = {symbol: type(symbol)(self.names.get(str(symbol), str(symbol))) for symbol in expression.free_symbols}
        return str(expression.xreplace(symbols)).replace(" ", "")

    @contextmanager
    def scope(self, body: GraphBuilder) -> Iterator[None]:
        """Emit into a sub-graph; sizes that are read or computed there are forgotten behind it."""
        before = (self.g, self._where, self._scalars, self._vectors)
        self.g = body
        self._where, self._scalars, self._vectors = dict(self._where), dict(self._scalars), dict(self._vectors)
        try:
            yield
        finally:
            self.g, self._where, self._scalars, self._vectors = before

    # -- emission --------------------------------------------------------------------------------------------------

    def vector(self, expression: Any) -> ir.Value:
        """Return the expression as an INT64 vector of one element."""
        if expression not in self._vectors:
            where = self._where.get(expression)
            if where is not None and where[1] is not None:
                value = self._read(where[0], where[1])
            else:
                value = self.g.op("Unsqueeze", self.scalar(expression), [0], shape=[1])
            self._vectors[expression] = value
        return self._vectors[expression]

    def scalar(self, expression: Any) -> ir.Value:
        """Return the expression as an INT64 scalar."""
        if expression not in self._scalars:
            self._scalars[expression] = self._emit(expression)
        return self._scalars[expression]

    def _read(self, value: ir.Value, axis: int) -> ir.Value:
        return self.g.op("Shape", value, start=axis, end=axis + 1, dtype=ir.DataType.INT64, shape=[1])

    def _emit(self, expression: Any) -> ir.Value:
        g = self.g
        if expression.is_Integer:
            return g.const(int(expression), ir.DataType.INT64)
        if expression in self._where:
            value, axis = self._where[expression]
            return value if axis is None else g.op("Squeeze", self.vector(expression), [0], shape=[])
        kind = type(expression).__name__
        if kind == "Pow" and expression.exp.is_Integer and int(expression.exp) > 0:
            return self._fold("Mul", [expression.base] * int(expression.exp))
        operands = list(expression.args)
        folded = {"Add": "Add", "Mul": "Mul", "Max": "Max", "Min": "Min"}.get(kind)
        if folded is not None:
            return self._fold(folded, operands)
        if kind in ("FloorDiv", "CleanDiv"):
            return g.op("Div", self.scalar(operands[0]), self.scalar(operands[1]), shape=[])
        if kind in ("Mod", "PythonMod"):
            return g.op("Mod", self.scalar(operands[0]), self.scalar(operands[1]), shape=[])
        if kind in ("CeilToInt", "FloorToInt", "TruncToInt"):
            rounded = self._real(operands[0])
            if kind != "TruncToInt":  # a Cast truncates
                rounded = g.op(kind.removesuffix("ToInt"), rounded, shape=[])
            return g.cast(rounded, ir.DataType.INT64)
        raise KeyError(f"a size {expression} of kind {kind} has no translation")

    def _real(self, expression: Any) -> ir.Value:
        """Return a real expression of sizes as a DOUBLE scalar, which is what Python computes in."""
        kind = type(expression).__name__
        if expression.is_Float or expression.is_Integer:
            return self.g.const(float(expression), ir.DataType.DOUBLE)
        if kind == "ToFloat":
            return self.g.cast(self.scalar(expression.args[0]), ir.DataType.DOUBLE)
        if kind not in ("Add", "Mul"):
            raise KeyError(f"a size with {expression} of kind {kind} has no translation")
        result, *others = map(self._real, expression.args)
        for other in others:
            result = self.g.op(kind, result, other, shape=[])
        return result

    def _fold(self, op_type: str, operands: Sequence[Any]) -> ir.Value:
        result = self.scalar(operands[0])
        for operand in operands[1:]:
            result = self.g.op(op_type, result, self.scalar(operand), shape=[])
        return result
