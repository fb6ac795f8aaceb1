"""Leaves out roundings, and parts of them, that cannot change a bit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from zoo.ascend.functions import (
    BOTH_HELD,
    DOMAIN,
    FROM_FINITE,
    FROM_HELD,
    add_functions,
    definitions,
    held_format,
    twins,
)
from zoo.ascend.hardware import Chip
from zoo.ascend.passes.lower_vector import ROUNDS
from zoo.ascend.rounding import FORMATS, PRIMITIVES, Format
from zoo.ascend.vector import NAMES, WITHIN_ONE

# Operators whose output elements each equal an element of these inputs, or 0; None: of every input.
_SELECT: Final[dict[str, tuple[int, ...] | None]] = {
    **dict.fromkeys(("Concat", "Max", "Min"), None),
    **dict.fromkeys(("Abs", "Clip", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements"), (0,)),
    **dict.fromkeys(("GatherND", "GlobalMaxPool", "Identity", "MaxPool", "Neg", "Pad", "ReduceMax"), (0,)),
    **dict.fromkeys(("ReduceMin", "Relu", "Reshape", "ReverseSequence", "Slice", "SpaceToDepth"), (0,)),
    **dict.fromkeys(("Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze"), (0,)),
    "Where": (1, 2),
}
# Operators whose output is no larger in magnitude than their (finite) input.
_SHRINK: Final = frozenset(("AveragePool", "Gelu", "GlobalAveragePool", "HardSwish", "Mish", "ReduceMean", "Swish"))
# Operators whose output lies in [-1, 1] for any finite input.
_UNIT: Final = frozenset(("Cos", "Erf", "HardSigmoid", "Sigmoid", "Sin", "Softmax", "Tanh"))

# Bounds are exact arithmetic, the device rounds and sums: stay well below the float32 maximum (3.4e38).
_FINITE: Final = 1e30
# Larger constants are weights; reading them would cost more than it saves.
_SMALL: Final = 1 << 16


@dataclasses.dataclass(frozen=True)
class _Known:
    """What is known of every element of a value: which formats hold it, and how large it can be (inf: or NaN)."""

    formats: frozenset[str] = frozenset()
    bound: float = math.inf


_NOTHING: Final = _Known()


class ElideRoundingPass(InPlacePass):
    """Leave out roundings that change nothing, and the parts of a rounding that have no effect.

    A cube operator becomes a twin: ``_from_held`` or ``_both_held`` where operands hold values of its format: results
    of the cube, and what only selects or moves their elements; ``_from_finite`` where the left one cannot be NaN: what
    is bounded, such as the sum of two results of a cube that saturates. A rounding of a value that its format holds
    goes; one of a bounded value needs no check for NaN or for the range. All give the same bits; they save the emulator
    passes over the feature maps.
    """

    def __init__(self, chip: Chip) -> None:
        super().__init__()
        self._chip = chip

    def call(self, model: ir.Model) -> PassResult:
        """Follow what is known of values through the graph, in order, and elide what it makes useless."""
        known: dict[ir.Value, _Known] = {}
        used: set[str] = set()
        modified = False
        for node in list(model.graph.all_nodes()):
            if node.domain == DOMAIN:
                form = _rounds_to(node)
                if form is not None and form.name in _of(node.inputs[0], known).formats and _remove(node):
                    modified = True
                    continue
                cheaper = self._cheaper_rounding(node, form, known) if form is not None else self._twin(node, known)
                if cheaper is not None:
                    node.op_type = cheaper
                    used.add(cheaper)
            known.update(dict.fromkeys(node.outputs, self._result(node, known)))
        add_functions(model, sorted(used), self._chip.saturates)
        return PassResult(model, modified=modified or bool(used))

    def _twin(self, node: ir.Node, known: dict[ir.Value, _Known]) -> str | None:
        """Return the function that may replace the cube operator ``node``, if there is one."""
        if node.op_type in NAMES or len(node.inputs) < 2:
            return None
        suffix, held = held_format(node.op_type)
        left, right = _of(node.inputs[0], known), _of(node.inputs[1], known)
        # Only a chip that saturates treats NaN apart, so only there finite operands are cheaper.
        finite = FROM_FINITE if self._chip.saturates and left.bound < math.inf else ""
        both = BOTH_HELD if held in right.formats else FROM_HELD
        twin = both if held in left.formats else finite
        name = f"{node.op_type}{twin}"
        return name if twin in twins(suffix)[1:] and name in definitions(self._chip.saturates) else None

    def _cheaper_rounding(self, node: ir.Node, form: Format | None, known: dict[ir.Value, _Known]) -> str | None:
        """Return the primitive that may replace the rounding ``node``, if there is one."""
        assert form is not None
        bound = _of(node.inputs[0], known).bound
        if bound <= form.largest:
            return f"RoundSmall{form.label}"
        return f"RoundFinite{form.label}" if self._chip.saturates and bound < math.inf else None

    def _result(self, node: ir.Node, known: dict[ir.Value, _Known]) -> _Known:
        """Return what is known of the outputs of ``node``."""
        if node.domain == DOMAIN:
            return self._of_function(node, known)
        if node.domain:
            return _NOTHING
        result = _standard_result(node, [_of(value, known) for value in node.inputs])
        return result if result.bound < _FINITE else _Known(result.formats, math.inf)

    def _of_function(self, node: ir.Node, known: dict[ir.Value, _Known]) -> _Known:
        form = _rounds_to(node)
        if form is not None:
            bound = _of(node.inputs[0], known).bound
            # Rounding may go up, by half a gap at most.
            if bound <= form.largest:
                return _Known(frozenset((form.name,)), min(bound * (1 + form.gap), form.largest))
        elif node.op_type in PRIMITIVES:
            return _NOTHING
        else:
            form = _result_format(node.op_type)
        if form is None:
            return _NOTHING
        # In Inf/NaN mode a result may be Inf, and further operators may make that NaN.
        largest = form.largest if self._chip.saturates else math.inf
        return _Known(frozenset((form.name,)), min(largest, _WITHIN) if node.op_type in WITHIN_ONE else largest)


# On a chip that saturates: 1, and what rounding the factors of a quotient can add to it.
_WITHIN: Final = 2.0


def _rounds_to(node: ir.Node) -> Format | None:
    """Return the format that the node ``Round...`` rounds to; None for any other node."""
    for form in FORMATS.values():
        if node.domain == DOMAIN and node.op_type in (f"Round{form.label}", f"RoundFinite{form.label}"):
            return form
    return None


def _result_format(function: str) -> Format | None:
    """Return the format that the result of a cube or vector function is rounded to."""
    if function in NAMES:
        return FORMATS["fp16"]
    if "Int8" in function:
        return None if function.endswith("_fp32") else FORMATS["fp16"]
    return {"": FORMATS["fp16"], "_bf16": FORMATS["bf16"]}.get(held_format(function)[0])


def _remove(node: ir.Node) -> bool:
    """Take out a rounding whose operand is its result; return whether that could be done."""
    value, rounded = node.inputs[0], node.outputs[0]
    assert value is not None
    if rounded.is_graph_output() and (value.producer() is None or value.is_graph_output()):
        return False
    ir.convenience.replace_all_uses_with(rounded, value, replace_graph_outputs=True)
    assert node.graph is not None
    node.graph.remove(node, safe=True)
    if node.metadata_props.get(ROUNDS):
        value.name = rounded.name
        value.metadata_props.update(rounded.metadata_props)
    return True


def _of(value: ir.Value | None, known: dict[ir.Value, _Known]) -> _Known:
    """Return what is known of ``value``: from its producer, or from its elements if it is a small constant."""
    if value is None:
        return _Known(frozenset(FORMATS), bound=0.0)
    # The output of a Constant node has a producer of which nothing is known, but elements.
    if known.get(value, _NOTHING) != _NOTHING:
        return known[value]
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None or tensor.dtype != ir.DataType.FLOAT or not 0 < tensor.size <= _SMALL:
        return _NOTHING
    if isinstance(tensor, ir.ExternalTensor) and not Path(tensor.path).is_file():
        # A graph ported without its weights can be compiled for its speed; nothing is known of their values.
        return _NOTHING
    elements = tensor.numpy()
    if not np.isfinite(elements).all():
        return _NOTHING
    bound = float(np.abs(elements).max())
    held = {form.name for form in FORMATS.values() if bound <= form.largest and _holds(form, elements)}
    return _Known(frozenset(held), bound)


def _holds(form: Format, elements: np.ndarray) -> bool:
    narrow = elements.astype(ir.DataType(form.onnx).numpy())
    return bool((narrow.astype(np.float32) == elements).all())


def _standard_result(node: ir.Node, inputs: Sequence[_Known]) -> _Known:
    """Return what is known of the outputs of a standard operator, given what is known of its inputs."""
    op = node.op_type
    bounds = [item.bound for item in inputs]
    if op in ("Add", "Sub", "Sum"):
        return _Known(bound=sum(bounds))
    if op == "Mul":
        return _Known(bound=math.inf if math.inf in bounds else math.prod(bounds))
    if op in _SHRINK or op in _UNIT:
        return _Known(bound=bounds[0] if op in _SHRINK or bounds[0] == math.inf else 1.0)
    if op not in _SELECT:
        return _NOTHING
    which = _SELECT[op]
    if op in ("Clip", "Pad"):
        # The limits of Clip, and what Pad fills in, reach the output as well.
        which = (0, 1, 2) if op == "Clip" else (0, 2)
    elements = [inputs[index] for index in which if index < len(inputs)] if which else inputs
    return _Known(frozenset.intersection(*(item.formats for item in elements)), max(item.bound for item in elements))
