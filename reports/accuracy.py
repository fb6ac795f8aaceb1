"""Reads ``accuracy.json`` into facts and puts into plain words what its number of samples can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports import read
from reports.facts import Accuracy, AccuracyRow, Flip, Published
from reports.language import tr
from reports.results import label_of, machine
from reports.statistics import correct, is_small, wilson


def accuracy(data: Mapping[str, Any]) -> Accuracy:
    """Return ``accuracy.json`` as facts: one row for each executor, each against the original."""
    metric = read.text(data.get("metric"))
    named = {str(name): read.mapping(entry) for name, entry in read.mapping(data.get("executors")).items()}
    top = read.text(data.get("executor")) or "onnxruntime"
    if top not in named and read.number(data.get("port")) is not None:
        named = {top: data, **named}
    rows = tuple(_row(name, entry, data, metric) for name, entry in named.items())
    n, original = read.integer(data.get("n")), read.number(data.get("original"))
    return Accuracy(
        task=read.text(data.get("task")),
        metric=metric,
        n=n,
        original=original,
        counted=correct(metric, original, n) is not None,
        rows=tuple(sorted(rows, key=lambda row: row.label == "emulated")),
        published=_published(data.get("reference"), metric),
        machine=machine(data.get("machine")),
    )


def _row(executor: str, data: Mapping[str, Any], whole: Mapping[str, Any], metric: str | None) -> AccuracyRow:
    n = read.integer(data.get("n", whole.get("n")))
    original = read.number(data.get("original", whole.get("original")))
    port = read.number(data.get("port"))
    return AccuracyRow(
        label=label_of(executor),
        executor=executor,
        n=n,
        original=original,
        port=port,
        delta=read.number(data.get("delta")),
        interval=read.interval(data.get("interval")),
        flipped=_flips(data.get("flipped")),
        original_wilson=_wilson(metric, original, n),
        port_wilson=_wilson(metric, port, n),
    )


def _wilson(metric: str | None, value: float | None, n: int | None) -> tuple[float, float] | None:
    count = correct(metric, value, n)
    return None if count is None or not n else wilson(count, n)


def _flips(value: Any) -> tuple[Flip, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(
        Flip(read.plain(item.get("sample")), read.plain(item.get("original")), read.plain(item.get("port")))
        if isinstance(item, Mapping)
        else Flip(read.plain(item), None, None)
        for item in value
    )


def _published(value: Any, metric: str | None) -> Published | None:
    data = read.mapping(value)
    stated = read.number(data.get("value"))
    if stated is None:
        return None
    return Published("published", read.text(data.get("metric")) or metric, stated, read.plain(data.get("source")))


def sentences(result: Accuracy, row: AccuracyRow) -> tuple[str, ...]:
    """Return what the samples of one row say, one sentence at a time; nothing where nothing was counted."""
    right, ported = correct(result.metric, row.original, row.n), correct(result.metric, row.port, row.n)
    if right is None or ported is None or not row.n:
        return ()
    who = tr("the port on the emulator") if row.label == "emulated" else tr("the port")
    said = [
        tr(
            "{right} of {n} samples are right for the original and {ported} of {n} for {who}; "
            "one sample is worth {points} points.",
            right=right,
            ported=ported,
            n=row.n,
            who=who,
            points=f"{100 / row.n:.2g}",
        )
    ]
    if row.flipped is not None:
        count = len(row.flipped)
        most = 100 * wilson(min(count, row.n), row.n)[1]
        changed = tr("{n} of {of} answers changed", n=count, of=row.n) if count else tr("No answer changed")
        said.append(
            tr(
                "{changed}; up to {most} % of unseen samples could change (Wilson, 95 %).",
                changed=changed,
                most=f"{most:.1f}",
            )
        )
    return tuple(said)


def warning(result: Accuracy) -> str | None:
    """Return the sentence on a small number of samples, ``None`` where there are enough or nothing was counted."""
    right = correct(result.metric, result.original, result.n)
    if right is None or not result.n or not is_small(right, result.n):
        return None
    low, high = (f"{100 * end:.1f}" for end in wilson(right, result.n))
    return tr(
        "With n = {n} the original's accuracy is only known to lie between {low} % and {high} % "
        "(Wilson, 95 %): the samples compare both sides with each other, "
        "they do not establish the accuracy of the model.",
        n=result.n,
        low=low,
        high=high,
    )
