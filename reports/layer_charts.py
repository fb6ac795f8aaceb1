"""Draws parity layer by layer: what each inherits, what it adds itself, and by how much it amplifies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports.facts import LayerParity, Parity
from reports.figure import Chart, Key, log_axis, plain, plane, positive, safe, title
from reports.formats import error, significant
from reports.language import tr

_HEIGHT = 400
# Share of the height of the errors; below them stands the amplification.
_SPLIT = 0.36


def layers(result: Parity) -> Chart | None:
    """Return inherited and injected errors over the layers in the graph's order, with the amplification below."""
    rows = list(enumerate(result.layers, 1))
    injected = [(place, row) for place, row in rows if positive(row.injected)]
    if len(injected) < 2:
        return None
    wrong = [(place, row) for place, row in injected if row.verdict == "fail"]
    right = [(place, row) for place, row in injected if row.verdict != "fail"]
    inherited = [(place, row) for place, row in rows if positive(row.inherited)]
    amplified = [(place, row) for place, row in rows if positive(row.amplified)]
    keys = [Key("circle-open", "var(--original)", tr("inherited"))] if inherited else []
    keys.append(Key("circle", "var(--port)", tr("injected")))
    keys += [Key("diamond", "var(--fail)", tr("injected, beyond its limit"))] if wrong else []
    keys += [Key("tick", "var(--vector)", tr("amplified, below"))] if amplified else []
    traces = [_dots(keys[0], inherited, [row.inherited for _, row in inherited], "lines+markers")] if inherited else []
    traces.append(_dots(Key("circle", "var(--port)", ""), right, [row.injected for _, row in right]))
    if wrong:
        traces.append(_dots(Key("diamond", "var(--fail)", ""), wrong, [row.injected for _, row in wrong]))
    if amplified:
        traces.append(_bars(amplified))
    return Chart(
        title=tr("Error of each layer"),
        alt=tr(
            "Inherited and injected relative error of each layer, in the order of the graph. The table has the figures."
        ),
        height=_HEIGHT,
        figure=_panels(traces, rows, bool(amplified)),
        legend=tuple(keys),
        label=result.label,
        note=tr(
            "Injected is what a layer adds on the original's own inputs, inherited what reaches it from the layers "
            "before, amplified its output's error over its inputs'. Drag to zoom, double-click to see all."
        ),
        zoom=True,
    )


def _panels(traces: list[dict[str, Any]], rows: Sequence[tuple[int, LayerParity]], below: bool) -> dict[str, Any]:
    errors = [value for _, row in rows for value in (row.inherited, row.injected)]
    x = {"title": title(tr("layer")), "range": [0.3, len(rows) + 0.7], "fixedrange": False, "zeroline": False}
    y = log_axis(tr("relative error (log)"), errors)
    drawing = plane(traces, x, y | ({"domain": [_SPLIT, 1]} if below else {}), _HEIGHT)
    drawing["layout"]["dragmode"] = "zoom"
    if below:
        factors = log_axis(tr("factor"), [1.0, *(row.amplified for _, row in rows)])
        drawing["layout"]["yaxis2"] = {**drawing["layout"]["yaxis"], **factors, "domain": [0, _SPLIT - 0.12]}
        drawing["layout"]["xaxis"]["anchor"] = "y2"
    return drawing


def _dots(
    key: Key, rows: Sequence[tuple[int, LayerParity]], values: Sequence[float | None], mode: str = "markers"
) -> dict[str, Any]:
    import plotly.graph_objects as go

    return plain(
        go.Scatter(
            mode=mode,
            x=[place for place, _ in rows],
            y=list(values),
            text=[_hover(place, row) for place, row in rows],
            hovertemplate="%{text}<extra></extra>",
            line={"width": 1, "color": key.colour},
            marker={"size": 7, "symbol": key.symbol, "color": key.colour, "line": {"width": 1.5, "color": key.colour}},
        )
    )


def _bars(rows: Sequence[tuple[int, LayerParity]]) -> dict[str, Any]:
    import plotly.graph_objects as go

    return plain(
        go.Scatter(
            mode="markers",
            yaxis="y2",
            x=[place for place, _ in rows],
            y=[row.amplified for _, row in rows],
            text=[_hover(place, row) for place, row in rows],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "size": 9,
                "symbol": "line-ns-open",
                "color": "var(--vector)",
                "line": {"width": 2, "color": "var(--vector)"},
            },
        )
    )


def _hover(place: int, row: LayerParity) -> str:
    figures = tr(
        "inherited {inherited}, injected {injected}, amplified {amplified}",
        inherited=error(row.inherited) or "–",
        injected=error(row.injected) or "–",
        amplified=significant(row.amplified) or "–",
    )
    lines = (f"{place} · {row.node or ''}", row.module or row.source or "", row.line or "", figures, row.note or "")
    return "<br>".join(safe(line) for line in lines if line)
