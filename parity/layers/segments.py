"""A port cut into a few segments: between them lies all that later segments read, and the original has it as well."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from parity.layers.cut import Layer, as_model, is_constant
from zoo.executor import Session
from zoo.graph import HANDLE
from zoo.inputs import Feed
from zoo.store import read_tensor
from zoo.work import static_shape

Values = dict[ir.Value, np.ndarray]


class Segments:
    """About as many segments as each has layers, cut where little is alive.

    Attributes:
        bounds: The number of each segment's first layer, and the number of layers at the end.
    """

    def __init__(
        self, model: ir.Model, layers: Sequence[Layer], load: Callable[[bytes], Session], sizes: Mapping[str, int]
    ) -> None:
        self._model, self._layers, self._load = model, layers, load
        self._last = {value: place for place, layer in enumerate(layers) for value in layer.inputs}
        self.bounds = _bounds(self._alive(sizes))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def _alive(self, sizes: Mapping[str, int]) -> list[int]:
        """Return how many elements lie between each layer and the one before it."""
        alive, count, ends = list[int](), 0, dict[int, int]()
        for place, layer in enumerate(self._layers):
            alive.append(count)
            for value in layer.outputs:
                last = self._last.get(value, place)
                if last > place:
                    elements = math.prod(static_shape(value, sizes) or (0,))
                    count += elements
                    ends[last] = ends.get(last, 0) + elements
            count -= ends.pop(place, 0)
        return alive

    def layers(self, first: int, end: int) -> range:
        """Return the numbers of the layers of the segments from ``first`` up to ``end``."""
        return range(self.bounds[first], self.bounds[end])

    def frontier(self, bound: int) -> list[ir.Value]:
        """Return what the segments before ``bound`` make and those from it on read, and outputs of the graph."""
        cut = self.bounds[bound]
        return [value for layer in self._layers[:cut] for value in layer.outputs if self._stays(value, cut)]

    def outputs(self) -> list[ir.Value]:
        """Return the graph's outputs that the layers make."""
        return self.frontier(len(self))

    def _stays(self, value: ir.Value, cut: int) -> bool:
        return value.is_graph_output() or self._last.get(value, -1) >= cut

    def run(self, first: int, end: int, values: Values, feed: Feed) -> Values:
        """Run the port's segments from ``first`` up to ``end`` on ``values`` and return what lies behind them.

        Raises:
            UserError: If the runtime does not take a segment.
        """
        known = {value: feed[str(value.name)] for value in self._model.graph.inputs} | values
        for place in range(first, end):
            known |= self._run_one(place, known)
            cut = self.bounds[place + 1]
            known = {value: array for value, array in known.items() if self._stays(value, cut) or not value.producer()}
        return {value: array for value, array in known.items() if value.producer() is not None}

    def _run_one(self, place: int, known: Values) -> Values:
        layers = [self._layers[number] for number in self.layers(place, place + 1)]
        nodes = list(dict.fromkeys(node for layer in layers for node in layer.nodes))
        order = {node: number for number, node in enumerate(self._model.graph)}
        nodes.sort(key=order.__getitem__)
        made = {value for layer in layers for value in layer.outputs}
        inputs = list(dict.fromkeys(value for layer in layers for value in layer.inputs if value not in made))
        weights = list(dict.fromkeys(value for layer in layers for value in layer.weights))
        kept = [value for layer in layers for value in layer.outputs if self._stays(value, self.bounds[place + 1])]
        joined = Layer(nodes, inputs, weights, {value: value.metadata_props[HANDLE] for value in kept})
        proto = as_model(joined, self._model.graph.opset_imports, self._model.ir_version)
        feed = {str(value.name): known[value] for value in inputs}
        feed |= {
            str(value.name): read_tensor(value.const_value)
            for value in weights
            if value.const_value is not None and not is_constant(value)
        }
        with self._load(proto.SerializeToString()) as session:
            results = session.run(feed)
        return {value: results[str(value.name)] for value in kept}


def _bounds(alive: Sequence[int]) -> list[int]:
    """Return cuts about the square root of the number of layers apart, each where the least lies between."""
    count = len(alive)
    step = max(1, round(math.sqrt(count)))
    bounds = [0]
    while bounds[-1] + step < count:
        even = bounds[-1] + step
        around = range(max(bounds[-1] + 1, even - step // 2), min(count, even + step // 2 + 1))
        bounds.append(min((alive[place], abs(place - even), place) for place in around)[2])
    return [*bounds, count]
