"""Renders artifact directories to Markdown, HTML and JSON from the facts recorded in them; runs no model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.facts import Report
    from reports.rendering import render, render_report
    from reports.sources import Source, collect

__all__ = ["Report", "Source", "collect", "render", "render_report"]

# A module must not be called as a name it exports: importing it would put the module in the function's place.
_HOME = {
    "Report": "reports.facts",
    "Source": "reports.sources",
    "collect": "reports.sources",
    "render": "reports.rendering",
    "render_report": "reports.rendering",
}


def __getattr__(name: str) -> Any:
    # `zooport --help` imports this package for its verb; a template engine must not come along (PEP 562).
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
