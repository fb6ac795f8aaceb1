"""Says, operator by operator, what a chip and ATC make of a graph, and what to do about what they refuse."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import onnx_ir as ir

from zoo.ascend.hardware import Chip
from zoo.ascend.operators import NO_KERNEL
from zoo.ascend.passes.assign_units import unit_of
from zoo.ascend.passes.specialise import symbols

# The dimension that counts samples, by the name that the porters give it.
BATCH: Final = "batch"
NO_SIZES: Final[Mapping[str, int]] = MappingProxyType({})
# What ATC's ONNX parser takes, and how many static graphs one model may hold (chip facts: ATC documents).
ATC_OPSETS: Final = (11, 18)
MOST_GEARS: Final = 100
# Operators that came after ATC's newest opset, and the opset of each.
_NEWER: Final[Mapping[str, int]] = {
    "Attention": 23, "RMSNormalization": 23, "RotaryEmbedding": 23, "Gelu": 20, "Swish": 24, "TensorScatter": 24,
    "StringConcat": 20, "AffineGrid": 20, "Col2Im": 18, "GroupNormalization": 21,
}  # fmt: skip
_REWRITES: Final[Mapping[str, str]] = {
    "NonMaxSuppression": "run it on the host, or use the BatchMultiClassNonMaxSuppression kernel of the detection head",
    "NonZero": "replace the selection by a mask: sizes that depend on data keep the rest from being static",
    "Unique": "run it on the host, before or behind the model",
    "Loop": "unroll it where the number of rounds is fixed",
    "If": "export the branch that is taken: the chip runs static graphs",
    "Scan": "unroll it where the sequence has a fixed length",
    "STFT": "write it as a convolution with the window's Fourier basis",
    "DFT": "write it as a product with the Fourier matrix",
    "RandomNormalLike": "draw the noise on the host and make it an input",
    "Multinomial": "sample on the host from the model's logits",
}


@dataclasses.dataclass(frozen=True)
class OperatorSupport:
    """What becomes of one kind of operator.

    Attributes:
        op: The ONNX operator.
        count: How many nodes.
        unit: ``cube``, ``vector``, ``aicpu`` or ``unsupported``.
        reason: Why, where that is not obvious.
        rewrite: What would help, where something would.
        examples: Up to three nodes, with module and line of the source.
    """

    op: str
    count: int
    unit: str
    reason: str
    rewrite: str
    examples: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Compatibility:
    """Whether a graph runs on a chip as it is.

    Attributes:
        operators: Each kind of operator, the troublesome first.
        dynamic: Symbolic dimensions of the inputs: each needs a size, or gears.
        data_dependent: Nodes whose result has a size that depends on data.
        int64: Values of type int64 that are computed on the chip.
        float64: Values of type float64.
        opset: The graph's opset.
        atc_opset: Whether ATC's parser takes that opset as it is.
        notes: What else has to be done, in words.
        atc: The command line of ATC.
    """

    operators: Sequence[OperatorSupport]
    dynamic: Sequence[str]
    data_dependent: Sequence[str]
    int64: int
    float64: int
    opset: int
    atc_opset: bool
    notes: Sequence[str]
    atc: str


def compatibility(
    model: ir.Model,
    chip: Chip,
    batches: Sequence[int] = (1,),
    sizes: Mapping[str, int] = NO_SIZES,
    precision_mode: str = "",
) -> Compatibility:
    """Return what ``chip`` and ATC make of ``model``, a graph of standard operators.

    Args:
        model: The graph as it was ported, before any lowering.
        chip: The target.
        batches: The sizes of the dimension ``batch``, for ATC's gears.
        sizes: The sizes of other symbolic dimensions.
        precision_mode: ATC's ``--precision_mode``; its own default where it is empty.
    """
    dynamic = symbols(model)
    opset = model.graph.opset_imports.get("", 0)
    values = [value for node in model.graph.all_nodes() if node.op_type not in NO_KERNEL for value in node.outputs]
    open_sizes = [
        node.name or node.op_type
        for node in model.graph.all_nodes()
        if any(_is_open(value, dynamic) for value in node.outputs)
    ]
    return Compatibility(
        operators=_operators(model, chip),
        dynamic=dynamic,
        data_dependent=open_sizes,
        int64=sum(value.dtype == ir.DataType.INT64 for value in values),
        float64=sum(value.dtype == ir.DataType.DOUBLE for value in values),
        opset=opset,
        atc_opset=ATC_OPSETS[0] <= opset <= ATC_OPSETS[1],
        notes=_notes(model, chip, opset, open_sizes, batches),
        atc=shlex.join(
            [
                "atc",
                *(
                    f"--{key}={value}"
                    for key, value in atc_arguments(model, chip, batches, sizes, precision_mode).items()
                ),
            ]
        ),
    )


def _operators(model: ir.Model, chip: Chip) -> list[OperatorSupport]:
    found: dict[tuple[str, str, str], list[ir.Node]] = {}
    for node in model.graph.all_nodes():
        if node.op_type in NO_KERNEL:
            continue
        unit, reason = unit_of(node, chip)
        found.setdefault((node.op_type, unit, reason), []).append(node)
    order = {"unsupported": 0, "aicpu": 1, "cube": 2, "vector": 3}
    support = [
        OperatorSupport(op, len(nodes), unit, reason, _rewrite(op, unit), tuple(_place(node) for node in nodes[:3]))
        for (op, unit, reason), nodes in found.items()
    ]
    return sorted(support, key=lambda item: (order[item.unit], -item.count, item.op))


def _rewrite(op: str, unit: str) -> str:
    if op in _REWRITES:
        return _REWRITES[op]
    if op in _NEWER:
        return f"came with opset {_NEWER[op]}: write it in older operators, as its definition in the ONNX standard does"
    return "replace it in the source, or cut the model there" if unit == "unsupported" else ""


def _place(node: ir.Node) -> str:
    props = node.metadata_props
    return " ".join(filter(None, (node.name, props.get("zooport.module", ""), props.get("zooport.line", ""))))


def _is_open(value: ir.Value, dynamic: Sequence[str]) -> bool:
    """Say whether a dimension of ``value`` is no expression of the inputs' dimensions."""
    for dim in value.shape or ():
        if isinstance(dim, int):
            continue
        try:
            if not isinstance(dim.evaluate(dict.fromkeys(dynamic, 2)), int):
                return True
        except (ValueError, KeyError):
            return True
    return False


