"""Draws what a chip's cost model says: the roofline, where the time goes, and speed over the batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from reports import chips
from reports.facts import Modelled, ModelledOp, PublishedRate
from reports.figure import Chart, Key, figure, height, log_axis, plain, plane, positive, safe, title
from reports.formats import count, milliseconds, percent, significant
from reports.language import label, tr, trn
from reports.summary import listed

_HEIGHT = 320
# Symbol and colour of a bound, so that bounds are told apart without their colour.
_BOUNDS = {
    "cube": ("circle", "var(--cube)"),
    "vector": ("diamond", "var(--vector)"),
    "bandwidth": ("square", "var(--bandwidth)"),
    "launch": ("triangle-up", "var(--launch)"),
}
_UNKNOWN = ("circle-open", "var(--muted)")
# Diameters in pixels: areas are in proportion to the time, and the smallest kernel can still be pointed at.
_LARGEST, _SMALLEST = 34.0, 6.0
_OPEN = ("square-open", "diamond-open", "circle-open")
_DECADE = 10
_TRACKS = ("cube", "vector", "aicpu")
# More batches than this and their labels collide on a phone.
_TICKS = 8


def charts(chip: Modelled) -> dict[str, Chart | None]:
    """Return the charts of one chip by name: ``throughput``, ``latency``, ``roofline``, ``time``, ``timeline``."""
    return {
        "throughput": _over_batch(chip, "samples/s", lambda row: row.throughput, lambda rate: rate.throughput),
        "latency": _over_batch(chip, "ms", lambda row: row.latency_ms, lambda rate: rate.latency_ms),
        "roofline": roofline(chip),
        "time": time_shares(chip),
        "timeline": timeline(chip),
    }


def roofline(chip: Modelled) -> Chart | None:
    """Return the roofline: each kernel's rate over its intensity, below the chip's roofs."""
    shown = [op for op in chip.ops if _has_a_place(op)]
    if not shown:
        return None
    axes = _range(shown, chip)
    roofs = _roofs(chip, axes[0])
    keys, traces = [key for key, _, _ in roofs], [_line(key, x, y) for key, x, y in roofs]
    # Large dots first: a small one stays visible, and can be pointed at, on top of them.
    for bound, of_bound in _by_bound(sorted(shown, key=lambda op: -chips.time_of(op))).items():
        symbol, colour = _BOUNDS.get(bound, _UNKNOWN)
        keys.append(Key(symbol, colour, _bound(bound)))
        traces.append(_dots(keys[-1], of_bound, chip))
    x, y = (
        log_axis(text, ends)
        for text, ends in zip((tr("operations per byte (log)"), tr("10⁹ operations/s (log)")), axes, strict=True)
    )
    return Chart(
        title=f"{tr('Roofline')} {chips.at_batch(chip)}".rstrip(),
        alt=tr(
            "Modelled rate of each kernel over its operations per byte, on logarithmic axes, below the roofs of cube, "
            "vector unit and memory. The table of kernels has the longest."
        ),
        height=_HEIGHT,
        figure=plane(traces, x, y, _HEIGHT),
        legend=tuple(keys),
        label="modelled",
        note=_roofline_note(chip),
    )


def _range(ops: Sequence[ModelledOp], chip: Modelled) -> tuple[list[float], list[float]]:
    """Return the values that the axes must hold: kernels, roofs, and the ridge where the cube's roof begins."""
    x = [op.intensity for op in ops if op.intensity is not None]
    y = [op.gops for op in ops if op.gops is not None]
    roofs = chip.roofs
    y += [roof for roof in (roofs.cube_gops, roofs.vector_gops) if roof is not None and positive(roof)]
    if roofs.cube_gops and roofs.dram_bytes_per_s and positive(roofs.cube_gops, roofs.dram_bytes_per_s):
        x.append(2 * roofs.cube_gops * 1e9 / roofs.dram_bytes_per_s)
    return [min(x) / 1.5, max(x) * 1.5], [min(y) / 1.5, max(y) * 1.5]


