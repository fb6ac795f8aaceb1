"""Control flow over data: torch.cond becomes If, while_loop becomes Loop, scan and map become Scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.nodes import is_node, is_symbolic_number
from porters.pytorch.registry import Dim
from zoo.graph import GraphBuilder

if TYPE_CHECKING:
    import torch

    from porters.pytorch.walker import Walker

# Regions that change nothing in inference: their graph goes where the call stands. Which argument is the graph, which
# the first operand.
_REGIONS = {
    "wrap_with_set_grad_enabled": (1, 2),
    "wrap_with_autocast": (4, 5),
    "invoke_subgraph": (0, 2),
    "tag_activation_checkpoint": (0, 1),
}


class ControlFlow:
    """Translates the operators that call graphs, on behalf of a walker.

    A body sees everything computed before it, as ONNX's sub-graphs do: weights and outer values are captured, not
    passed. What a body computes is forgotten behind it.
    """

    def __init__(self, walker: Walker) -> None:
        self._walker = walker
        self._kinds: dict[str, Callable[[torch.fx.Node], Sequence[ir.Value]]] = {
            "cond": self._cond,
            "while_loop": self._while_loop,
            "scan": self._scan,
            "map_impl": self._map,
        }

    def translate(self, node: torch.fx.Node, name: str) -> Any:
        """Return the results of a call.

        Args:
            node: The call.
            name: The operator, without ``higher_order.``.

        Raises:
            NotImplementedError: If the call cannot be said in ONNX.
        """
        kind = self._kinds.get(name)
        if kind is None:
            raise NotImplementedError("a higher-order operator without a translation")
        results = kind(node)
        fakes = node.meta["val"]
        walker = self._walker
        return tuple(walker.result(value, fake) for value, fake in zip(results, fakes, strict=True))

    def region(self, node: torch.fx.Node, name: str) -> Any:
        """Inline a region that changes nothing; return its output nodes, ``None`` where ``name`` is no region."""
        places = _REGIONS.get(name)
        if places is None:
            return None
        graph, first = places
        return self._walker.inline(self._walker.read(node.args[graph]), node.args[first:])

    # -- the kinds ------------------------------------------------------------------------------------------------

    def _cond(self, node: torch.fx.Node) -> Sequence[ir.Value]:
        predicate, yes, no, operands = node.args
        walker = self._walker
        condition = walker.read(predicate)
        if isinstance(condition, bool):
            branch = walker.read(yes if condition else no)
            return [walker.value(walker.read(item)) for item in walker.inline(branch, operands)]
        fakes = node.meta["val"]
        branches = [self._branch(node, walker.read(branch), operands, fakes) for branch in (yes, no)]
        truth = walker.value(condition)
        if truth.shape is None or len(truth.shape) > 0:
            truth = walker.g.op("Reshape", truth, walker.g.const([], ir.DataType.INT64), shape=[])
        kinds = [_dtype(fake) for fake in fakes]
        return walker.g.ops(
            "If", truth, outputs=len(fakes), dtypes=kinds, then_branch=branches[0], else_branch=branches[1]
        )

    def _branch(self, node: torch.fx.Node, module: Any, operands: Sequence[Any], fakes: Sequence[Any]) -> ir.Graph:
        with self._body(node) as body:
            outputs = [self._walker.read(item) for item in self._walker.inline(module, operands)]
            return body.body(self._outputs(body, outputs, [_dtype(fake) for fake in fakes]))

    def _while_loop(self, node: torch.fx.Node) -> Sequence[ir.Value]:
        condition, step, carried, extra = node.args
        walker = self._walker
        condition, step = walker.read(condition), walker.read(step)
        fakes = [_fake(item) for item in carried]
        kinds = [_dtype(fake) for fake in fakes]
        initial = [
            walker.g.cast(walker.value(walker.read(item)), kind) for item, kind in zip(carried, kinds, strict=True)
        ]
        first = self._truth(walker.inline(condition, [*carried, *extra]))
        with self._body(node) as body:
            body.input("iteration", ir.DataType.INT64, [])
            body.input("going", ir.DataType.BOOL, [])
            inputs = self._inputs(body, step, kinds)
            results = [walker.read(item) for item in walker.inline(step, [*inputs, *extra])]
            values = self._outputs(body, results, kinds)
            self._know(step, values)
            going = self._truth(walker.inline(condition, [*values, *extra]))
            graph = body.body([*self._outputs(body, [going], [ir.DataType.BOOL]), *values])
        return walker.g.ops("Loop", None, first, *initial, outputs=len(initial), dtypes=kinds, body=graph)

    def _scan(self, node: torch.fx.Node) -> Sequence[ir.Value]:
        combine, initial, scanned, extra = node.args
        return self._scanned(node, combine, initial, scanned, extra)

    def _map(self, node: torch.fx.Node) -> Sequence[ir.Value]:
        step, scanned, extra = node.args
        return self._scanned(node, step, [], scanned, extra)

    def _scanned(
        self,
        node: torch.fx.Node,
        step: Any,
        initial: Sequence[Any],
        scanned: Sequence[Any],
        extra: Sequence[Any],
    ) -> Sequence[ir.Value]:
        if not scanned:
            raise NotImplementedError("a scan over nothing")
        walker = self._walker
        step = walker.read(step)
        given = [*initial, *scanned]
        kinds = [_dtype(_fake(item)) for item in given]
        operands = [walker.g.cast(walker.value(walker.read(x)), kind) for x, kind in zip(given, kinds, strict=True)]
        results = [_dtype(fake) for fake in node.meta["val"]]
        with self._body(node) as body:
            inputs = self._inputs(body, step, kinds)
            outputs = [walker.read(item) for item in walker.inline(step, [*inputs, *extra])]
            graph = body.body(self._outputs(body, outputs, results))
        return walker.g.ops(
            "Scan", *operands, outputs=len(results), dtypes=results, body=graph, num_scan_inputs=len(scanned)
        )

    # -- bodies ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _body(self, node: torch.fx.Node) -> Iterator[GraphBuilder]:
        """Build a sub-graph: what is emitted inside goes there, and nothing of it is used outside."""
        walker = self._walker
        outer = walker.g
        body = GraphBuilder(outer.unique(f"{node.name}_body"), parent=outer)
        with walker.scope(body):
            yield body

    def _inputs(self, body: GraphBuilder, module: Any, kinds: Sequence[ir.DataType]) -> list[ir.Value | Dim]:
        """Add an input for each of a body's leading placeholders, with what torch knows of its shape."""
        placeholders = [item for item in module.graph.nodes if item.op == "placeholder"]
        inputs: list[ir.Value | Dim] = []
        for placeholder, kind in zip(placeholders, kinds, strict=False):
            fake = placeholder.meta.get("val")
            value = body.input(placeholder.name, kind, [0] * len(getattr(fake, "shape", ())))
            inputs.append(self._known(value, fake))
        return inputs

    def _known(self, value: ir.Value, fake: Any) -> ir.Value | Dim:
        symbols = self._walker.symbols
        if is_symbolic_number(fake):
            if fake.node.expr.is_Symbol:
                symbols.define(fake.node.expr, value, None)
                return Dim(fake.node.expr, symbols)
            return value
        sizes = [symbols.size(dim) for dim in getattr(fake, "shape", ())]
        for axis, size in enumerate(sizes):
            if isinstance(size, Dim) and size.expression.is_Symbol:
                symbols.define(size.expression, value, axis)
        symbols.remember(value, sizes)
        return value

    def _know(self, module: Any, values: Sequence[ir.Value]) -> None:
        """Give the values that a loop's body has computed the shapes of its inputs: they are the next round's."""
        placeholders = [item for item in module.graph.nodes if item.op == "placeholder"]
        symbols = self._walker.symbols
        for placeholder, value in zip(placeholders, values, strict=False):
            fake = placeholder.meta.get("val")
            symbols.remember(value, [symbols.size(dim) for dim in getattr(fake, "shape", ())])

    def _outputs(self, body: GraphBuilder, items: Sequence[Any], kinds: Sequence[ir.DataType]) -> list[ir.Value]:
        """Return a body's outputs: each a value of its own that is computed inside."""
        walker = self._walker
        own = {id(result) for emitted in body.nodes for result in emitted.outputs}
        outputs: list[ir.Value] = []
        for item, kind in zip(items, kinds, strict=True):
            value = walker.value(item)
            own.update(id(result) for emitted in body.nodes for result in emitted.outputs)
            if value.dtype != kind:
                cast = body.cast(value, kind)
                own.add(id(cast))
                walker.symbols.remember(cast, walker.symbols.sizes_of(value))
                value = cast
            if id(value) not in own or any(value is other for other in outputs):
                sizes = walker.symbols.sizes_of(value)
                value = body.op("Identity", value, dtype=kind)
                walker.symbols.remember(value, sizes)
            outputs.append(value)
        return outputs

    def _truth(self, outputs: Any) -> ir.Value:
        """Return a condition graph's result as a BOOL scalar."""
        walker = self._walker
        result = outputs[0] if isinstance(outputs, (tuple, list)) else outputs
        value = walker.g.cast(walker.value(walker.read(result)), ir.DataType.BOOL)
        scalar = walker.g.op("Reshape", value, walker.g.const([], ir.DataType.INT64), shape=[])
        walker.symbols.remember(scalar, [])
        return scalar


def _fake(item: Any) -> Any:
    return item.meta.get("val") if is_node(item) else item


def _dtype(fake: Any) -> ir.DataType:
    """Return the dtype of a tensor, or that under which a number is carried.

    Raises:
        NotImplementedError: For a complex tensor.
    """
    import torch

    if hasattr(fake, "dtype"):
        if fake.dtype.is_complex:
            raise NotImplementedError("complex numbers carried through control flow")
        return dtypes.to_ir(fake.dtype)
    if isinstance(fake, (bool, torch.SymBool)):
        return ir.DataType.BOOL
    return ir.DataType.INT64 if isinstance(fake, (int, torch.SymInt)) else ir.DataType.FLOAT
