"""Reads ``ascend-<chip>.json``, what ``zooport compile`` wrote, into facts; what an older file lacks stays empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports import read
from reports.facts import (
    Compatibility,
    Modelled,
    ModelledBatch,
    ModelledOp,
    OperatorSupport,
    PublishedRate,
    Roofs,
    Validation,
)
from reports.port_facts import PrecisionSearch


def target(name: str, data: Mapping[str, Any]) -> str:
    """Return the chip that the result file ``name`` speaks of."""
    return read.text(data.get("target")) or name.removeprefix("ascend-")


def modelled(name: str, data: Mapping[str, Any], published: tuple[PublishedRate, ...] = ()) -> Modelled:
    """Return ``ascend-<chip>.json`` as facts, beside what others measured on that chip."""
    roofs = read.mapping(data.get("roofline"))
    return Modelled(
        label="modelled",
        target=target(name, data),
        precision=read.text(data.get("precision")),
        batches=tuple(_batch(item) for item in read.records(data.get("batches"))),
        ops=tuple(_op(item) for item in read.records(data.get("ops"))),
        roofs=Roofs(**{field: read.number(roofs.get(field)) for field in Roofs.__dataclass_fields__}),
        unsupported=read.texts(data.get("unsupported")),
        compatibility=_compatibility(read.mapping(data.get("compatibility"))),
        advice=read.texts(data.get("advice")),
        validation=_validation(data),
        calibration=read.text(data.get("calibration")),
        published=published,
        search=_search(data.get("search")),
    )


def _search(value: Any) -> PrecisionSearch | None:
    data = read.mapping(value)
    if not data:
        return None
    holds = data.get("holds")
    return PrecisionSearch(
        mode=read.text(data.get("mode")),
        metric=read.text(data.get("metric")),
        limit=read.number(data.get("limit")),
        before=read.number(data.get("before")),
        after=read.number(data.get("after")),
        holds=holds if isinstance(holds, bool) else None,
        operators=read.integer(data.get("operators")),
        keep=tuple(_kept(item) for item in read.records(data.get("keep"))),
    )


def _kept(data: Mapping[str, Any]) -> str:
    where = read.text(data.get("module")) or read.text(data.get("node")) or "?"
    return " ".join(part for part in (where, read.text(data.get("op")), read.text(data.get("line"))) if part)


def _validation(data: Mapping[str, Any]) -> Validation:
    if "validation" not in data:
        return Validation()
    if data["validation"] is None:
        return Validation(found=False)
    found = read.mapping(data["validation"])
    return Validation(
        found=True if found else None,
        chip=read.text(found.get("chip")),
        models=_count(found.get("models")),
        rows=_count(found.get("rows")),
        median_ape=read.number(found.get("median_ape")),
        within=read.number(found.get("within_1.5x")),
        spearman=read.number(found.get("spearman")),
        families_median_ape=read.number(read.mapping(found.get("families_apart")).get("median_ape")),
    )


def _count(value: Any) -> int | None:
    # `models` may list the validated models by name instead of counting them.
    return len(value) if isinstance(value, (list, Mapping)) else read.integer(value)


def _batch(data: Mapping[str, Any]) -> ModelledBatch:
    return ModelledBatch(
        batch=read.integer(data.get("batch")),
        latency_ms=read.number(data.get("latency_ms")),
        throughput=read.number(data.get("throughput")),
        peak_memory_bytes=read.number(data.get("peak_memory_bytes")),
        utilisation=read.number(data.get("utilisation")),
        energy_j=read.number(data.get("energy_j")),
    )


def _op(data: Mapping[str, Any]) -> ModelledOp:
    return ModelledOp(
        name=read.plain(data.get("name")),
        source=read.plain(data.get("source")),
        unit=read.plain(data.get("unit")),
        bound=read.plain(data.get("bound")),
        time_us=read.number(data.get("time_us")),
        op=read.plain(data.get("op")),
        intensity=read.number(data.get("intensity")),
        gops=read.number(data.get("gops")),
    )


def _compatibility(data: Mapping[str, Any]) -> Compatibility:
    return Compatibility(
        operators=tuple(_support(item) for item in read.records(data.get("operators"))),
        dynamic=read.texts(data.get("dynamic")),
        data_dependent=read.texts(data.get("data_dependent")),
        int64=read.integer(data.get("int64")),
        float64=read.integer(data.get("float64")),
        notes=read.texts(data.get("notes")),
        atc=read.text(data.get("atc")),
    )


def _support(data: Mapping[str, Any]) -> OperatorSupport:
    return OperatorSupport(
        op=read.plain(data.get("op")),
        count=read.integer(data.get("count")),
        unit=read.plain(data.get("unit")),
        reason=read.plain(data.get("reason")),
        rewrite=read.plain(data.get("rewrite")),
        examples=read.texts(data.get("examples")),
    )
