"""Fills the page template: one self-contained HTML file that loads nothing and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports import accuracy, chip_charts, chips, formats, latency_charts, parity_charts, results, summary
from reports.facts import Report
from zoo.errors import missing_extra

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"


def page(report: Report) -> str:
    """Return the report as one HTML page.

    Raises:
        UserError: If the extra ``reports`` is not installed.
    """
    environment = _environment()
    drawn = _charts(report)
    scripts = {"theme": _asset("theme.js"), "page": _asset("report.js")}
    if _any_chart(drawn):
        scripts["plotly"] = _plotly()
    policy = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts.values())
    template = environment.get_template("index.html.j2")
    return template.render(report=report, charts=drawn, css=_asset("report.css"), scripts=scripts, policy=policy)


def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise missing_extra("jinja2", "reports", "the HTML report") from error
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(f=formats, s=summary, a=accuracy, c=chips, speedup=results.speedup)
    environment.filters["breakable"] = _breakable
    # A line must not break between a number and its percent sign.
    environment.filters["tied"] = lambda value: value.replace(" %", "\N{NO-BREAK SPACE}%")
    return environment


def _breakable(value: str) -> Markup:
    """Return a name escaped, with places where a line may break: names of models are long and hold no space."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(?<=[\w.])([_./:-])(?=\w)", r"\1<wbr>", str(escape(value))))


def _charts(report: Report) -> dict[str, Any]:
    """Return the charts of the overview and, by anchor, those of each model."""
    several = len(report.models) > 1
    try:
        overview = [parity_charts.overview(report.models), latency_charts.overview(report.models)] if several else []
        models = {
            model.anchor: {
                "parity": [parity_charts.output_errors(result) for result in model.parity],
                "latency": latency_charts.routes(model.bench) if model.bench else None,
                "chips": [chip_charts.charts(chip) for chip in model.modelled],
            }
            for model in report.models
        }
    except ImportError as error:
        raise missing_extra("plotly", "reports", "the charts of the HTML report") from error
    return {"overview": overview, "models": models}


def _any_chart(drawn: Any) -> bool:
    if isinstance(drawn, dict):
        return _any_chart(list(drawn.values()))
    return any(map(_any_chart, drawn)) if isinstance(drawn, list) else drawn is not None


def _plotly() -> str:
    # The wheel ships only the full library; a page without charts goes without its 5 MB.
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("\r\n", "\n").replace("</script", "<\\/script")


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
