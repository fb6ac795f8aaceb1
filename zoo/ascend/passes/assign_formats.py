"""Gives every tensor the layout its kernels want and inserts TransData where two of them disagree."""

from __future__ import annotations

from typing import Final

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from zoo.ascend.formats import C0, FORMAT, Format
from zoo.ascend.functions import DOMAIN, VERSION, add_functions
from zoo.ascend.hardware import Chip
from zoo.ascend.operators import ELEMENTWISE, KERNEL, NO_KERNEL, REDUCING, ROUNDING, WINDOWED, is_view, operator_of

_DEFINITION: Final = {"TransData": "(X) => (Y) { Y = Identity(X) }"}
_BY_CHANNELS: Final = frozenset(
    ("Conv", "ConvTranspose", "DeformConv", *WINDOWED, "Resize", "QLinearConv", "ConvInteger")
)
_BY_MATRICES: Final = frozenset(("MatMul", "Gemm", "Attention", "FlashAttention", "Einsum"))
_CHANNELS_LAST, _CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
# Cube units that read plain rows and pack them on the way into L1 (nd2nz of the split architectures).
_PACKS_ROWS: Final = ("dav-c220", "dav-m300")


class AssignFormatsPass(InPlacePass):
    """Anchor layouts at convolutions and matrix products, carry them on, and convert at the seams.

    As GE does it: convolutions and pools take NC1HWC0, matrix products FRACTAL_NZ (plain rows on chips that pack them
    on the way), operators that do not care take what their largest operand has, all others and the graph's own inputs
    and outputs are plain. A tensor is converted once for each layout, however many kernels read it.
    """

    def __init__(self, chip: Chip, *, aipp: bool = False, small_channel: bool = False) -> None:
        super().__init__()
        self._aipp = aipp or small_channel
        self._small_channel = small_channel
        self._matrices = Format.ND if chip.arch in _PACKS_ROWS else Format.FRACTAL_NZ
        self._saturates = chip.saturates
        self._converted: dict[tuple[ir.Value, Format], ir.Value] = {}
        self._assigned: dict[str, Format] = {}

    def call(self, model: ir.Model) -> PassResult:
        """Walk the graph in order; a kernel's nodes share the layout of its first."""
        self._converted, self._assigned = {}, {}
        if any(node.op_type == "TransData" for node in model.graph):
            return PassResult(model, modified=False)
        for node in list(model.graph):
            self._visit(node)
        for index in range(len(model.graph.outputs)):
            self._finish(model.graph, index)
        if self._converted:
            model.graph.opset_imports[DOMAIN] = VERSION
            add_functions(model, ["TransData"], self._saturates, _DEFINITION)
        return PassResult(model, modified=bool(self._converted))

    def _visit(self, node: ir.Node) -> None:
        operator = operator_of(node)
        if operator == "Constant":
            return
        data = [value for value in node.inputs if value is not None and _is_data(value)]
        if operator in NO_KERNEL or is_view(node):
            same = operator in (ROUNDING, "Pad") or (bool(data) and _unpadded(data[0], node.outputs[0]))
            layout = _of(data[0]) if data and same else Format.ND
        else:
            number = node.metadata_props.get(KERNEL, "")
            layout = self._assigned.setdefault(number, self._wanted(node, operator, data)) if number else Format.ND
        for value in data:
            wanted = Format.NC1HWC0_C04 if self._is_small(operator, value, layout) else layout
            if self._aipp and _is_picture(operator, value, layout):
                value.metadata_props[FORMAT] = wanted
            if _of(value) is not wanted and _convertible(value, wanted):
                converted = self._convert(value, wanted, node)
                for index, item in enumerate(node.inputs):
                    if item is value:
                        node.replace_input_with(index, converted)
        result = _result_layout(node, operator, layout)
        for value in node.outputs:
            if _convertible(value, result):
                value.metadata_props[FORMAT] = result

    def _is_small(self, operator: str, value: ir.Value, layout: Format) -> bool:
        """Say whether a convolution reads so few channels, straight from outside, that they are kept unpadded."""
        return self._small_channel and _is_picture(operator, value, layout)

    def _wanted(self, node: ir.Node, operator: str, data: list[ir.Value]) -> Format:
        """Return the layout in which the kernel that begins with ``node`` works."""
        rank = len(node.outputs[0].shape or ())
        if operator in _BY_CHANNELS:
            return Format.NC1HWC0 if rank == 4 else Format.ND
        if operator in _BY_MATRICES:
            return self._matrices
        if not data:
            return Format.ND
        main = max(data, key=_size)
        held = _of(main)
        if operator in ELEMENTWISE or operator == "GlobalAveragePool":
            return held
        if operator == "Transpose" and held is Format.NC1HWC0 and _order(node) == _CHANNELS_LAST:
            return held
        if held is Format.NC1HWC0 and operator in ("Concat", "Split", "Slice", "ReduceMean", "GlobalMaxPool"):
            whole = all(_channels(value) % C0 == 0 for value in (*data, *node.outputs))
            return held if whole or operator in ("ReduceMean", "GlobalMaxPool") else Format.ND
        if held is Format.FRACTAL_NZ and (operator in REDUCING or _unpadded(main, node.outputs[0])):
            return held
        return Format.ND

    def _convert(self, value: ir.Value, layout: Format, reader: ir.Node) -> ir.Value:
        """Return ``value`` in ``layout``, by a TransData before ``reader`` unless there is one already."""
        known = self._converted.get((value, layout))
        if known is not None:
            return known
        result = ir.Value(name=f"{value.name}/{layout}", type=value.type, shape=value.shape)
        producer = value.producer()
        source = producer.inputs[0] if producer is not None and producer.inputs else None
        if producer is not None and operator_of(producer) == ROUNDING and is_view(producer) and source is not None:
            # What is rounded is converted, so that others who read it share the conversion.
            inner = source if _of(source) is layout else self._convert(source, layout, reader)
            node = ir.node(producer.op_type, [inner], domain=DOMAIN, name=f"{result.name}/Round", outputs=[result])
            node.metadata_props.update({key: text for key, text in producer.metadata_props.items() if key != KERNEL})
            result.metadata_props[FORMAT] = layout
        else:
            node = self._transdata(value, layout, result)
        if reader.graph is not None:
            reader.graph.insert_before(reader, node)
        self._converted[value, layout] = result
        return result

    def _finish(self, graph: ir.Graph, index: int) -> None:
        """Hand output ``index`` of the graph out in plain rows, under its own name."""
        packed = graph.outputs[index]
        if packed.producer() is None or _of(packed) is Format.ND:
            return
        plain = ir.Value(name=packed.name, type=packed.type, shape=packed.shape)
        packed.name = f"{packed.name}/{_of(packed)}"
        graph.append(self._transdata(packed, Format.ND, plain))
        graph.outputs[index] = plain
        self._converted[packed, Format.ND] = plain

    def _transdata(self, value: ir.Value, layout: Format, result: ir.Value) -> ir.Node:
        """Return a node that turns ``value`` into ``result``, a kernel of its own."""
        node = ir.node("TransData", [value], domain=DOMAIN, name=f"{result.name}/TransData", outputs=[result])
        result.metadata_props[FORMAT] = layout
        number = f"transdata{len(self._converted)}"
        node.metadata_props.update({KERNEL: number, "unit": "vector", "from": _of(value), "to": layout})
        producer = value.producer()
        if producer is not None and "zooport.module" in producer.metadata_props:
            node.metadata_props["zooport.module"] = producer.metadata_props["zooport.module"]
        return node


