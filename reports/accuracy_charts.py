"""Draws accuracy: the difference between port and original with its interval, one row for each executor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports.facts import Accuracy, AccuracyRow
from reports.figure import Chart, Key, figure, height, plain, safe, title
from reports.formats import between, change
from reports.language import label, tr


def differences(result: Accuracy) -> Chart | None:
    """Return the differences with their intervals; ``None`` where no row has an interval."""
    rows = [row for row in result.rows if row.interval is not None and row.delta is not None]
    if not rows:
        return None
    scale = 100.0 if result.counted else 1.0
    kinds = dict.fromkeys(row.label for row in rows)
    symbols = {"measured": "circle", "emulated": "diamond"}
    keys = [Key(symbols.get(kind, "circle"), f"var(--{kind})", label(kind)) for kind in kinds]
    traces = [
        _points(result, key, [(place, row) for place, row in enumerate(rows) if row.label == kind], scale)
        for key, kind in zip(keys, kinds, strict=True)
    ]
    words = tr("port minus original, points") if result.counted else tr("port minus original")
    axis = {"title": title(words), "range": _range(rows, scale), "nticks": 6}
    drawing = figure(traces, [row.executor for row in rows], axis)
    zero = {"color": "var(--strong)", "width": 1.5, "dash": "dash"}
    drawing["layout"]["shapes"] = [{"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper", "line": zero}]
    return Chart(
        title=tr("Difference of accuracy"),
        alt=tr("Difference between port and original with its paired interval. The table above has the same figures."),
        height=height(len(rows)),
        figure=drawing,
        legend=(*keys, Key("dash", "var(--strong)", tr("no difference"))),
    )


def _range(rows: Sequence[AccuracyRow], scale: float) -> list[float]:
    """Return an axis with room around zero and every interval, so that no marker is cut off where all is nothing."""
    ends = [scale * end for row in rows for end in (0.0, row.delta or 0.0, *(row.interval or ()))]
    room = 0.08 * (max(ends) - min(ends)) or 0.01 * scale
    return [min(ends) - room, max(ends) + room]


def _points(result: Accuracy, key: Key, placed: list[tuple[int, AccuracyRow]], scale: float) -> dict[str, Any]:
    import plotly.graph_objects as go

    found = [(place, row, row.delta or 0.0, row.interval or (0.0, 0.0)) for place, row in placed]
    return plain(
        go.Scatter(
            mode="markers",
            x=[scale * delta for _, _, delta, _ in found],
            y=[place for place, _, _, _ in found],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [scale * max(0.0, ends[1] - delta) for _, _, delta, ends in found],
                "arrayminus": [scale * max(0.0, delta - ends[0]) for _, _, delta, ends in found],
                "color": key.colour,
                "thickness": 1.5,
                "width": 5,
            },
            text=[
                f"{safe(row.executor)}<br>{change(result, delta)}, {between(result, ends, signed=True)}"
                for _, row, delta, ends in found
            ],
            hovertemplate="%{text}<extra></extra>",
            marker={"size": 11, "symbol": key.symbol, "color": key.colour},
        )
    )
