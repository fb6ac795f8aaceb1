"""Turns numbers into text for a table: the same text in Markdown and HTML, empty where there is no evidence."""

from __future__ import annotations

import math

from reports.facts import Accuracy, Machine
from reports.language import tr, trn

_MINUS = "−"


def significant(value: float | None, digits: int = 3) -> str:
    """Return ``value`` with so many significant digits: ``1.02``, ``0.000412``, ``3.4e-07``, ``1,204``."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else f"{_MINUS}inf")
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e6:
        return _signed(f"{value:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    return _signed(f"{value:,.{max(0, digits - 1 - exponent)}f}")


def error(value: float | None) -> str:
    """Return an error in scientific notation: ``3.42e-07``."""
    if value is None or value == 0 or not math.isfinite(value):
        return significant(value)
    return _signed(f"{value:.2e}")


def fixed(value: float | None, places: int) -> str:
    """Return ``value`` with so many decimals."""
    if value is None or not math.isfinite(value):
        return significant(value)
    return _signed(f"{value:,.{places}f}")


def cosine(value: float | None) -> str:
    """Return a cosine; next to 1 its distance from 1 is what tells two ports apart."""
    if value is None or not math.isfinite(value) or not 0 < 1 - value < 1e-4:
        return fixed(value, 6)
    return f"1 {_MINUS} {1 - value:.1e}"


def count(value: int | None) -> str:
    """Return a whole number with thousands separated."""
    return "" if value is None else f"{value:,}"


def percent(value: float | None, places: int = 0) -> str:
    """Return a share in percent: ``42 %``; one that would round to nothing is ``< 1 %``."""
    if value is None or not math.isfinite(value):
        return significant(value)
    least = 10.0**-places
    if 0 < 100 * value < least / 2:
        return f"< {least:.{places}f} %"
    return f"{fixed(100 * value, places)} %"


def milliseconds(value: float | None) -> str:
    """Return a latency without its unit, which the column carries."""
    return significant(value)


def size(value: float | None) -> str:
    """Return bytes in binary units."""
    if value is None or not math.isfinite(value):
        return significant(value)
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{significant(value)} {unit}"
        value /= 1024
    return f"{significant(value)} GiB"


def score(result: Accuracy, value: float | None) -> str:
    """Return an accuracy: in percent where right answers are counted, the metric's own value elsewhere."""
    if value is None or not result.counted:
        return fixed(value, 4)
    return f"{100 * value:.1f} %"


def change(result: Accuracy, value: float | None) -> str:
    """Return a difference of accuracies with its sign, in points where right answers are counted."""
    if value is None or not math.isfinite(value):
        return significant(value)
    scaled, places = (100 * value, 1) if result.counted else (value, 4)
    text = f"{scaled:+.{places}f}" if scaled else f"{0:.{places}f}"
    return tr("{difference} pt", difference=_signed(text)) if result.counted else _signed(text)


def between(result: Accuracy, ends: tuple[float, float] | None, signed: bool = False) -> str:
    """Return an interval; ``signed`` for one of a difference."""
    if ends is None:
        return ""
    one = change if signed else score
    return tr("{low} to {high}", low=one(result, ends[0]), high=one(result, ends[1]))


def span(ends: tuple[float, float] | None) -> str:
    """Return the interval of a latency."""
    return "" if ends is None else tr("{low} to {high}", low=significant(ends[0]), high=significant(ends[1]))


def published(result: Accuracy) -> str:
    """Return the published figure, in percent where right answers are counted."""
    if result.published is None:
        return ""
    value = result.published.value
    # Some sources state 71.3, some 0.713: a share above 1 is already in percent.
    if result.counted and value is not None and value > 1:
        return f"{value:g} %"
    return score(result, value)


def machine(value: Machine) -> str:
    """Return a machine as one line, empty where nothing was recorded."""
    parts = [
        value.cpu,
        trn("{n} core", "{n} cores", value.cores) if value.cores is not None else None,
        tr("{size} memory", size=size(value.memory_bytes)) if value.memory_bytes is not None else None,
        value.os,
        f"Python {value.python}" if value.python else None,
    ]
    return ", ".join(part for part in parts if part)


def _signed(text: str) -> str:
    # A real minus sign is as wide as a digit, so columns stay aligned.
    return _MINUS + text[1:] if text.startswith("-") else text
