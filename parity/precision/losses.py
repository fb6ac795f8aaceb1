"""Measures what each operator of a compiled port loses: its rounded result against float64 on the same operands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from parity.precision.exact import exact
from parity.precision.loss import OperatorLoss
from zoo.artifact import Artifact
from zoo.ascend.passes.lower_vector import ROUNDS
from zoo.inputs import Feed

WORST = 5
# How many bytes of activations are looked at in one run; what is more takes another run of the graph.
_HELD = 256 << 20


@dataclass(frozen=True)
class _Site:
    """An operator of the source, and the values of the compiled graph that it reads and gives."""

    source: ir.Node
    compiled: ir.Node
    inputs: list[ir.Value | None]
    output: ir.Value


def losses(
    artifact: Artifact, chip: str, feed: Feed, *, mode: str | None = None, keep: Sequence[str] = ()
) -> list[OperatorLoss]:
    """Return what every operator with a precision narrower than float32 loses on one input, the largest loss first.

    The compiled graph runs as it stands. Operators inside the bodies of control flow, and those that neither ONNX
    Runtime nor ONNX's reference evaluator can compute in float64, are left out.

    Args:
        artifact: The port.
        chip: The chip that it is compiled for.
        feed: Its inputs.
        mode: The precision mode.
        keep: Patterns of what stays in float32.

    Raises:
        UserError: If the port cannot be compiled so.
    """
    from zoo.ascend.compiler import compile_model
    from zoo.ascend.hardware import load_chip
    from zoo.ascend.precision import DEFAULT_MODE

    source = artifact.model()
    compiled = compile_model(source, load_chip(chip), mode or DEFAULT_MODE, keep=keep)
    named = {node.name: node for node in source.graph}
    sites = [site for node in compiled.graph for site in _sites(node, named)]
    found = []
    for part in _parts(sites):
        values = _run(compiled, part, feed, artifact)
        found += [loss for site in part if (loss := _loss(site, values)) is not None]
    return sorted(found, key=lambda item: (-item.overflows, -item.loss))


def worst_operators(found: Sequence[OperatorLoss], count: int = WORST) -> list[OperatorLoss]:
    """Return the operators that overflow, the most elements first, and then the ``count`` that lose the most."""
    overflowing = [item for item in found if item.overflows]
    others = sorted((item for item in found if not item.overflows), key=lambda item: -item.loss)
    return [*overflowing[:count], *others[:count]]


def overflow(item: OperatorLoss) -> str:
    """Return in words that an operator overflows."""
    where = ", ".join(filter(None, (item.module, item.line)))
    return (
        f"{item.op} {item.node} ({where}) overflows {item.precision}: {item.overflows} of {item.elements} elements are "
        "beyond its range; --keep leaves it in float32"
    )


def _sites(node: ir.Node, named: dict[str | None, ir.Node]) -> Iterator[_Site]:
    """Yield the site of a compiled node, if it is an operator of the source that computes in less than float32."""
    source = named.get(node.name)
    if source is None or node.metadata_props.get("precision") in (None, "fp32", "exact", "int8"):
        return
    output = node.outputs[0]
    reader = next((use.node for use in output.uses()), None)
    if reader is not None and reader.metadata_props.get(ROUNDS) == node.name:
        output = reader.outputs[0]
    if output.dtype == ir.DataType.FLOAT:
        yield _Site(source, node, [_unrounded(value) for value in node.inputs], output)


def _unrounded(value: ir.Value | None) -> ir.Value | None:
    """Return what a cast between two types got, so that its loss counts as the reader's."""
    producer = value.producer() if value is not None else None
    return producer.inputs[0] if producer is not None and producer.metadata_props.get(ROUNDS) == "" else value


def _parts(sites: Sequence[_Site]) -> Iterator[list[_Site]]:
    """Yield the sites in groups whose values fit; a value of unknown size counts as small."""
    part: list[_Site] = []
    held = 0
    for site in sites:
        size = sum(_bytes(value) for value in (*site.inputs, site.output) if value is not None)
        if part and held + size > _HELD:
            yield part
            part, held = [], 0
        part.append(site)
        held += size
    if part:
        yield part


def _bytes(value: ir.Value) -> int:
    dims = [dim for dim in value.shape or () if isinstance(dim, int)]
    return 4 * int(np.prod(dims)) if dims else 4


def _run(compiled: ir.Model, part: Sequence[_Site], feed: Feed, artifact: Artifact) -> dict[str, np.ndarray]:
    """Return every value that the sites read or give, by name."""
    from zoo.executors.onnxruntime import load

    wanted = {value.name: value for site in part for value in (*site.inputs, site.output) if value is not None}
    known = {name: np.asarray(feed[name]) for name in feed}
    for name, value in wanted.items():
        constant = ir.convenience.get_const_tensor(value)
        if constant is not None and name is not None:
            known[name] = constant.numpy()
    outputs = list(compiled.graph.outputs)
    taps = [value for name, value in wanted.items() if name not in known and value not in outputs]
    compiled.graph.outputs.extend(taps)
    try:
        content = ir.serde.serialize_model(compiled).SerializeToString()
        with load(content, beside=artifact.path, optimize=False) as session:
            return {**known, **session.run(feed)}
    finally:
        for value in taps:
            compiled.graph.outputs.remove(value)


def _loss(site: _Site, values: dict[str, np.ndarray]) -> OperatorLoss | None:
    operands = [None if value is None else values[str(value.name)] for value in site.inputs]
    truth = exact(site.source, operands)
    got = values[str(site.output.name)].astype(np.float64)
    if truth is None or truth.shape != got.shape:
        return None
    largest = _largest(site.compiled.metadata_props["precision"])
    finite = np.isfinite(truth)
    overflows = int((finite & (np.abs(truth) > largest)).sum()) + int((finite & ~np.isfinite(got)).sum())
    both = finite & np.isfinite(got)
    size = float(np.linalg.norm(truth[both]))
    lost = float(np.linalg.norm(got[both] - truth[both])) / size if size else float(not both.any() and truth.size > 0)
    props = site.source.metadata_props
    return OperatorLoss(
        str(site.source.name), site.source.op_type, props.get("zooport.module", ""), props.get("zooport.line", ""),
        site.compiled.metadata_props["precision"], lost, overflows, int(truth.size),
    )  # fmt: skip


def _largest(precision: str) -> float:
    """Return the largest value that a result can have, half a step of the format beyond its largest finite one."""
    from zoo.ascend.rounding import FORMATS

    form: Any = FORMATS.get(precision)
    return float("inf") if form is None else form.largest * (1 + form.gap / 4)
