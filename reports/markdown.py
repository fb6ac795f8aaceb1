"""Writes a report as Markdown: the figures of the page as tables, the same bytes for the same facts."""

from __future__ import annotations

from collections.abc import Sequence

from reports import formats as f
from reports.accuracy import sentences, warning
from reports.chip_markdown import modelled
from reports.facts import Accuracy, Bench, Model, Parity, Report
from reports.markup import code, escape, fenced, table
from reports.results import speedup
from reports.summary import (
    SHOWN,
    accuracy_row,
    evidence,
    headline,
    mark,
    treatment,
    verdict,
    weights,
    worst,
)


def markdown(report: Report) -> str:
    """Return the whole report as Markdown."""
    blocks = [["# zooport report"], [f"{escape(headline(report.models))}."], _summary(report.models)]
    blocks.append([f"- **{label}**: {meaning}" for label, meaning in report.labels.items()])
    for model in report.models:
        blocks += _model(model)
    return "\n\n".join("\n".join(lines) for lines in blocks if any(lines)) + "\n"


def _summary(models: Sequence[Model]) -> list[str]:
    heads = ["model", "task", "source", "weights", "parity", "n"]
    measured = ["worst ratio", "limit", "accuracy original", "port (measured)"]
    timed = ["p50 original ms", "p50 port ms", "p99 original ms", "p99 port ms"]
    columns = [*heads, *measured, "port (emulated)", *timed]
    return table(columns, [_summary_row(model) for model in models], numbers=len(columns) - 5)


def _summary_row(model: Model) -> list[str | None]:
    output = worst(model.parity[0]) if model.parity else None
    result, bench = model.accuracy, model.bench
    port, chip = accuracy_row(result, "measured"), accuracy_row(result, "emulated")
    found = verdict(model)
    row = [
        model.name,
        model.task,
        model.provenance.reference,
        weights(model),
        f"{mark(found)} {found}" if found else "",
        f.count(result.n) if result else "",
        f.significant(output.budget.ratio) if output else "",
        f.significant(output.budget.limit) if output else "",
        f.score(result, result.original) if result else "",
        f.score(result, port.port) if result and port else "",
        f.score(result, chip.port) if result and chip else "",
    ]
    pair = (bench.original, bench.port) if bench else (None, None)
    row += [f.milliseconds(side.p50_ms) if side else "" for side in pair]
    return [*row, *(f.milliseconds(side.p99_ms) if side else "" for side in pair)]


def _model(model: Model) -> list[list[str]]:
    blocks = [[f"## {escape(model.name)}"], _notes(model)]
    for result in model.parity:
        blocks += _parity(result)
    if model.accuracy:
        blocks += _accuracy(model.accuracy)
    if model.bench:
        blocks += _bench(model.bench)
    for chip in model.modelled:
        blocks += modelled(chip)
    blocks += _provenance(model)
    if model.missing:
        blocks.append(["### Not there yet"])
        blocks.append([f"- {item.result}: {code(item.command)}" for item in model.missing])
    return [*blocks, ["### How to reproduce"], fenced(model.reproduce)]


def _notes(model: Model) -> list[str]:
    notes = [] if model.sealed else ["The artifact was opened without checking its seal."]
    if model.provenance.weights == "seeded":
        notes.append(f"The weights are random ({weights(model)}); nothing here speaks of a trained model.")
    if model.port.fallback:
        notes.append(f"Fallback: {model.port.fallback}")
    return [f"- {escape(note)}" for note in (*notes, *model.port.notes)]