def _notes(model: ir.Model, chip: Chip, opset: int, open_sizes: Sequence[str], batches: Sequence[int]) -> list[str]:
    notes = []
    if opset > ATC_OPSETS[1]:
        notes.append(f"ATC reads opset {ATC_OPSETS[0]} to {ATC_OPSETS[1]}, the graph has {opset}")
    if open_sizes:
        notes.append(
            f"{len(open_sizes)} results have sizes that depend on data, the first is {open_sizes[0]}: "
            "they run on the AI CPU"
        )
    if len(batches) > MOST_GEARS:
        notes.append(f"{len(batches)} gears are asked for, ATC takes up to {MOST_GEARS}")
    if any(value.dtype == ir.DataType.INT64 for value in model.graph.inputs):
        notes.append(
            "int64 inputs: index arithmetic runs on the vector unit at a fraction of its rate; int32 is better"
        )
    if not chip.supports_bfloat16 and any(value.dtype == ir.DataType.BFLOAT16 for value in model.graph.inputs):
        notes.append(f"{chip.name} has no bfloat16: give the model in float32 or float16")
    return notes


def atc_arguments(
    model: ir.Model, chip: Chip, batches: Sequence[int], sizes: Mapping[str, int], precision_mode: str
) -> dict[str, str]:
    """Return ATC's options for an offline model of the graph by name, with gears for several batches.

    A dimension of which no size is known stays -1, which ATC refuses: it has to be filled in.
    """
    gears = len(batches) > 1 and BATCH in symbols(model)
    known = {**sizes, BATCH: -1 if gears else batches[0]}
    shapes = []
    for value in model.graph.inputs:
        dims = [dim if isinstance(dim, int) else known.get(str(dim.value), -1) for dim in value.shape or ()]
        shapes.append(f"{value.name}:{','.join(map(str, dims))}")
    arguments = {"framework": "5", "model": "model.onnx", "output": "model", "soc_version": chip.soc_names[0]}
    arguments["input_shape"] = ";".join(shapes)
    if gears:
        arguments["dynamic_batch_size"] = ",".join(map(str, batches))
    return {**arguments, **({"precision_mode": precision_mode} if precision_mode else {})}
