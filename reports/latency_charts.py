"""Draws latency: p50 with a whisker to p99, for one model and for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports.facts import Bench, BenchRow, Model
from reports.figure import Chart, Key, figure, height, log_axis, plain, positive, safe, title
from reports.formats import milliseconds
from reports.language import label, tr, trn
from reports.summary import side_name

# Pixels of a row of boxes, which need more than a bar.
_BOX = 56
_DECADE = 10


def _whisker_key() -> Key:
    return Key("whisker", "var(--ink)", tr("whisker to p99"))


def overview(models: Sequence[Model]) -> Chart | None:
    """Return p50 and p99 of both sides for each model, the rows that the summary shows."""
    shown = [model for model in models if _pair(model)]
    if not shown:
        return None
    keys, traces = [], []
    for side, symbol in (("original", "circle-open"), ("port", "circle")):
        points = [
            (row, found, f"{safe(model.name)}<br>{_hover(found)}")
            for row, model in enumerate(shown)
            for found in _pair(model)
            if found.side == side
        ]
        if points:
            keys.append(Key(symbol, f"var(--{side})", f"{side_name(side)} ({label('measured')})"))
            traces.append(_dots(keys[-1], -0.15 if side == "original" else 0.15, points))
    reach = [value for model in shown for row in _pair(model) for value in (row.p50_ms, row.p99_ms)]
    return Chart(
        tr("Latency, p50"),
        tr(
            "Latency of the original and the port of each model in milliseconds. "
            "The summary table has the same figures."
        ),
        height(len(shown)),
        figure(traces, [model.name for model in shown], log_axis(tr("ms (log)"), reach)),
        (*keys, _whisker_key()),
    )


def _pair(model: Model) -> list[BenchRow]:
    found = (model.bench.original, model.bench.port) if model.bench else ()
    return [row for row in found if row is not None and positive(row.p50_ms)]


def _dots(key: Key, shift: float, points: Sequence[tuple[int, BenchRow, str]]) -> dict[str, Any]:
    import plotly.graph_objects as go

    return plain(
        go.Scatter(
            mode="markers",
            x=[found.p50_ms for _, found, _ in points],
            y=[row + shift for row, _, _ in points],
            error_x=_whisker([found for _, found, _ in points], key.colour),
            text=[hover for _, _, hover in points],
            hovertemplate="%{text}<extra></extra>",
            marker={"size": 10, "color": key.colour, "symbol": key.symbol, "line": {"width": 2, "color": key.colour}},
        )
    )


def routes(result: Bench) -> Chart | None:
    """Return p50 bars, one for each side, route and thread count."""
    # The time an emulator takes is no latency of the chip: it stays in the table, under its label.
    rows = [row for row in result.rows if positive(row.p50_ms) and row.label == "measured"]
    if not rows:
        return None
    keys, traces = [], []
    for side in dict.fromkeys(row.side for row in rows):
        colour = f"var(--{side})" if side in ("original", "port") else "var(--muted)"
        keys.append(Key("bar", colour, f"{side_name(side)} ({label('measured')})"))
        traces.append(_bars(colour, [(place, row) for place, row in enumerate(rows) if row.side == side]))
    names = [" · ".join(part for part in (row.route, _threads(row)) if part) for row in rows]
    return Chart(
        tr("Latency, p50"),
        tr(
            "Latency of the original and the port by route and threads in milliseconds. "
            "The table above has the same figures."
        ),
        height(len(rows)),
        figure(traces, names, {"title": title("ms"), "rangemode": "tozero"}),
        (*keys, _whisker_key()),
    )


def _bars(colour: str, placed: Sequence[tuple[int, BenchRow]]) -> dict[str, Any]:
    import plotly.graph_objects as go

    rows = [row for _, row in placed]
    return plain(
        go.Bar(
            orientation="h",
            width=0.6,
            x=[row.p50_ms for row in rows],
            y=[place for place, _ in placed],
            error_x=_whisker(rows, "var(--ink)"),
            text=[_hover(row) for row in rows],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
            marker={"color": colour, "line": {"width": 0}},
        )
    )


def _whisker(rows: Sequence[BenchRow], colour: str) -> dict[str, Any]:
    reach = [max(0.0, (row.p99_ms or 0.0) - (row.p50_ms or 0.0)) for row in rows]
    return {
        "type": "data",
        "array": reach,
        "arrayminus": [0.0] * len(reach),
        "symmetric": False,
        "color": colour,
        "thickness": 1.5,
        "width": 5,
    }


def _hover(row: BenchRow) -> str:
    what = " · ".join(safe(part) for part in (side_name(row.side), row.route, _threads(row), label(row.label)) if part)
    return f"{what}<br>p50 {milliseconds(row.p50_ms)} ms, p99 {milliseconds(row.p99_ms) or '–'} ms"


def _threads(row: BenchRow) -> str | None:
    return None if row.threads is None else trn("{n} thread", "{n} threads", row.threads)


def calls(result: Bench) -> Chart | None:
    """Return the distribution of the single calls: a box and every call, one row for each side and route."""
    rows = [row for row in result.rows if row.calls_ms and row.label == "measured"]
    if not rows:
        return None
    names = [" · ".join(part for part in (side_name(row.side), row.route) if part) for row in rows]
    values = [value for row in rows for value in row.calls_ms]
    wide = min(values) > 0 and max(values) > _DECADE * min(values)
    axis = log_axis(tr("ms (log)"), values) if wide else {"title": title(tr("ms"))}
    tall = _BOX * len(rows) + height(0)
    drawing = figure([_box(place, row) for place, row in enumerate(rows)], names, axis)
    drawing["layout"]["height"] = tall
    shown = [side for side in dict.fromkeys(row.side for row in rows) if side in ("original", "port")]
    return Chart(
        tr("Distribution of the calls"),
        tr("Every timed call of each side in milliseconds, with median and quartiles. The table has the percentiles."),
        tall,
        drawing,
        tuple(Key("bar", f"var(--{side})", f"{side_name(side)} ({label('measured')})") for side in shown),
        note=tr("The sides are called in turns; boxes are median and quartiles, points are single calls."),
    )


def _box(place: int, row: BenchRow) -> dict[str, Any]:
    import plotly.graph_objects as go

    colour = f"var(--{row.side})" if row.side in ("original", "port") else "var(--muted)"
    return plain(
        go.Box(
            orientation="h",
            x=list(row.calls_ms),
            y=[place] * len(row.calls_ms),
            boxpoints="all",
            jitter=0.5,
            pointpos=0,
            width=0.5,
            line={"width": 1.5, "color": colour},
            fillcolor="rgba(0,0,0,0)",
            marker={"size": 4, "color": colour, "opacity": 0.55},
            hovertemplate="%{x:.4g} ms<extra></extra>",
        )
    )
