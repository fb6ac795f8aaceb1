"""What a chip's modelled figures add up to, in numbers and words: shares of the time, their worth, obstacles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports import formats
from reports.facts import Modelled, ModelledOp, OperatorSupport, PublishedRate, Validation
from reports.language import tr, trn
from reports.summary import listed

# How many kernels the table of the page shows; report.json has all.
LONGEST = 15
# How many kinds of operators have a bar of their own; the others share one.
KINDS = 8
BOUNDS = ("cube", "vector", "bandwidth", "launch")
_UNITS = ("cube", "vector", "aicpu", "unsupported")
UNKNOWN = "not recorded"
OTHERS = "others"
OUTSIDE = "outside the kernels"
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Part:
    """The share of an execution's time that goes into one thing; ``bounds`` is that share by bound, largest first."""

    name: str
    share: float
    bounds: dict[str, float]


@dataclass(frozen=True)
class Curve:
    """Published rates that were measured together."""

    number: int
    rates: tuple[PublishedRate, ...]


def published_words() -> str:
    """Return what published rates are, and what they are not."""
    return tr(
        "Measured by others on the chip, of the very model: source reference and inputs are those that were published. "
        "The cost model's constants may have been fitted on these measurements; its error was found on models left out."
    )


def energy_words() -> str:
    """Return what the column of energies is."""
    return tr("Energy is an upper estimate: the board's power limit times the modelled latency of one execution.")


def part_name(name: str) -> str:
    """Return a part of the time, or a bound, in the report's language; an operator keeps its name."""
    return {
        "cube": tr("cube"),
        "vector": tr("vector"),
        "bandwidth": tr("bandwidth"),
        "launch": tr("launch"),
        UNKNOWN: tr("not recorded"),
        OTHERS: tr("others"),
        OUTSIDE: tr("outside the kernels"),
    }.get(name, name)


def execution_us(chip: Modelled) -> float:
    """Return the microseconds of an execution of the largest batch, or of its kernels where no latency is recorded."""
    kernels = math.fsum(time_of(op) for op in chip.ops)
    latency = chip.batches[-1].latency_ms if chip.batches else None
    return max(kernels, 1e3 * latency) if latency is not None and math.isfinite(latency) else kernels


def time_of(op: ModelledOp) -> float:
    """Return the microseconds of a kernel; 0 where that is not a number."""
    return op.time_us if op.time_us is not None and math.isfinite(op.time_us) and op.time_us > 0 else 0.0


def share(op: ModelledOp, total_us: float) -> float | None:
    """Return a kernel's share of an execution's time, ``None`` where that time is not known."""
    return time_of(op) / total_us if total_us else None


def longest(chip: Modelled) -> list[ModelledOp]:
    """Return the kernels that take longest."""
    return sorted((op for op in chip.ops if time_of(op)), key=lambda op: -time_of(op))[:LONGEST]


def by_bound(chip: Modelled) -> list[Part]:
    """Return the shares of the time by what bounds the kernels, largest first."""
    return _parts(chip, lambda op: op.bound or UNKNOWN)


def by_operator(chip: Modelled) -> list[Part]:
    """Return the shares of the time by operators, largest first; the smallest are one part, ``others``."""
    parts = _parts(chip, _operators)
    if len(parts) <= KINDS + 1:
        return parts
    shown = {part.name for part in parts[:KINDS]} | {OUTSIDE}
    few = _parts(chip, lambda op: name if (name := _operators(op)) in shown else OTHERS)
    return sorted(few, key=lambda part: part.name == OTHERS)


def _operators(op: ModelledOp) -> str:
    return op.op or op.name or UNKNOWN


def _parts(chip: Modelled, kind: Callable[[ModelledOp], str]) -> list[Part]:
    total = execution_us(chip)
    spent: dict[str, dict[str, float]] = {}
    for op in chip.ops:
        if time_of(op):
            bounds, bound = spent.setdefault(kind(op), {}), op.bound or UNKNOWN
            bounds[bound] = bounds.get(bound, 0.0) + time_of(op) / total
    rest = 1 - math.fsum(part for bounds in spent.values() for part in bounds.values())
    # What is left over by rounding is no time.
    if spent and rest > _ROUNDING:
        spent[OUTSIDE] = {OUTSIDE: rest}
    parts = [
        Part(name, math.fsum(bounds.values()), dict(sorted(bounds.items(), key=lambda item: -item[1])))
        for name, bounds in spent.items()
    ]
    return sorted(parts, key=lambda part: -part.share)


def largest_batch(chip: Modelled) -> int | None:
    """Return the batch that the kernels are of: the last that was compiled."""
    return chip.batches[-1].batch if chip.batches else None


def at_batch(chip: Modelled) -> str:
    """Return ``at batch 64``, or nothing where the batch is not recorded."""
    batch = largest_batch(chip)
    return "" if batch is None else tr("at batch {batch}", batch=formats.count(batch))


def roofs(chip: Modelled) -> dict[str, str]:
    """Return the chip's roofs by name, with their units."""
    known = chip.roofs
    found = {
        "cube": known.cube_gops and tr("{rate} operations/s", rate=_rate(known.cube_gops)),
        "vector": known.vector_gops and tr("{rate} operations/s", rate=_rate(known.vector_gops)),
        "memory": known.dram_bytes_per_s and f"{formats.significant(known.dram_bytes_per_s / 1e9)} GB/s",
    }
    return {name: value for name, value in found.items() if value}


