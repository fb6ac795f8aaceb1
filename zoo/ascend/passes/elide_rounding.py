"""Leaves out the parts of rounding a cube operand that cannot change a bit of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from zoo.ascend.functions import DOMAIN, FP16_MAX, FROM_FINITE, FROM_FP16, add_functions, definitions
from zoo.ascend.hardware import Chip
from zoo.ascend.units import ASCEND_VECTOR

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
_SHRINK: Final = frozenset(("AveragePool", "Gelu", "GlobalAveragePool", "HardSwish", "Mish", "Swish"))
# Operators whose output lies in [-1, 1] for any finite input.
_UNIT: Final = frozenset(("Cos", "Erf", "HardSigmoid", "Sigmoid", "Sin", "Softmax", "Tanh"))

# Bounds are exact arithmetic, the device rounds and sums: stay well below the float32 maximum (3.4e38).
_FINITE: Final = 1e30
# Larger constants are weights; reading them would cost more than it saves.
_SMALL: Final = 1 << 16


@dataclasses.dataclass(frozen=True)
class _Known:
    """What is known of every element of a value: whether fp16 holds it, and how large it can be (inf: or NaN)."""

    fp16: bool
    bound: float


_NOTHING: Final = _Known(fp16=False, bound=math.inf)


class ElideRoundingPass(InPlacePass):
    """Switch a cube operator to a twin that skips rounding steps without effect on its left operand.

    ``_from_fp16`` where the operand holds fp16 values: results of the cube, and what only selects or moves their
    elements. ``_from_finite`` where it cannot be NaN: what is bounded, such as the sum of two results of a cube
    that saturates. Both give the same bits; they save the emulator passes over the feature maps.
    """

    def __init__(self, chip: Chip) -> None:
        super().__init__()
        self._chip = chip

    def call(self, model: ir.Model) -> PassResult:
        """Follow what is known of values through the graph, in order, and elide what it makes useless."""
        known: dict[ir.Value, _Known] = {}
        twins = set()
        for node in model.graph.all_nodes():
            if node.domain == DOMAIN:
                twin = self._twin(node, known)
                if twin is not None:
                    node.op_type = twin
                    twins.add(twin)
            result = self._result(node, known)
            known.update(dict.fromkeys(node.outputs, result))
        add_functions(model, sorted(twins), self._chip.saturates)
        return PassResult(model, modified=bool(twins))

    def _twin(self, node: ir.Node, known: dict[ir.Value, _Known]) -> str | None:
        """Return the function that may replace the call ``node``, if there is one."""
        left = known.get(node.inputs[0], _NOTHING) if node.inputs[0] is not None else _NOTHING
        # Only a chip that saturates treats NaN apart, so only there finite operands are cheaper.
        finite = self._chip.saturates and left.bound < math.inf
        suffix = FROM_FP16 if left.fp16 else FROM_FINITE if finite else None
        twin = f"{node.op_type}{suffix}"
        return twin if suffix and twin in definitions(self._chip.saturates) else None

    def _result(self, node: ir.Node, known: dict[ir.Value, _Known]) -> _Known:
        """Return what is known of the outputs of ``node``."""
        if node.domain == DOMAIN and node.op_type not in ASCEND_VECTOR:
            # In Inf/NaN mode an fp16 result may be Inf, and further operators may make that NaN.
            return _Known(fp16=True, bound=FP16_MAX if self._chip.saturates else math.inf)
        if node.domain:
            return _NOTHING
        result = _standard_result(node, [_of(value, known) for value in node.inputs])
        return result if result.bound < _FINITE else _Known(result.fp16, math.inf)


def _of(value: ir.Value | None, known: dict[ir.Value, _Known]) -> _Known:
    """Return what is known of ``value``: from its producer, or from its elements if it is a small constant."""
    if value is None:
        return _Known(fp16=True, bound=0.0)
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
    fp16 = bound <= FP16_MAX and bool((elements.astype(np.float16) == elements).all())
    return _Known(fp16, bound)


def _standard_result(node: ir.Node, inputs: Sequence[_Known]) -> _Known:
    """Return what is known of the outputs of a standard operator, given what is known of its inputs."""
    op = node.op_type
    bounds = [item.bound for item in inputs]
    if op in ("Add", "Sub", "Sum"):
        return _Known(fp16=False, bound=sum(bounds))
    if op == "Mul":
        return _Known(fp16=False, bound=math.inf if math.inf in bounds else math.prod(bounds))
    if op in _SHRINK or op in _UNIT:
        return _Known(fp16=False, bound=bounds[0] if op in _SHRINK or bounds[0] == math.inf else 1.0)
    if op not in _SELECT:
        return _NOTHING
    which = _SELECT[op]
    if op in ("Clip", "Pad"):
        # The limits of Clip, and what Pad fills in, reach the output as well.
        which = (0, 1, 2) if op == "Clip" else (0, 2)
    elements = [inputs[index] for index in which if index < len(inputs)] if which else inputs
    return _Known(all(item.fp16 for item in elements), max(item.bound for item in elements))