def _is_picture(operator: str, value: ir.Value, layout: Format) -> bool:
    """Say whether ``value`` is a picture that AIPP can bring into a convolution's layout on its way in."""
    read_once = len({use.node for use in value.uses()}) == 1
    first = operator == "Conv" and layout is Format.NC1HWC0 and value.is_graph_input()
    return first and read_once and _channels(value) <= 4


def _result_layout(node: ir.Node, operator: str, layout: Format) -> Format:
    """Return the layout of what ``node`` makes, where it works in ``layout``.

    A transpose to or from channels last changes the layout on its way: blocks of 16 channels are moved as they are.
    """
    if operator != "Transpose":
        return layout
    if layout is Format.NC1HWC0:
        return Format.ND
    users = {operator_of(use.node) for use in node.outputs[0].uses()}
    to_blocks = _order(node) == _CHANNELS_FIRST and bool(users) and users <= _BY_CHANNELS
    return Format.NC1HWC0 if to_blocks and layout is Format.ND else layout


def _order(node: ir.Node) -> list[int]:
    return list(node.attributes.get_ints("perm", ()))


def _is_data(value: ir.Value) -> bool:
    """Say whether ``value`` is a tensor of numbers that the run makes; weights are laid out when the model is built."""
    return value.const_value is None and value.dtype in (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


def _of(value: ir.Value) -> Format:
    return Format(value.metadata_props.get(FORMAT, "ND"))


def _convertible(value: ir.Value, layout: Format) -> bool:
    """Say whether ``value`` has enough axes for ``layout``."""
    rank = len(value.shape or ())
    return value.shape is not None and rank >= {Format.ND: 0, Format.FRACTAL_NZ: 2}.get(layout, 4)


def _size(value: ir.Value) -> int:
    size = 1
    for dim in value.shape or ():
        size *= dim if isinstance(dim, int) else 1
    return size


def _channels(value: ir.Value) -> int:
    dim = value.shape[1] if value.shape is not None and len(value.shape) > 1 else 1
    return dim if isinstance(dim, int) else 1


def _unpadded(given: ir.Value, made: ir.Value) -> bool:
    """Say whether matrices in both values are whole fractals, so that reordering them moves fractals only."""
    if _of(given) is not Format.FRACTAL_NZ:
        return False
    for value in (given, made):
        dims = list(value.shape or ())[-2:]
        if len(dims) < 2 or any(not isinstance(dim, int) or dim % C0 for dim in dims):
            return False
    return True
