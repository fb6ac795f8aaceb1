"""Draws parity: how much of the noise budget each model uses, and each output's error against the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reports.facts import Label, Model, OutputParity, Parity
from reports.figure import Chart, Key, figure, height, log_axis, plain, positive, safe, title
from reports.formats import error, significant
from reports.language import label, tr
from reports.summary import by_badness, share, worst

# A chart with more rows than this is no overview any more; the table has them all.
_SHOWN = 12
# Right end of the budget axis, in limits: a failed port may be off by orders of magnitude.
_EDGE = 1.5
_SYMBOLS: dict[Label, tuple[str, ...]] = {
    "measured": ("circle", "square", "circle-open", "square-open"),
    "emulated": ("diamond", "diamond-open"),
}


@dataclass(frozen=True)
class _Point:
    row: int
    used: float
    hover: str


def overview(models: Sequence[Model]) -> Chart | None:
    """Return the share of the noise budget that the worst output of each model uses."""
    shown = [model for model in models if any(_used(result) is not None for result in model.parity)]
    series: dict[tuple[Label, str], list[_Point]] = {}
    for row, model in enumerate(shown):
        for result in model.parity:
            if (used := _used(result)) is not None:
                point = _Point(row, used, _hover(model, result))
                series.setdefault((result.label, result.executor), []).append(point)
    if not series:
        return None
    keys = _keys(list(series))
    drawing = figure(
        [_points(key, points) for key, points in zip(keys, series.values(), strict=True)],
        [model.name for model in shown],
        {"title": title(tr("error over its limit")), "range": [-0.04, _EDGE + 0.06], "tickformat": ".0%"},
    )
    line = {"color": "var(--fail)", "width": 1.5, "dash": "dash"}
    drawing["layout"]["shapes"] = [{"type": "line", "x0": 1, "x1": 1, "y0": 0, "y1": 1, "yref": "paper", "line": line}]
    beyond = any(point.used > _EDGE for points in series.values() for point in points)
    return Chart(
        tr("Noise budget used by the worst output"),
        tr(
            "Share of the parity limit that the worst output of each model uses; the limit is at 100 %. "
            "The summary table has the same figures."
        ),
        height(len(shown)),
        drawing,
        (*keys, Key("dash", "var(--fail)", tr("limit")), *([Key("arrow", "var(--ink)", tr("off the scale"))] * beyond)),
    )


def _used(result: Parity) -> float | None:
    output = worst(result)
    return None if output is None else share(output)


def _hover(model: Model, result: Parity) -> str:
    output = worst(result)
    if output is None:
        return safe(model.name)
    where = tr(
        "{output} on {executor} ({label})",
        output=safe(output.name),
        executor=safe(result.executor),
        label=label(result.label),
    )
    ratio, limit = significant(output.budget.ratio), significant(output.budget.limit)
    return f"{safe(model.name)}<br>{where}<br>{tr('ratio {ratio}, limit {limit}', ratio=ratio, limit=limit)}"


def _keys(series: Sequence[tuple[Label, str]]) -> list[Key]:
    # One symbol for each executor, so that they are told apart without their colour.
    keys, seen = [], dict.fromkeys(_SYMBOLS, 0)
    for kind, executor in series:
        symbols = _SYMBOLS[kind]
        colour = "var(--emulated)" if kind == "emulated" else "var(--port)"
        keys.append(Key(symbols[seen[kind] % len(symbols)], colour, f"{executor} ({label(kind)})"))
        seen[kind] += 1
    return keys


def _points(key: Key, points: Sequence[_Point]) -> dict[str, Any]:
    import plotly.graph_objects as go

    return plain(
        go.Scatter(
            mode="markers",
            x=[min(point.used, _EDGE) for point in points],
            y=[point.row for point in points],
            text=[point.hover for point in points],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "size": 11,
                "color": key.colour,
                "line": {"width": 2, "color": key.colour} if "open" in key.symbol else {"width": 0},
                "symbol": ["triangle-right" if point.used > _EDGE else key.symbol for point in points],
            },
        )
    )


def output_errors(result: Parity) -> Chart | None:
    """Return each output's error against the truth: the original's own, the port's, and the limit."""
    drawn = [item for item in by_badness(result) if positive(item.budget.port_error, item.budget.original_error)]
    rows = drawn[:_SHOWN]
    if not rows:
        return None
    port = "var(--emulated)" if result.label == "emulated" else "var(--port)"
    series = [
        (
            Key("circle-open", "var(--original)", tr("original's own error")),
            [item.budget.original_error for item in rows],
        ),
        (
            Key("circle", port, tr("port's error ({label})", label=label(result.label))),
            [item.budget.port_error for item in rows],
        ),
        (Key("tick", "var(--fail)", tr("limit of the port's error")), [_limit(item) for item in rows]),
    ]
    series = [(key, values) for key, values in series if any(value is not None for value in values)]
    drawing = figure(
        [_errors(key, values, rows) for key, values in series],
        [item.name for item in rows],
        log_axis(tr("L2 error (log)"), [value for _, values in series for value in values]),
    )
    more = tr("Error against the truth: the {shown} worst of {n} outputs", shown=_SHOWN, n=len(drawn))
    return Chart(
        more if len(drawn) > _SHOWN else tr("Error against the truth"),
        tr(
            "The original's own error, the port's error and the port's limit for each output. "
            "The table above has the same figures."
        ),
        height(len(rows)),
        drawing,
        tuple(key for key, _ in series),
    )


def _limit(output: OutputParity) -> float | None:
    # The ratio's denominator has a floor, so it is taken from the ratio and not from the original's error.
    ratio, limit, found = output.budget.ratio, output.budget.limit, output.budget.port_error
    if not ratio or not limit or not found or not math.isfinite(ratio):
        return None
    return limit * found / ratio


def _errors(key: Key, values: Sequence[float | None], rows: Sequence[OutputParity]) -> dict[str, Any]:
    import plotly.graph_objects as go

    texts = [f"{safe(row.name)}<br>{key.text}: {error(value)}" for row, value in zip(rows, values, strict=True)]
    symbol, size = ("line-ns-open", 15) if key.symbol == "tick" else (key.symbol, 10)
    return plain(
        go.Scatter(
            mode="markers",
            x=list(values),
            y=list(range(len(values))),
            text=texts,
            hovertemplate="%{text}<extra></extra>",
            marker={"size": size, "color": key.colour, "symbol": symbol, "line": {"width": 2, "color": key.colour}},
        )
    )