def _parity(result: Parity) -> list[list[str]]:
    blocks = [[f"### Parity on {escape(result.executor)}: {mark(result.verdict)} {escape(result.verdict or 'none')}"]]
    basis = [f"{result.cases} cases" if result.cases is not None else "", f"truth: {result.truth or 'not recorded'}"]
    where = evidence(result.label, result.executor, result.machine)
    blocks.append([f"{escape(where)}; {escape(', '.join(filter(None, basis)))}."])
    heads = ["output", "dtype", "shape", "verdict", "max abs", "rel L2", "cosine", "SQNR dB", "ULP p99"]
    budget = ["original error", "port error", "ratio", "limit", "max-abs ratio", "max-abs limit"]
    power = ["signal/noise", "budget width"]
    rows = [
        [
            item.name,
            item.dtype,
            item.shape,
            f"{mark(item.verdict)} {item.verdict or ''}".strip(),
            *(f.error(item.max_abs), f.error(item.rel_l2), f.cosine(item.cosine)),
            *(f.fixed(item.sqnr_db, 1), f.significant(item.ulp_p99)),
            *(f.error(item.budget.original_error), f.error(item.budget.port_error)),
            *(f.significant(item.budget.ratio), f.significant(item.budget.limit)),
            *(f.significant(item.budget.max_abs_ratio), f.significant(item.budget.max_abs_limit)),
            *(f.significant(item.signal_over_noise), f.error(item.budget_width)),
        ]
        for item in result.outputs
    ]
    if rows:
        blocks.append(table([*heads, *budget, *power], rows, numbers=13))
    blocks.append([f"- {escape(item.name)}: {escape(note)}" for item in result.outputs for note in item.notes])
    if result.guards:
        cells = [[item.output, item.guard, item.verdict, item.detail] for item in result.guards]
        blocks.append(table(["output", "guard", "verdict", "detail"], cells))
    if result.layers:
        layers = [
            [
                *(item.source, item.node, item.verdict),
                *(f.error(item.inherited), f.error(item.injected), f.significant(item.amplified)),
            ]
            for item in result.layers[:SHOWN]
        ]
        blocks.append(table(["layer", "node", "verdict", "inherited", "injected", "amplified"], layers, numbers=3))
    said = (("First divergence", result.first_divergence), ("Diagnosis", result.diagnosis))
    return [*blocks, [f"- {title}: {escape(line)}" for title, line in said if line]]


def _accuracy(result: Accuracy) -> list[list[str]]:
    blocks = [[f"### Accuracy: {escape(result.metric or 'metric not recorded')}"]]
    heads = ["executor", "label", "n", "original", "port", "delta", "interval of delta", "flipped"]
    rows = [
        [
            row.executor,
            row.label,
            f.count(row.n),
            f.score(result, row.original),
            f.score(result, row.port),
            f.change(result, row.delta),
            f.between(result, row.interval, signed=True),
            "" if row.flipped is None else f.count(len(row.flipped)),
        ]
        for row in result.rows
    ]
    blocks.append(table(heads, rows, numbers=6))
    said = [f"- {escape(row.executor)} ({row.label}): {' '.join(sentences(result, row))}" for row in result.rows]
    blocks.append([line for line, row in zip(said, result.rows, strict=True) if sentences(result, row)])
    blocks.append([warning(result) or ""])
    if result.published:
        source = escape(result.published.source or "source not recorded")
        blocks.append([f"Published: {f.published(result)} ({source})."])
    for row in result.rows:
        flips = [[flip.sample, flip.original, flip.port] for flip in (row.flipped or ())[:SHOWN]]
        if flips:
            blocks.append(table([f"sample flipped on {row.executor}", "original", "port"], flips))
    return blocks


def _bench(result: Bench) -> list[list[str]]:
    heads = ["side", "route", "label", "threads", "p50 ms", "p90 ms", "p99 ms", "per second", "peak RSS"]
    rows = [
        [
            row.side,
            row.route,
            row.label,
            f.count(row.threads),
            *(f.milliseconds(value) for value in (row.p50_ms, row.p90_ms, row.p99_ms)),
            *(f.significant(row.throughput), f.size(row.peak_rss_bytes)),
            *(f.significant(row.load_s), f.count(row.samples)),
        ]
        for row in result.rows
    ]
    blocks = [["### Latency"], [f"{escape(evidence('measured', None, result.machine))}."]]
    blocks.append(table([*heads, "load s", "samples"], rows, numbers=8))
    ratio = speedup(result)
    return [*blocks, [f"p50 of the original is {f.significant(ratio)} times the port's."] if ratio else []]


def _provenance(model: Model) -> list[list[str]]:
    source = model.provenance
    versions = ", ".join(f"{name} {version}" for name, version in source.versions.items())
    facts: list[tuple[str, str | None]] = [
        ("framework", source.framework),
        ("reference", source.reference),
        ("versions", versions),
        ("licence", source.licence),
        ("weights", weights(model)),
        ("checkpoint", source.checkpoint),
        ("treatment of the weights", treatment(model)),
        *((f"sha256 of {file.name}", file.sha256) for file in source.files),
        ("opset", f.count(model.port.opset)),
        ("nodes", f.count(model.port.nodes)),
        *((f"input {item.name}", " ".join(filter(None, (item.dtype, item.shape)))) for item in model.inputs),
        *((f"output {item.name}", " ".join(filter(None, (item.dtype, item.shape)))) for item in model.outputs),
    ]
    return [["### Provenance"], table(["fact", "value"], [fact for fact in facts if fact[1]])]
