"""An ONNX graph run node by node: in float64, in its own precision, or with a chip's rounding of its operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import ml_dtypes
import numpy as np
import onnx_ir as ir

from porters.onnx.reading import opset_of
from porters.onnx.single import SingleRuns, reads
from porters.porter import Precision, PrecisionUnavailableError, Step
from zoo.inputs import Feed
from zoo.store import read_tensor

# What an Ascend cube unit computes; an operand that was dequantised enters it as the integer that it was.
_CUBE = ("Conv", "ConvTranspose", "MatMul", "Gemm")
_CONVOLUTION = ("Conv", "ConvTranspose")
# Operators that contain products of their own: nothing says how their parts are rounded.
_COMPOSED = ("Attention", "LSTM", "GRU", "RNN", "Einsum", "DeformConv")
# Precision -> (what cube operands, cube results and every other result are rounded to, which operators are the cube's).
_RULES: Mapping[str, tuple[str, str, str, Sequence[str]]] = {
    "fp16_cube": ("fp16", "fp16", "", _CUBE),
    "fp16_fp32_cube": ("fp16", "", "", _CUBE),
    "bf16_cube": ("bf16", "bf16", "", _CUBE),
    "hf32_cube": ("hf32", "", "", _CONVOLUTION),
    "fp16": ("fp16", "fp16", "fp16", _CUBE),
}
# What the last place of a cube's result is worth, relative to the result.
_STEPS = {"fp16": 2.0**-10, "bf16": 2.0**-7, "": 2.0**-23}


def rounded(array: np.ndarray, kind: str) -> np.ndarray:
    """Return float32 ``array`` rounded to ``fp16``, ``bf16`` or ``hf32`` (11 bits of fraction), as float32."""
    if not kind or array.dtype != np.float32:
        return array
    with np.errstate(over="ignore"):
        if kind == "hf32":
            bits = np.ascontiguousarray(array).view(np.uint32)
            even = (bits >> np.uint32(12)) & np.uint32(1)
            nearest = ((bits + np.uint32(0x7FF) + even) & np.uint32(0xFFFFF000)).view(np.float32)
            return np.where(np.isfinite(array), nearest, array)
        return array.astype(np.float16 if kind == "fp16" else ml_dtypes.bfloat16).astype(np.float32)


class Program:
    """The nodes of a model in order, with what each reads; see ``porters.porter.Steps`` for the part it plays there."""

    def __init__(self, model: ir.Model) -> None:
        self.nodes = list(model.graph)
        self.inputs = [str(value.name) for value in model.graph.inputs]
        self.outputs = [str(value.name) for value in model.graph.outputs]
        self._tensors = {name: value.const_value for name, value in model.graph.initializers.items()}
        self._reads = {node: reads(node) for node in self.nodes}
        self._readers = Counter(name for node in self.nodes for name in self._reads[node])
        self._place = {str(value.name): at for at, node in enumerate(self.nodes) for value in node.outputs}
        self._runs = {wide: SingleRuns(opset_of(model), wide=wide) for wide in (False, True)}
        self._feed: Feed = {}

    def run(self, feed: Feed, precision: Precision) -> dict[str, np.ndarray]:
        """Return the outputs for ``feed``, holding no value longer than it is read.

        Raises:
            PrecisionUnavailableError: If a node cannot be run so.
        """
        wide = precision == "float64"
        around = _plain if wide else self._rounding(precision)
        known = self._given(feed, wide=wide)
        left = Counter(self._readers)
        left.update(self.outputs)
        for node in self.nodes:
            known |= around(node, self._operands(node, known, wide=wide), self._runs[wide])
            self._release(node, left, known)
        return {name: self._value(name, known, wide=wide) for name in self.outputs}

    def handles(self) -> Sequence[str]:
        """Return the names of every result in the order in which they are computed."""
        return [str(value.name) for node in self.nodes for value in node.outputs if value.name]

    def walk(self, feed: Feed, wanted: Collection[str]) -> Iterator[Step]:
        """Run on ``feed`` in both precisions and yield the results in ``wanted`` as they come."""
        self._feed = feed
        looked_at, left = set(wanted), Counter(self._readers)
        own, truth = (self._given(feed, wide=wide) for wide in (False, True))
        for node in self.nodes:
            for chain, wide in ((own, False), (truth, True)):
                chain.update(_plain(node, self._operands(node, chain, wide=wide), self._runs[wide]))
            for value in node.outputs:
                name = str(value.name)
                if value.name and name in looked_at:
                    yield Step(name, own[name], truth[name])
            self._release(node, left, own, truth)

    def single(self, handles: Sequence[str], known: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return results in float64, computed from ``known`` ones and the inputs of the walk that is going on."""
        held = self._given(self._feed, wide=True) | {name: _wide(array) for name, array in known.items()}
        for node in self._needed(handles, held):
            results = _plain(node, self._operands(node, held, wide=True), self._runs[True])
            held |= {name: array for name, array in results.items() if name not in held}
        return {name: held[name] for name in handles}

    def _needed(self, handles: Iterable[str], held: Collection[str]) -> list[ir.Node]:
        places: set[int] = set()
        pending = [name for name in handles if name not in held]
        while pending:
            place = self._place.get(pending.pop())
            if place is not None and place not in places:
                places.add(place)
                pending += [name for name in self._reads[self.nodes[place]] if name not in held]
        return [self.nodes[place] for place in sorted(places)]

    def _given(self, feed: Feed, *, wide: bool) -> dict[str, np.ndarray]:
        return {name: _wide(feed[name]) if wide else feed[name] for name in self.inputs}

    def _operands(self, node: ir.Node, known: Mapping[str, np.ndarray], *, wide: bool) -> dict[str, np.ndarray]:
        return {name: self._value(name, known, wide=wide) for name in self._reads[node]}

    def _value(self, name: str, known: Mapping[str, np.ndarray], *, wide: bool) -> np.ndarray:
        """Return a value by name; a weight is read anew for each node, and never held twice."""
        if name in known:
            return known[name]
        tensor = self._tensors.get(name)
        if tensor is None:
            raise PrecisionUnavailableError(f"the value {name} is not known")
        array = read_tensor(tensor)
        return _wide(array) if wide else array

    def _release(self, node: ir.Node, left: Counter[str], *chains: dict[str, np.ndarray]) -> None:
        left.subtract(self._reads[node])
        for name in (*self._reads[node], *(str(value.name) for value in node.outputs)):
            if left[name] <= 0:
                for known in chains:
                    known.pop(name, None)

    def _rounding(self, precision: Precision) -> _Run:
        """Return how a node is run in ``precision``.

        Raises:
            PrecisionUnavailableError: If nothing says how its operators round.
        """
        if precision == "own":
            return _plain
        composed = sorted({node.op_type for node in self.nodes if node.op_type in _COMPOSED})
        if precision not in _RULES or composed:
            what = ", ".join(composed) if composed else "the operators of an ONNX file"
            raise PrecisionUnavailableError(f"nothing says how {what} round in {precision}")
        operand, result, vector, cube = _RULES[precision]

        def run(node: ir.Node, known: dict[str, np.ndarray], runs: SingleRuns) -> dict[str, np.ndarray]:
            if node.op_type in cube:
                first = [value for value in node.inputs[:2] if value is not None and not _dequantised(value)]
                known = known | {str(value.name): rounded(known[str(value.name)], operand) for value in first}
                return {name: rounded(array, result) for name, array in _plain(node, known, runs).items()}
            if node.op_type == "QuantizeLinear":
                return _either_way(node, known, runs, vector, _STEPS[result])
            if not vector or node.op_type == "DequantizeLinear":
                return _plain(node, known, runs)
            known = {name: rounded(array, vector) for name, array in known.items()}
            return {name: rounded(array, vector) for name, array in _plain(node, known, runs).items()}

        return run


