"""The page in a real browser: four looks, no network, no overflow, charts drawn, keys and buttons that work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reports import collect, render_report
from reports.sources import Source

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="the browser test needs the package playwright")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"the browser test needs {CHROMIUM}")

# The sheet's own colours, as light-dark() resolves them.
GROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(14, 17, 22)"}
_SIZES = """() => Array.from(document.querySelectorAll('.chart'), chart => {
  const box = chart.querySelector('svg.main-svg').getBoundingClientRect();
  return [box.width, box.height, chart.querySelectorAll('.point').length];
})"""

_ENDS = """() => Array.from(document.querySelectorAll('.scroll, .figure, .chart svg, pre'), box => {
  return box.getBoundingClientRect().right;
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield found
        found.close()


@pytest.fixture(scope="module")
def index(sources: list[Source], hostile_source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_report(collect([*sources, hostile_source]), tmp_path_factory.mktemp("report"))


@pytest.fixture
def page(browser: Any, index: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page in the light theme at the width the test asks for; the browser must not complain of anything."""
    complaints: list[str] = []
    width = getattr(request, "param", 1280)
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme="light").new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:")) else complaints.append(request.url),
    )
    page.goto(index.as_uri())
    yield page
    page.context.close()
    assert complaints == []


def drawn(page: Any, theme: str) -> None:
    """Wait until every chart has the colours of the theme; they are drawn one after the other."""
    page.wait_for_function(
        "theme => Array.from(document.querySelectorAll('.chart')).every(chart => chart.dataset.drawn === theme)",
        arg=theme,
    )


def ground(page: Any) -> Any:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("page", [1280, 390], indirect=True)
def test_the_page_is_whole_in_both_themes(page: Any, tmp_path: Path) -> None:
    width = page.viewport_size["width"]
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        drawn(page, theme)
        page.screenshot(path=tmp_path / f"report-{width}-{theme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.evaluate(_SIZES)
        assert len(sizes) == 18
        assert all(wide > 150 and high > 60 and points > 0 for wide, high, points in sizes)
        assert ground(page) == GROUND[theme]


def test_keys_switch_the_theme_and_sort_the_summary(page: Any) -> None:
    label = "document.querySelector('.chart .xtick text').style.fill"
    drawn(page, "light")
    before = page.evaluate(label)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "theme"
    page.keyboard.press("Enter")
    assert ground(page) == GROUND["dark"]
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    drawn(page, "dark")
    assert page.evaluate(label) != before
    names = "Array.from(document.querySelectorAll('#summary-table tbody th'), cell => cell.dataset.value)"
    button = page.get_by_role("button", name="Ratio / limit")
    button.focus()
    page.keyboard.press("Enter")
    assert page.get_attribute("[data-sort=ratio]", "aria-sort") == "ascending"
    # A model without the figure stays last whichever way the others run.
    assert page.evaluate(names)[-1] == "MobileNetV2"
    page.keyboard.press("Enter")
    assert page.evaluate(names)[0] == "all-MiniLM-L6-v2"
    assert page.evaluate(names)[-1] == "MobileNetV2"
    page.reload()
    assert ground(page) == GROUND["dark"]


@pytest.mark.parametrize("page", [1440, 390], indirect=True)
def test_charts_and_tables_of_a_chip_stay_inside_the_page(page: Any) -> None:
    width = page.viewport_size["width"]
    drawn(page, "light")
    page.evaluate("document.querySelectorAll('details').forEach(item => { item.open = true; })")
    assert max(page.evaluate(_ENDS)) <= width
    # On a phone the kernels' table is wider than the page: it scrolls inside its region, by keyboard as well.
    region = page.locator(".scroll:has(.kernel)").first
    inner, outer = region.evaluate("box => [box.scrollWidth, box.clientWidth]")
    assert inner > outer if width == 390 else inner == outer
    region.focus()
    page.keyboard.press("ArrowRight")
    moved = "box => box.scrollLeft > 0 || box.scrollWidth === box.clientWidth"
    page.wait_for_function(moved, arg=region.element_handle())


def test_the_command_of_atc_is_copied_and_selected(page: Any, make: SimpleNamespace) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    drawn(page, "light")
    button = page.locator(".copy").first
    button.click()
    page.wait_for_function("button => button.textContent !== 'Copy'", arg=button.element_handle())
    command = make.compiled()["compatibility"]["atc"]
    assert page.evaluate("getSelection().toString()") == command
    assert page.evaluate("navigator.clipboard.readText()") == command