def _roofs(chip: Modelled, x: Sequence[float]) -> list[tuple[Key, list[float], list[float]]]:
    """Return the roofs as lines: memory rises by one operation for each byte, the units are level."""
    roofs, words, found = chip.roofs, chips.roofs(chip), []
    slope = roofs.dram_bytes_per_s / 1e9 if roofs.dram_bytes_per_s and positive(roofs.dram_bytes_per_s) else None
    top = max((roof for roof in (roofs.cube_gops, roofs.vector_gops) if roof and positive(roof)), default=None)
    for name, roof, dash in (("cube", roofs.cube_gops, "solid"), ("vector", roofs.vector_gops, "longdash")):
        if roof is not None and positive(roof):
            ridge = roof / slope if slope else x[0]
            key = Key(dash, f"var(--{name})", tr("{name} roof, {rate}", name=chips.part_name(name), rate=words[name]))
            found.append((key, [min(max(x[0], ridge), x[1]), x[1]], [roof, roof]))
    if slope:
        end = min(x[1], top / slope) if top else x[1]
        key = Key("dot", "var(--bandwidth)", tr("memory roof, {rate}", rate=words["memory"]))
        found.append((key, [x[0], end], [slope * x[0], slope * end]))
    return found


def _line(key: Key, x: list[float], y: list[float]) -> dict[str, Any]:
    import plotly.graph_objects as go

    line = {"color": key.colour, "width": 2, "dash": key.symbol}
    return plain(go.Scatter(mode="lines", x=x, y=y, line=line, hoverinfo="skip"))


def _bound(name: str) -> str:
    return tr("bound by {bound}", bound=chips.part_name(name)) if name in _BOUNDS else chips.part_name(name)


def _by_bound(ops: Iterable[ModelledOp]) -> dict[str, list[ModelledOp]]:
    found: dict[str, list[ModelledOp]] = {}
    for op in ops:
        found.setdefault(op.bound or chips.UNKNOWN, []).append(op)
    return dict(sorted(found.items(), key=lambda item: (item[0] not in chips.BOUNDS, item[0])))


def _dots(key: Key, ops: Sequence[ModelledOp], chip: Modelled) -> dict[str, Any]:
    import plotly.graph_objects as go

    most, total = max(chips.time_of(op) for op in chip.ops), chips.execution_us(chip)
    return plain(
        go.Scatter(
            mode="markers",
            x=[op.intensity for op in ops],
            y=[op.gops for op in ops],
            text=[_hover(op, total) for op in ops],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "size": [max(_SMALLEST, _LARGEST * math.sqrt(chips.time_of(op) / most)) for op in ops],
                "color": key.colour,
                "symbol": key.symbol,
                "opacity": 0.72,
                "line": {"width": 1, "color": "var(--raised)" if key.symbol != "circle-open" else key.colour},
            },
        )
    )


def _hover(op: ModelledOp, total_us: float) -> str:
    time = tr(
        "{time} µs, {share} of the time (modelled)",
        time=significant(op.time_us),
        share=percent(chips.share(op, total_us), 1),
    )
    rate = tr(
        "{intensity} operations per byte, {rate}·10⁹ operations/s",
        intensity=significant(op.intensity),
        rate=significant(op.gops),
    )
    lines = (op.op or op.name or "", op.name if op.op else "", op.source or "", time, rate)
    return "<br>".join(safe(line) for line in lines if line)


def _has_a_place(op: ModelledOp) -> bool:
    """Say whether logarithmic axes can show a kernel: one that only moves data has no rate of operations."""
    return positive(op.intensity, op.gops, op.time_us)


def _roofline_note(chip: Modelled) -> str:
    note = tr(
        "Bytes are all that a kernel reads and writes; above the memory roof the on-chip L2 serves a part of them. "
        "Areas are shares of the time."
    )
    missing = [op for op in chip.ops if chips.time_of(op) and not _has_a_place(op)]
    if not missing:
        return note
    kernels = trn("{n} kernel", "{n} kernels", len(missing), n=count(len(missing)))
    spent = math.fsum(map(chips.time_of, missing)) / chips.execution_us(chip)
    left = tr("Not shown: {kernels} without arithmetic, {share} of the time.", kernels=kernels, share=percent(spent, 1))
    return f"{note} {left}"