def _rate(gops: float) -> str:
    return f"{formats.significant(gops / 1e3)}·10¹²" if gops >= 1e3 else f"{formats.significant(gops)}·10⁹"


def validation(known: Validation, target: str) -> str:
    """Return the validation error that every modelled figure carries, as a sentence without its full stop."""
    if known.found is False:
        return tr("no measurement of this chip was found: the cost model's error on {chip} is not known", chip=target)
    parts = [
        tr("median error {error}", error=formats.percent(known.median_ape, 1)) if _finite(known.median_ape) else None,
        tr("rank correlation {rho}", rho=formats.fixed(known.spearman, 2)) if _finite(known.spearman) else None,
        tr("{share} within 1.5 times", share=formats.percent(known.within)) if _finite(known.within) else None,
    ]
    said = listed(part for part in parts if part)
    if not said:
        return tr("the cost model's error is not recorded")
    where = tr(" of {chip}", chip=known.chip) if known.chip and known.chip != target else ""
    families = (
        tr(
            "; {error} where a model's whole family was left out",
            error=formats.percent(known.families_median_ape, 1),
        )
        if _finite(known.families_median_ape)
        else ""
    )
    basis = _basis(known)
    on = tr(" on {basis}{where} that it was not fitted on", basis=basis, where=where) if basis else where
    return tr("validation of the cost model: {said}", said=f"{said}{on}{families}")


def _basis(known: Validation) -> str:
    """Return ``112 measurements of 14 models``, or what of it is recorded."""
    rows = (
        None
        if known.rows is None
        else trn("{n} measurement", "{n} measurements", known.rows, n=formats.count(known.rows))
    )
    models = (
        None if known.models is None else trn("{n} model", "{n} models", known.models, n=formats.count(known.models))
    )
    if rows and models:
        return tr("{rows} of {models}", rows=rows, models=models)
    return rows or models or ""


def worth(known: Validation) -> str:
    """Return that error in a few words, to stand beside each table and chart."""
    if known.found is False:
        return tr("not validated: no measurement of this chip was found")
    if not _finite(known.median_ape):
        return tr("error not recorded")
    return tr("median error {error}", error=formats.percent(known.median_ape, 1))


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def curves(chip: Modelled) -> list[Curve]:
    """Return the published rates by what was measured together: model, source, precision and options."""
    found: dict[tuple[str, ...], list[PublishedRate]] = {}
    for rate in chip.published:
        found.setdefault((rate.source, rate.model, rate.precision, rate.options), []).append(rate)
    return [Curve(number, tuple(rates)) for number, rates in enumerate(found.values(), 1)]


def origin(curve: Curve) -> str:
    """Return where the rates of a curve were published, and how they were measured."""
    first = curve.rates[0]
    return ", ".join(part for part in (f"{first.source}: {first.model}", first.precision, first.options) if part)


def published_rows(chip: Modelled) -> list[tuple[int, list[float | None]]]:
    """Return the published rates by batch, one for each curve; ``None`` where a curve lacks the batch."""
    found = [{rate.batch: rate.throughput for rate in curve.rates} for curve in curves(chip)]
    return [
        (batch, [rates.get(batch) for rates in found]) for batch in sorted({key for rates in found for key in rates})
    ]


def obstacles(chip: Modelled) -> list[OperatorSupport]:
    """Return the operators that run on the AI CPU or not at all."""
    return [item for item in chip.compatibility.operators if item.unit in ("aicpu", "unsupported")]


def unexplained(chip: Modelled) -> tuple[str, ...]:
    """Return the unsupported operators of a file without a compatibility table."""
    return () if any(item.unit == "unsupported" for item in chip.compatibility.operators) else chip.unsupported


def support(chip: Modelled) -> str | None:
    """Return how many operators run where: ``21 on the cube, 27 on the vector unit``."""
    if any(item.count is None for item in chip.compatibility.operators):
        return tr("how many operators run where is not recorded")
    counts: dict[str, int] = {}
    for item in chip.compatibility.operators:
        unit = item.unit or UNKNOWN
        counts[unit] = counts.get(unit, 0) + (item.count or 0)
    order: Sequence[str] = [*(unit for unit in _UNITS if unit in counts), *sorted(counts.keys() - set(_UNITS))]
    said = listed(_on_unit(unit, counts[unit]) for unit in order)
    return tr("operators of the graph: {said}", said=said) if said else None


def _on_unit(unit: str, number: int) -> str:
    said = {
        "cube": tr("{n} on the cube", n=formats.count(number)),
        "vector": tr("{n} on the vector unit", n=formats.count(number)),
        "aicpu": tr("{n} on the AI CPU", n=formats.count(number)),
        "unsupported": tr("{n} unsupported", n=formats.count(number)),
    }
    return said.get(unit, f"{formats.count(number)} {unit}")


def conditions(chip: Modelled) -> list[str]:
    """Return what has to be known of the graph before ATC takes it, in words."""
    known = chip.compatibility
    said = list(known.notes)
    if known.dynamic:
        said.append(tr("symbolic dimensions that need a size or gears: {names}", names=", ".join(known.dynamic)))
    for kind, number in (("int64", known.int64), ("float64", known.float64)):
        if number:
            said.append(tr("values of type {kind} computed on the chip: {n}", kind=kind, n=formats.count(number)))
    return said


def has(chip: Modelled, field: str) -> bool:
    """Say whether a batch has that field."""
    return any(getattr(row, field) is not None for row in chip.batches)