_Run = Callable[[ir.Node, dict[str, np.ndarray], SingleRuns], dict[str, np.ndarray]]


def _plain(node: ir.Node, known: dict[str, np.ndarray], runs: SingleRuns) -> dict[str, np.ndarray]:
    names = [str(value.name) for value in node.outputs if value.name]
    return dict(zip(names, runs.run(node, known), strict=False))


def _either_way(
    node: ir.Node, known: dict[str, np.ndarray], runs: SingleRuns, vector: str, step: float
) -> dict[str, np.ndarray]:
    """Quantise, and where a value is within one last place of the next integer, answer that one.

    Between two integers either is as good an answer, and a chip that rounds once more or less gives the other. What a
    few such values decide is noise; the nearest integer alone would find none of it where they are few.
    """
    first = str(node.inputs[0].name) if node.inputs[0] is not None else ""
    value = rounded(known[first], vector)
    plain, up, down = (
        _plain(node, known | {first: (value * factor).astype(value.dtype)}, runs) for factor in (1, 1 + step, 1 - step)
    )
    return {n: np.where(up[n] != a, up[n], np.where(down[n] != a, down[n], a)) for n, a in plain.items()}


def _dequantised(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type == "DequantizeLinear"


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" or array.dtype == ml_dtypes.bfloat16 else array