def time_shares(chip: Modelled) -> Chart | None:
    """Return an execution's time by operators, each bar parted by what bounds it, with all of it on top."""
    parts = chips.by_operator(chip)
    if not parts:
        return None
    bounds = chips.by_bound(chip)
    whole = chips.Part(tr("all"), 1.0, {part.name: part.share for part in bounds})
    rows = [whole, *parts] if len(parts) > 1 else parts
    keys = [Key("bar", _BOUNDS.get(part.name, _UNKNOWN)[1], _share(part)) for part in bounds]
    traces = [_bars(key.colour, part.name, rows) for key, part in zip(keys, bounds, strict=True)]
    drawing = figure(
        traces,
        [chips.part_name(row.name) for row in rows],
        {"title": title(tr("share of the time of an execution")), "range": [0, 1], "tickformat": ".0%", "nticks": 6},
    )
    drawing["layout"]["barmode"] = "stack"
    return Chart(
        title=f"{tr('Where the time goes')} {chips.at_batch(chip)}".rstrip(),
        alt=tr(
            "Share of the modelled time by operators and by what bounds them: {shares}.",
            shares=listed(map(_share, parts)),
        ),
        height=height(len(rows)),
        figure=drawing,
        legend=tuple(keys),
        label="modelled",
    )


def timeline(chip: Modelled) -> Chart | None:
    """Return the kernels of one execution over time, a track for each unit; kernels follow one another."""
    placed, now = [], 0.0
    for op in chip.ops:
        spent = chips.time_of(op)
        if spent:
            placed.append((now, op))
        now += spent
    if not placed:
        return None
    tracks = sorted({op.unit or chips.UNKNOWN for _, op in placed}, key=lambda unit: (unit not in _TRACKS, unit))
    bounds = _by_bound(op for _, op in placed)
    keys = [Key("bar", _BOUNDS.get(bound, _UNKNOWN)[1], _bound(bound)) for bound in bounds]
    traces = [
        _spans(key.colour, [(start, op) for start, op in placed if (op.bound or chips.UNKNOWN) == bound], tracks, now)
        for key, bound in zip(keys, bounds, strict=True)
    ]
    drawing = figure(traces, [chips.part_name(unit) for unit in tracks], {"title": title("µs"), "range": [0, now]})
    drawing["layout"]["xaxis"]["fixedrange"] = False
    drawing["layout"]["dragmode"] = "zoom"
    return Chart(
        title=f"{tr('Timeline')} {chips.at_batch(chip)}".rstrip(),
        alt=tr(
            "Modelled course of one execution: every kernel over time, by unit. The table of kernels has the longest."
        ),
        height=height(len(tracks)),
        figure=drawing,
        legend=tuple(keys),
        label="modelled",
        note=tr("Kernels follow one another. Drag to zoom, double-click to see all."),
        zoom=True,
    )


def _spans(
    colour: str, placed: Sequence[tuple[float, ModelledOp]], tracks: Sequence[str], whole: float
) -> dict[str, Any]:
    import plotly.graph_objects as go

    return plain(
        go.Bar(
            orientation="h",
            width=0.7,
            base=[start for start, _ in placed],
            x=[chips.time_of(op) for _, op in placed],
            y=[tracks.index(op.unit or chips.UNKNOWN) for _, op in placed],
            text=[_hover(op, whole) for _, op in placed],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
            # A seam in the ground's colour keeps neighbours of one colour apart.
            marker={"color": colour, "line": {"width": 0.5, "color": "var(--raised)"}},
        )
    )


def _share(part: chips.Part) -> str:
    return f"{chips.part_name(part.name)} {percent(part.share, 1)}"


