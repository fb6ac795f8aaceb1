"""The kernels of a compiled graph and the work of each: products on the cube, vector instructions, tensors moved."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Final

import onnx_ir as ir

from zoo.ascend import operators
from zoo.ascend.formats import FORMAT, Format, storage_elements
from zoo.ascend.operators import KERNEL, is_view, operator_of
from zoo.ascend.precision import PRECISION
from zoo.ascend.products import BLOCK, Product, padded, products_of

# Bytes of a result by what its node computes in; the cube adds in float32 and hands that out in fp16_fp32.
_STORED: Final = {"fp32": 4, "hf32": 4, "fp16_fp32": 4, "fp16": 2, "bf16": 2, "int8": 2}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor as a kernel reads or writes it.

    Attributes:
        name: The name of the value that owns the storage (views share it).
        shape: Its shape in the graph.
        format: How the chip lays it out.
        bytes: Its size in that layout, padding included.
        constant: Whether it is a weight.
    """

    name: str
    shape: tuple[int, ...]
    format: Format
    bytes: int
    constant: bool = False


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One launch on the chip.

    Attributes:
        index: Its place in the order of execution.
        name: The name of its first node.
        operator: The operator it is named after: the first one.
        operators: All operators in it, in order.
        unit: ``cube``, ``vector``, ``aicpu`` or ``unsupported``.
        source: The module of the original that it comes from, and the line, as far as known.
        reads: The tensors it reads, each once.
        writes: The tensors it writes.
        products: Its matrix products.
        passes: Elements times vector passes over them (``zoo.ascend.operators``).
        run_bytes: For a kernel that only moves elements: the bytes that stay side by side; 0 for all others.
        elements: Elements of the largest tensor that it computes.
        steps: How often it is launched: the length of the sequence for a recurrent operator, else 1.
        precision: What its first operator computes in (``zoo.ascend.precision``).
        converts: Whether it changes a layout.
    """

    index: int
    name: str
    operator: str
    operators: tuple[str, ...]
    unit: str
    source: str
    reads: tuple[Tensor, ...]
    writes: tuple[Tensor, ...]
    products: tuple[Product, ...] = ()
    passes: float = 0.0
    run_bytes: int = 0
    elements: int = 0
    steps: int = 1
    precision: str = "fp16"
    converts: bool = False

    @property
    def macs(self) -> int:
        """Multiply-adds that the model asks for, without padding."""
        return sum(product.macs for product in self.products)

    @property
    def grouped(self) -> bool:
        """Whether it is a convolution in several groups."""
        return any(product.count > 1 and product.taps > 1 for product in self.products)


def groups(model: ir.Model) -> list[list[ir.Node]]:
    """Return the nodes of each kernel, in the order of execution: a kernel runs when its last node can."""
    found: dict[str, list[ir.Node]] = {}
    for node in model.graph:
        if KERNEL in node.metadata_props:
            nodes = found.pop(node.metadata_props[KERNEL], [])
            found[node.metadata_props[KERNEL]] = [*nodes, node]
    return list(found.values())


def kernels_of(model: ir.Model, element_bytes: int = 2) -> list[Kernel]:
    """Return the kernels of ``model`` in the order of execution.

    Args:
        model: A model with static shapes whose nodes have been given kernels (``FusePass``).
        element_bytes: Size of a floating-point element on the chip: 2 for fp16 and bf16, 4 for float32.
    """
    return [_kernel(index, nodes, element_bytes) for index, nodes in enumerate(groups(model))]


def _kernel(index: int, nodes: Sequence[ir.Node], element_bytes: int) -> Kernel:
    root, inside = nodes[0], set(nodes)
    read = [value for node in nodes for value in node.inputs if value is not None and value.producer() not in inside]
    written = [
        value
        for node in nodes
        for value in node.outputs
        if value.is_graph_output() or any(use.node not in inside for use in value.uses())
    ]
    props = root.metadata_props
    return Kernel(
        index=index,
        name=root.name or f"kernel{index}",
        operator=operator_of(root),
        operators=tuple(name for name in map(operator_of, nodes) if name != operators.ROUNDING),
        unit=props.get("unit", "vector"),
        precision=props.get(PRECISION, "exact"),
        source=" ".join(filter(None, (props.get("zooport.module", ""), props.get("zooport.line", "")))),
        reads=tuple(_tensors(read, element_bytes)),
        writes=tuple(_tensors(written, element_bytes)),
        products=tuple(product for node in nodes for product in _products(node)),
        passes=sum(_passes(node) for node in nodes),
        run_bytes=_run_bytes(root, element_bytes),
        elements=max((_elements(value) for node in nodes for value in node.outputs), default=0),
        steps=_steps(root),
        converts=_converts(root),
    )


def _converts(node: ir.Node) -> bool:
    """Say whether ``node`` changes a layout: a TransData, or a transpose that goes to or comes from NC1HWC0."""
    ends = [value for value in (*node.inputs[:1], *node.outputs) if value is not None]
    blocked = any(value.metadata_props.get(FORMAT, "ND") != "ND" for value in ends)
    return operator_of(node) == "TransData" or (operator_of(node) == "Transpose" and blocked)


def _products(node: ir.Node) -> list[Product]:
    """Return the products of ``node``; channels that are kept in fours fill a block together with the window."""
    found = products_of(node)
    given = node.inputs[0] if node.inputs else None
    if given is None or given.metadata_props.get(FORMAT) != Format.NC1HWC0_C04:
        return found
    return [dataclasses.replace(product, k=padded(4 * product.taps)) for product in found]


def _steps(node: ir.Node) -> int:
    first = next((value for value in node.inputs if value is not None), None)
    return max(1, *static_shape(first)[:1]) if operator_of(node) in operators.RECURRENT and first is not None else 1


def owner(value: ir.Value) -> ir.Value:
    """Return the value whose storage ``value`` is a view of; itself if it is none."""
    producer = value.producer()
    while producer is not None and is_view(producer) and producer.inputs[0] is not None:
        value = producer.inputs[0]
        producer = value.producer()
    return value


def _tensors(values: Iterable[ir.Value], element_bytes: int) -> list[Tensor]:
    found: dict[ir.Value, Tensor] = {}
    for value in values:
        own = owner(value)
        found.setdefault(own, _tensor(own, value, element_bytes))
    return list(found.values())


def _tensor(own: ir.Value, value: ir.Value, element_bytes: int) -> Tensor:
    shape = static_shape(value)
    layout = Format(own.metadata_props.get(FORMAT, "ND"))
    size = value_bytes(value, element_bytes)
    count = storage_elements(static_shape(own) or shape, layout)
    return Tensor(own.name or "", shape, layout, count * size, constant=is_constant(own))


def is_constant(value: ir.Value) -> bool:
    """Say whether ``value`` is known before the run."""
    return value.const_value is not None and not value.is_graph_input()


def static_shape(value: ir.Value) -> tuple[int, ...]:
    """Return the shape of ``value``; a size that depends on data counts as 1."""
    return tuple(dim if isinstance(dim, int) else 1 for dim in value.shape or ())


def value_bytes(value: ir.Value, element_bytes: int) -> int:
    """Return the bytes of one element of ``value`` on the chip: what its kernel writes, whatever the emulator holds.

    A graph's own inputs come as they are in the source.
    """
    dtype = value.dtype
    if dtype is not None and dtype not in (ir.DataType.FLOAT, ir.DataType.DOUBLE):
        return max(1, int(dtype.itemsize))
    producer = value.producer()
    if producer is not None:
        return _STORED.get(producer.metadata_props.get(PRECISION, ""), element_bytes)
    return 4 if value.is_graph_input() else element_bytes


def _elements(value: ir.Value) -> int:
    return math.prod(static_shape(value))


def _passes(node: ir.Node) -> float:
    """Return elements times vector passes of one node."""
    operator = operator_of(node)
    made = max((_elements(value) for value in node.outputs), default=0)
    if operator in operators.ELEMENTWISE:
        return made * operators.ELEMENTWISE[operator]
    read = max((_elements(value) for value in node.inputs if value is not None), default=0)
    if operator in operators.REDUCING:
        return max(read, made) * operators.REDUCING[operator]
    if operator in operators.WINDOWED:
        return float(made * math.prod(node.attributes.get_ints("kernel_shape", [1])))
    if operator == "Attention":
        return float(sum(product.count * product.m * product.n for product in products_of(node)[:1])) * 12.0
    if operator == "Resize":
        return made * (8.0 if node.attributes.get_string("mode", "nearest") == "linear" else 2.0)
    return 0.0


def _run_bytes(node: ir.Node, element_bytes: int) -> int:
    """Return the bytes that a kernel of moves leaves side by side, 0 where it computes."""
    operator = operator_of(node)
    if operator in (*operators.CUBE, *operators.RECURRENT, *operators.WINDOWED, "Resize", *operators.CUBE_INT8):
        return 0
    if operator in operators.ELEMENTWISE or operator in operators.REDUCING:
        return 0
    first = next((value for value in node.inputs if value is not None), None)
    shape = static_shape(first) if first is not None else ()
    size = value_bytes(node.outputs[0], element_bytes)
    return max(1, _run(node, operator, shape, static_shape(node.outputs[0]))) * size


def _run(node: ir.Node, operator: str, shape: tuple[int, ...], made: tuple[int, ...]) -> int:
    """Return how many elements in a row one move of ``operator`` takes."""
    if operator == "Transpose" and not _converts(node):
        order = node.attributes.get_ints("perm", range(len(shape))[::-1])
        run = 1
        for axis in range(len(shape) - 1, -1, -1):
            if order[axis] != axis:
                break
            run *= shape[axis]
        # The vector unit turns blocks of 16 by 16 elements around (vnchwconv), so no run is shorter where both axes
        # that meet are long enough.
        turned = min(shape[-1], shape[order[-1]]) if shape else 1
        return max(run, min(turned, BLOCK))
    if operator in ("Concat", "Split", "Gather"):
        axis = node.attributes.get_int("axis", 0) % max(1, len(made))
        tensors = [*node.inputs, *node.outputs] if operator == "Concat" else list(node.outputs)
        inner = [math.prod(static_shape(value)[axis:]) for value in tensors if value is not None and value.shape]
        return min(inner, default=1)
    if operator in ("DepthToSpace", "SpaceToDepth"):
        return node.attributes.get_int("blocksize", 1)
    if operator in ("Slice", "Pad", "Tile", "Expand"):
        # The trailing axes that are taken whole, and the one before them.
        run = 1
        for before, after in zip(reversed(shape), reversed(made), strict=False):
            run *= min(before, after)
            if before != after:
                break
        return run
    return made[-1] if made else 1
