"""A page in a real browser: opened under watch, and waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
# Every chart is as wide as the page allows.
RESIZED = """width => Array.from(document.querySelectorAll('.chart'), chart => chart.dataset.drawn &&
  chart.querySelector('svg.main-svg').getBoundingClientRect().right <= width).every(Boolean)"""


@contextmanager
def watched(browser: Any) -> Iterator[tuple[Callable[..., Any], list[str]]]:
    """Yield what opens a file at a width, and a list of what the browser complains of or asks for beside files."""
    complaints: list[str] = []
    contexts = []

    def opened(file: Path, width: int = 1280) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme="light")
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else complaints.append(request.url),
        )
        page.goto(file.as_uri())
        return page

    yield opened, complaints
    for context in contexts:
        context.close()


def drawn(page: Any, theme: str) -> None:
    """Wait until every chart has the colours of the theme; they are drawn one after the other."""
    page.wait_for_function(
        "theme => Array.from(document.querySelectorAll('.chart')).every(chart => chart.dataset.drawn === theme)",
        arg=theme,
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser test needs the package playwright")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield found
        found.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a file at a width; the browser must not complain of anything or ask for anything but files."""
    with watched(browser) as (opened, complaints):
        yield opened
    assert complaints == []
