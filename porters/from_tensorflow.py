"""The TensorFlow porter: traces a model to a FuncGraph and translates it, one small function per operation."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from porters.canonicalize import canonicalize
from porters.porter import Original, Translation
from porters.source import with_fixed_sizes

if TYPE_CHECKING:
    from porters.tensorflow.original import TensorFlowOriginal


class TensorFlowPorter:
    """Translates Keras models and ``tf.function``s; see :class:`porters.porter.Porter`."""

    framework = "tensorflow"

    def translate(
        self, original: Original, *, dynamic: Mapping[str, tuple[int, int | None]] | None = None
    ) -> Translation:
        """Translate ``original`` into a static graph.

        Args:
            original: An original of :mod:`porters.tensorflow.sources`.
            dynamic: Ranges for symbolic dimensions by name; a range of one size makes the dimension that size.

        Raises:
            UnsupportedOpsError: Naming every operation that has no translation.
        """
        from porters.tensorflow.flatten import flatten
        from porters.tensorflow.fold import fold
        from porters.tensorflow.walk import Walk

        specs = with_fixed_sizes(original.inputs, dynamic or {})
        started = time.perf_counter()
        traced = cast("TensorFlowOriginal", original).trace(specs)
        exported = time.perf_counter()
        graph = flatten(traced.graph, traced.captured, traced.layer_of)
        fold(graph)
        walk = Walk(graph, specs, original.name)
        model = walk.model(original.outputs)
        canonicalize(model)
        seconds = {"export": exported - started, "translate": time.perf_counter() - exported}
        return Translation(
            model, specs, notes=_notes(walk.context.relaid) + _drawn(walk.context.drawn), seconds=seconds
        )


def _notes(relaid: Mapping[str, str]) -> list[str]:
    labels = sorted(set(relaid.values()))
    return [
        f"{sum(label == item for item in relaid.values())} kernels are written in ONNX's order of axes, {label}"
        for label in labels
    ]


def _drawn(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return [
        f"{len(names)} operations draw random numbers ({shown}): their seeds are frozen and their generator is another "
        "one, so that outputs which depend on them differ from the original"
    ]


PORTER = TensorFlowPorter()