def _bars(colour: str, bound: str, rows: Sequence[chips.Part]) -> dict[str, Any]:
    import plotly.graph_objects as go

    drawn = [(place, row) for place, row in enumerate(rows) if row.bounds.get(bound)]
    return plain(
        go.Bar(
            orientation="h",
            width=0.6,
            x=[row.bounds[bound] for _, row in drawn],
            y=[place for place, _ in drawn],
            text=[
                f"{safe(chips.part_name(row.name))}<br>{safe(_bound(bound))}: "
                + tr("{share} of the time (modelled)", share=percent(row.bounds[bound], 1))
                for _, row in drawn
            ],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
            marker={"color": colour, "line": {"width": 0}},
        )
    )


def _over_batch(
    chip: Modelled,
    unit: str,
    modelled: Callable[[Any], float | None],
    published: Callable[[PublishedRate], float],
) -> Chart | None:
    rows = [row for row in chip.batches if positive(row.batch, modelled(row))]
    curves = chips.curves(chip)
    if len(rows) < 2 and not (rows and curves):
        return None
    batches = sorted({row.batch for row in rows if row.batch} | {rate.batch for rate in chip.published})
    key = Key("circle", "var(--modelled)", label("modelled"))
    points = [(row.batch or 0, modelled(row) or 0.0) for row in rows]
    keys, traces = [key], [_curve(key, points, unit, "lines+markers", key.text)]
    for curve in curves:
        symbol = _OPEN[(curve.number - 1) % len(_OPEN)]
        several = f" {curve.number}" if len(curves) > 1 else ""
        keys.append(Key(symbol, "var(--published)", f"{label('published')}{several}"))
        points = [(rate.batch, published(rate)) for rate in curve.rates]
        first = curve.rates[0]
        words = "<br>".join(
            safe(line) for line in (f"{label('published')}{several}: {first.source}", first.options) if line
        )
        traces.append(_curve(keys[-1], points, unit, "markers", words))
    y = _value_axis(unit, [value for trace in traces for value in trace["y"]])
    return Chart(
        title=_curve_title(unit),
        alt=tr("{chart}: modelled, with published measurements where there are any.", chart=_curve_title(unit)),
        height=_HEIGHT - 60,
        figure=plane(traces, _batch_axis(batches), y, _HEIGHT - 60),
        legend=tuple(keys),
        note=tr("Modelled; {worth}.", worth=chips.worth(chip.validation)),
    )


def _curve_title(unit: str) -> str:
    return tr("Latency over the batch, ms") if unit == "ms" else tr("Throughput over the batch, samples/s")


def _value_axis(unit: str, values: Sequence[float]) -> dict[str, Any]:
    # A latency grows with the batch: over decades the small batches would lie on a linear axis' zero.
    if unit == "ms" and max(values) >= _DECADE * min(values):
        return log_axis(tr("ms (log)"), values)
    return {"title": title(tr("ms") if unit == "ms" else tr("samples/s")), "rangemode": "tozero"}


def _batch_axis(batches: Sequence[int]) -> dict[str, Any]:
    axis = log_axis(tr("batch (log)"), batches)
    if len(batches) <= _TICKS:
        axis |= {"tickvals": list(batches), "ticktext": [str(batch) for batch in batches]}
    return axis


def _curve(key: Key, points: Sequence[tuple[int, float]], unit: str, mode: str, words: str) -> dict[str, Any]:
    import plotly.graph_objects as go

    show = milliseconds if unit == "ms" else significant
    return plain(
        go.Scatter(
            mode=mode,
            x=[batch for batch, _ in points],
            y=[value for _, value in points],
            text=[
                f"{tr('batch {batch}', batch=count(batch))}: {show(value)} {unit}<br>{words}" for batch, value in points
            ],
            hovertemplate="%{text}<extra></extra>",
            line={"width": 2, "color": key.colour},
            marker={"size": 9, "color": key.colour, "symbol": key.symbol, "line": {"width": 2, "color": key.colour}},
        )
    )
