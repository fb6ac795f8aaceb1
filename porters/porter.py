"""What a porter is: the untouched original that can be run, and its translation into the static-graph format."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from zoo.errors import UserError
from zoo.inputs import Feed, InputSpec

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

# own: the framework's own precision; float64: the truth run. The others are the original with a chip's rounding:
# *_cube: of matrix products alone (fp16_fp32_cube: of their operands only); fp16: of every operator; *_mixed: of what
# the lists of mixed precision lower.
Precision = Literal[
    "own", "float64", "fp16_cube", "fp16_fp32_cube", "bf16_cube", "hf32_cube", "fp16", "fp16_mixed", "bf16_mixed"
]


# Ranges of symbolic dimensions by name; None is no upper end.
Ranges = Mapping[str, tuple[int, int | None]]


class Original(Protocol):
    """A reference model, never patched, that can be run in its own precision and as float64 truth.

    Attributes:
        framework: ``pytorch``, ``tensorflow`` or ``onnx``.
        reference: The source reference that builds it again (``torchvision:resnet50``), empty for a live object.
        name: Short name for the card.
        task: ``image-classification``, ``feature-extraction`` ...
        inputs: The signature; symbolic dimensions are names.
        outputs: Output names in order.
        versions: Package versions that matter.
        licence: As the package's metadata says.
        checkpoint: What the weights are: ``{kind: seeded|package|file|live, seed, recalibrated, files: [...]}``.
        details: More entries for the card (preprocessing, evaluation ...).
    """

    framework: str
    reference: str
    name: str
    task: str
    inputs: Sequence[InputSpec]
    outputs: Sequence[str]
    versions: Mapping[str, str]
    licence: str
    checkpoint: Mapping[str, Any]
    details: Mapping[str, Any]

    @property
    def runs(self) -> bool:
        """Whether the original can be run at all: one whose weights stay on disk cannot."""
        ...

    def run(self, feed: Feed, precision: Precision = "own") -> dict[str, np.ndarray]:
        """Run the original on ``feed`` and return its outputs by name.

        Raises:
            PrecisionUnavailableError: If the original cannot be run in ``precision``.
        """
        ...

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the original's weights under their upstream names."""
        ...

    def steps(self, ported: Sequence[InputSpec]) -> Steps:
        """Return the original's own graph, to be run operator by operator.

        Args:
            ported: The signature of the port, some dimensions of which may be fixed: the graph is that of the port.

        Raises:
            PrecisionUnavailableError: If it cannot be run so.
        """
        ...


@dataclass(frozen=True)
class Step:
    """One result of one operator of the original.

    Attributes:
        handle: Its name; ``zoo.graph.HANDLE`` holds it on the port's value.
        own: What the original makes of it in its own precision.
        truth: What it is in float64 from the inputs on.
        unordered: The axis along which the operator leaves the order of its results open.
    """

    handle: str
    own: np.ndarray
    truth: np.ndarray
    unordered: int | None = None


class Steps(Protocol):
    """The original's own graph, run operator by operator in two precisions side by side, holding what is still read."""

    def handles(self) -> Sequence[str]:
        """Return the handles of every result in the order in which they are computed."""
        ...

    def walk(self, feed: Feed, wanted: Collection[str]) -> Iterator[Step]:
        """Run on ``feed`` and yield the results in ``wanted`` as they come.

        Raises:
            PrecisionUnavailableError: If an operator cannot be run in float64.
        """
        ...

    def single(self, handles: Sequence[str], known: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return results in float64, computed from ``known`` results and the inputs of the walk that is going on.

        Raises:
            PrecisionUnavailableError: If an operator cannot be run in float64.
        """
        ...


class PrecisionUnavailableError(Exception):
    """The original cannot be run in the precision asked for; the message says why."""


@dataclass(frozen=True)
class Unsupported:
    """An operator without a translation.

    Attributes:
        op: The source operator.
        module: Path of the module or layer.
        line: File and line of the source.
        hint: What the user can do.
    """

    op: str
    module: str
    line: str
    hint: str = ""


class UnsupportedOpsError(UserError):
    """Operators that a translator has no answer for, all of them at once."""

    def __init__(self, ops: Sequence[Unsupported]) -> None:
        self.ops = list(ops)
        kinds = sorted({item.op for item in ops})
        places = [
            " ".join(part for part in (item.op, item.module and f"in {item.module}", item.line) if part) for item in ops
        ]
        hints = sorted({item.hint for item in ops if item.hint})
        super().__init__(
            f"unsupported: {', '.join(kinds)}",
            place="the source's graph",
            expected="operators with a translation",
            got="\n             ".join(dict.fromkeys(places)),
            hint="; ".join(hints) or None,
        )


@dataclass
class Translation:
    """What a porter returns.

    Attributes:
        model: The graph; its inputs and outputs carry the names of the original's signature. Parameters are lazy.
        inputs: The signature as ported: a dimension that the model forbids to be symbolic is an integer here.
        fallback: ``False``, or the reason why the whole model went through another exporter.
        unsupported: What made the fallback necessary.
        notes: Sentences for the card (a dimension that had to be fixed, prefixes stripped, ties ...).
        seconds: Seconds by stage (``export``, ``translate``).
    """

    model: ir.Model
    inputs: Sequence[InputSpec]
    fallback: str | Literal[False] = False
    unsupported: Sequence[Unsupported] = ()
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


class Porter(Protocol):
    """Builds originals of one framework and translates them."""

    framework: str

    def translate(self, original: Original, *, dynamic: Mapping[str, tuple[int, int | None]] | None) -> Translation:
        """Translate ``original`` into a static graph.

        Args:
            original: An original that this porter built.
            dynamic: Ranges for symbolic dimensions by name; ``None`` leaves the signature's own.
        """
        ...
