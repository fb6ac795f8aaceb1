"""Which function translates which TensorFlow operation, and which recognise a composite."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from porters.tensorflow.node import Edge, Node
from porters.tensorflow.tensor import Complex, Tensor, is_complex

Result: TypeAlias = Tensor | Sequence[Tensor]
# (context, node, one tensor for each input) -> one tensor for each output.
Translator: TypeAlias = Callable[..., Result]
Function = TypeVar("Function", bound=Callable[..., Any])

# Folders whose every module registers something when it is loaded.
FOLDERS = ("porters.tensorflow.ops", "porters.tensorflow.composites")

TRANSLATORS: dict[str, Translator] = {}
COMPLEX: dict[str, Translator] = {}
# Operations that act on the real and the imaginary part alike; sizes, axes and indices among their inputs are real.
ALIKE = frozenset(
    {
        "Reshape", "Transpose", "Squeeze", "ExpandDims", "StridedSlice", "Slice", "ConcatV2", "Pack", "Unpack", "Split",
        "SplitV", "Tile", "GatherV2", "GatherNd", "Pad", "PadV2", "ReverseV2", "Roll", "BroadcastTo", "Neg", "Add",
        "AddV2", "Sub", "AddN", "Sum", "Mean", "Cumsum", "SelectV2", "MirrorPad", "Shape", "ZerosLike",
        "MatrixBandPart", "MatrixDiagV3", "MatrixDiagPartV3", "BiasAdd", "Identity",
    }
)  # fmt: skip
RECOGNIZERS: dict[str, list[Callable[[Node], Match | None]]] = {}


class Untranslatable(Exception):  # noqa: N818 - a verdict about the user's graph, collected, never shown as a failure
    """This use of an operation has no translation; the message says what about it."""


class Unfinished(Exception):  # noqa: N818 - as above
    """A body holds something that has no translation, which has been noted."""


@dataclass(frozen=True)
class Match:
    """A composite found in the graph.

    Attributes:
        inputs: What the composite reads.
        emit: Called with the context and one tensor for each input; returns the root's output.
    """

    inputs: Sequence[Edge]
    emit: Callable[..., Tensor]


def translates(*ops: str) -> Callable[[Function], Function]:
    """Register the decorated function as the translator of ``ops``."""

    def register(function: Function) -> Function:
        TRANSLATORS.update(dict.fromkeys(ops, function))
        return function

    return register


def translates_complex(*ops: str) -> Callable[[Function], Function]:
    """Register the decorated function, which takes over where an operand or a result of ``ops`` is complex."""

    def register(function: Function) -> Function:
        COMPLEX.update(dict.fromkeys(ops, function))
        return function

    return register


def find(node: Node, tensors: Sequence[Tensor]) -> Translator | None:
    """Return the translator of ``node`` for these operands.

    Raises:
        Untranslatable: Where the operation is complex and only has a translator for real numbers.
    """
    if not any(isinstance(tensor, Complex) for tensor in tensors) and not any(map(is_complex, node.dtypes)):
        return TRANSLATORS.get(node.op)
    if node.op in COMPLEX:
        return COMPLEX[node.op]
    if node.op in ALIKE and node.op in TRANSLATORS:
        return _part_by_part
    raise Untranslatable("of complex numbers")


def _part_by_part(ctx: Any, node: Node, *tensors: Tensor) -> Result:
    translator = TRANSLATORS[node.op]
    parts = []
    for place in (0, 1):
        result = translator(ctx, node, *(item.parts[place] if isinstance(item, Complex) else item for item in tensors))
        parts.append([result] if isinstance(result, Tensor) else list(result))
    return [
        Complex.of(real, imag) if is_complex(node.dtypes[index]) else real
        for index, (real, imag) in enumerate(zip(*parts, strict=True))
    ]


def recognizes(*roots: str) -> Callable[[Function], Function]:
    """Register the decorated function, which finds a composite by its last operation (one of ``roots``)."""

    def register(function: Function) -> Function:
        for root in roots:
            RECOGNIZERS.setdefault(root, []).append(function)
        return function

    return register


@functools.cache
def load() -> None:
    """Import every module that registers something."""
    for folder in FOLDERS:
        for module in pkgutil.iter_modules(importlib.import_module(folder).__path__):
            importlib.import_module(f"{folder}.{module.name}")


def match(node: Node) -> Match | None:
    """Return the composite that ends in ``node``, if there is one."""
    for recognizer in RECOGNIZERS.get(node.op, ()):
        found = recognizer(node)
        if found is not None:
            return found
    return None
