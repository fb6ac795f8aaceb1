"""The frame all charts share: axes, fonts and safe labels; colours are names of CSS variables."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from reports.facts import Label

# Below 30 px a row the labels collide; the frame holds the axis and its title.
_ROW, _FRAME = 30, 64
# Share of the axis between two labels; less and they collide on a phone.
_TICK_GAP = 0.19
_SHORT = 26
_FONT = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


@dataclass(frozen=True)
class Key:
    """One entry of a legend; ``symbol`` is a Plotly symbol, ``bar``, ``tick``, ``dash``, ``arrow`` or a line's dash."""

    symbol: str
    colour: str
    text: str


@dataclass(frozen=True)
class Chart:
    """One chart: what it shows in words, its legend, and the JSON that Plotly draws.

    ``label`` stands beside the title where all figures came about in one way; ``note`` says below what is left out;
    ``zoom`` lets a pointer drag over a part to enlarge it.
    """

    title: str
    alt: str
    height: int
    figure: dict[str, Any]
    legend: tuple[Key, ...]
    label: Label | None = None
    note: str = ""
    zoom: bool = False


def figure(traces: list[dict[str, Any]], rows: Sequence[str], x: dict[str, Any]) -> dict[str, Any]:
    """Return a Plotly figure with one row for each label, from top to bottom, and values to the right."""
    labels = {"tickvals": list(range(len(rows))), "ticktext": [short(row) for row in rows]}
    y = {**labels, "range": [len(rows) - 0.5, -0.5], "showgrid": False, "zeroline": False}
    return plane(traces, x, y, height(len(rows)))


def plane(traces: list[dict[str, Any]], x: dict[str, Any], y: dict[str, Any], pixels: int) -> dict[str, Any]:
    """Return a Plotly figure of two axes, so many pixels high."""
    axis = {
        "gridcolor": "var(--line)",
        "linecolor": "var(--line)",
        "zerolinecolor": "var(--line)",
        "fixedrange": True,
        "automargin": True,
        "ticks": "",
        "tickfont": {"size": 12},
        "tickangle": 0,
    }
    layout = {
        "font": {"family": _FONT, "size": 12, "color": "var(--ink)"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 16, "t": 8, "b": 48},
        "height": pixels,
        # The legend is HTML above the chart: it wraps on a phone, where Plotly's would squeeze the rows.
        "showlegend": False,
        "hoverlabel": {
            "bgcolor": "var(--surface)",
            "bordercolor": "var(--strong)",
            "font": {"color": "var(--ink)"},
            "align": "left",
        },
        "xaxis": {**axis, **x},
        "yaxis": {**axis, **y},
        "dragmode": False,
        "barmode": "overlay",
    }
    return {"data": traces, "layout": layout}


def height(rows: int) -> int:
    """Return the height of a chart of so many rows in pixels."""
    return _FRAME + _ROW * rows


def title(text: str) -> dict[str, Any]:
    """Return the title of an axis."""
    return {"text": text, "font": {"size": 12, "color": "var(--muted)"}, "standoff": 10}


def log_axis(text: str, values: Iterable[float | None]) -> dict[str, Any]:
    """Return a logarithmic axis around ``values`` with few, round ticks; Plotly's own collide on a short range."""
    drawn = [value for value in values if value is not None and math.isfinite(value) and value > 0]
    low, high = min(drawn, default=1.0), max(drawn, default=10.0)
    margin = max(0.06, 0.06 * math.log10(high / low))
    ends = math.log10(low) - margin, math.log10(high) + margin
    ticks = log_ticks(10 ** ends[0], 10 ** ends[1])
    return {
        "title": title(text),
        "type": "log",
        "range": list(ends),
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }


def log_ticks(low: float, high: float) -> list[float]:
    """Return a handful of round numbers between ``low`` and ``high``, far enough apart for their labels."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    gap = _TICK_GAP * math.log10(high / low)
    found: list[float] = []
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,)):
        found = [tick for power in decades for step in steps if low <= (tick := float(f"{step}e{power}")) <= high]
        if all(math.log10(after / before) >= gap for before, after in pairwise(found)):
            return found
    return found[:: math.ceil(_TICK_GAP * len(found))]


def plain(trace: Any) -> dict[str, Any]:
    """Return a trace of ``graph_objects`` as data; a misspelt attribute failed there, not in the browser."""
    values: dict[str, Any] = _finite(trace.to_plotly_json())
    return values


def _finite(value: Any) -> Any:
    # JSON has no infinities, and no axis has a place for them: the point is left out, the table has the word.
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def positive(*values: float | None) -> bool:
    """Whether all values are there, finite and above zero, so that any axis can show them."""
    return all(value is not None and math.isfinite(value) and value > 0 for value in values)


def safe(text: str) -> str:
    """Return text as Plotly shows it: its labels understand a subset of HTML, links included."""
    return html.escape(text, quote=False)


def short(text: str) -> str:
    """Return a label short enough for a phone, safe; the full one is in the hover text and the table."""
    return safe(text if len(text) <= _SHORT else text[: _SHORT - 1] + "…")
